//! Rows that the engine makes itself.

use lakeflow_core::{Error, Page, Records, Result};
use serde_json::Value;

/// The only page of a read, with these records.
pub(crate) fn page(rows: &[Value]) -> Result<Page> {
    let json = serde_json::to_vec(rows).map_err(|e| Error::internal(e.to_string()))?;

    Ok(Page { last: true, ..Page::of(Records::array(json.into())) })
}
