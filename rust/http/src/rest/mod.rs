//! Tables as rows of data: most of a connector is a list of [`Table`]s.
//!
//! A row says where records lie, how they are bounded, sorted and paged, and how the engine reads
//! them. What no row can say, a connector says in code: it changes [`Table::request`], gives a
//! [`Table::shape`], or yields pages of its own.
//!
//! ```
//! use lakeflow_core::{Column, DataType, Step, TableSchema};
//! use lakeflow_http::rest::{Bound, By, Paging, Spelling, Table};
//!
//! fn tickets() -> TableSchema {
//!     TableSchema::new(vec![
//!         Column::new("id", DataType::Long).required(),
//!         Column::new("changed_at", DataType::String),
//!     ])
//! }
//!
//! const TABLES: &[Table] = &[
//!     Table::new("tickets", "/projects/{project}/tickets", tickets)
//!         .cdc(&["id"], "changed_at")
//!         .ascending(By::instants("changed_at", Step::SECOND).settle(60), 1)
//!         .query(&[("sort", "changed_at"), ("state", "{state}")])
//!         .since("since", Bound::Inclusive, Spelling::Rfc3339 { digits: 0 })
//!         .page_size("limit", 100)
//!         .rows("tickets")
//!         .paging(Paging::Link),
//! ];
//! ```

mod check;
mod oldest;
mod order;
mod paging;
mod parents;
mod permitted;
mod request;
mod split;
mod table;
mod template;

pub use order::By;
pub use paging::Paging;
pub use permitted::if_permitted;
pub use request::{Bound, Spelling};
pub use split::Split;
pub use table::{Filter, Table, Tables};
pub use template::fill;

#[cfg(test)]
mod tests;
