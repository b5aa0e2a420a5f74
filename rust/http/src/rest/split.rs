//! By what batch reads of a table are split over tasks.

use super::oldest::text_at;
use super::parents::{rows, whole};
use super::request::{Bound, Parameter, Spelling};
use super::table::{Table, field_path};
use crate::{Client, Request};
use lakeflow_core::{Cursor, CursorKind, Pushdown, ReadRequest, Result, SplitBy, Step, Within};
use serde_json::Value;

/// A field that every record has and that never changes, and the parameters that bound it.
#[derive(Clone, Copy, Debug)]
pub struct Split {
    pub(super) field: &'static str,
    kind: CursorKind,
    step: Step,
    from: Parameter,
    upto: Parameter,
    lowest_first: (&'static str, &'static str),
}

impl Split {
    /// Instants in `field`, a column path with dots; parameters `from` and `upto` bound them, and
    /// `lowest_first` is the parameter, and its value, that lists the lowest one first.
    pub const fn instants(
        field: &'static str,
        step: Step,
        (from, upto): (&'static str, &'static str),
        bound: Bound,
        spelling: Spelling,
        lowest_first: (&'static str, &'static str),
    ) -> Self {
        Self {
            field,
            kind: CursorKind::Instant,
            step,
            from: Parameter { name: from, bound, spelling },
            upto: Parameter { name: upto, bound, spelling },
            lowest_first,
        }
    }

    pub(super) fn spec(&self) -> SplitBy {
        let Self { kind, step, .. } = *self;

        SplitBy { field: field_path(self.field), kind, step, nullable: false }
    }

    /// `request` for what lies `within`.
    pub(super) fn bounded(&self, mut request: Request, within: &Within) -> Result<Request> {
        let Within::Range { from, upto } = within else { return Ok(request) };
        if let Some(from) = from {
            let after = from.moved(self.step, -1);
            request = request.query(self.from.name, self.from.lower(&after, self.step)?);
        }
        if let Some(upto) = upto {
            request = request.query(self.upto.name, self.upto.upper(upto, self.step)?);
        }

        Ok(request)
    }
}

impl Table {
    /// The lowest value of the field that the table is split by; `None` if one page holds all there
    /// is.
    ///
    /// # Errors
    /// Those of the request; [`ErrorKind::DataInvalid`](lakeflow_core::ErrorKind::DataInvalid) for
    /// a value of another kind.
    pub async fn lowest_split(
        &self,
        client: &Client,
        read: &ReadRequest,
    ) -> Result<Option<Cursor>> {
        let Some(split) = self.split else { return Ok(None) };
        let pushed =
            Pushdown { columns: Some(vec![split.field.to_owned()]), ..Pushdown::default() };
        let read = ReadRequest { pushed, ..whole(read) };
        let (name, value) = split.lowest_first;
        let first = self.request(&read)?.with_parameter(name, value);
        let Some(page) = self.pages_from(client, first, read).next().await? else {
            return Ok(None);
        };
        if page.last {
            return Ok(None);
        }
        let place = (self.schema)().place_of(&field_path(split.field));
        let rows: Vec<Value> = rows(&page)?;
        let values = rows.iter().filter_map(|row| text_at(row, &place)).filter(|v| !v.is_empty());
        let values: Vec<Cursor> =
            values.map(|text| Cursor::parse(split.kind, &text)).collect::<Result<_>>()?;

        Ok(values.into_iter().min())
    }
}
