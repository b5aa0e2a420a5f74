//! Filters that a batch read hands down: they narrow what is asked for, and never decide by themselves
//! which rows there are.

use crate::table::Table;
use lakeflow_core::{
    Cursor, DataType, Feed, FieldPath, FilterBy, Instant, Order, Pushdown, Within,
};

/// Zones differ by less than this, in nanoseconds: texts that are compared as texts may be so far
/// from the order of their instants.
const ZONES_NANOS: i128 = 86_400_000_000_000;

/// How a column is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// At least.
    AtLeast,
    /// At most.
    AtMost,
    /// Equal.
    Equal,
}

/// A column compared with a value; the reader checks rows again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Name of the column.
    pub column: String,
    /// How it is compared.
    pub comparison: Comparison,
    /// ISO 8601 instant for a timestamp column, any text for a string column.
    pub value: String,
}

/// What a batch read wants of a table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// Lowest order value, inclusive.
    pub(crate) from: Option<Cursor>,
    /// Highest order value, inclusive.
    pub(crate) upto: Option<Cursor>,
    /// As `upto`, and nothing above it is delivered: another task reads that.
    pub(crate) bound: Option<Cursor>,
    /// What of the field that the table is split by.
    pub(crate) within: Option<Within>,
    /// Where the read ends, where that was pinned before.
    pub(crate) until: Option<Cursor>,
    pub(crate) pushed: Pushdown,
}

impl Wanted {
    /// Takes in the filters that the service of `table` understands, and those that bound its order,
    /// a step wider than they say.
    pub(crate) fn narrow(&mut self, table: &Table, filters: &[Filter]) {
        let known = |filter: &&Filter| {
            let mut columns = filtering_columns(table).iter();
            filter.comparison == Comparison::Equal
                && columns.any(|by| {
                    by.column == filter.column && by.values.contains(&filter.value.as_str())
                })
        };
        let equal = filters.iter().filter(known);
        self.pushed.filters.extend(equal.map(|f| (f.column.clone(), f.value.clone())));
        let Some((column, order)) = ordering_column(table) else { return };
        let kind = table.spec.schema.column(column).map(|column| &column.data_type);
        for filter in filters.iter().filter(|filter| filter.column == column) {
            let Some((low, high)) = span(filter, kind) else { continue };
            let value = |instant, steps| {
                let value = Cursor::of_time(order.kind, instant, order.step)?;
                Some(value.moved(order.step, steps))
            };
            if filter.comparison != Comparison::AtMost {
                self.from = self.from.take().into_iter().chain(value(low, -1)).max();
            }
            if filter.comparison != Comparison::AtLeast {
                self.upto = self.upto.take().into_iter().chain(value(high, 1)).min();
            }
        }
    }
}

/// The columns by which the service of `table` filters.
pub(crate) fn filtering_columns(table: &Table) -> &[FilterBy] {
    let plain = table.child_of.is_none() && table.spec.parents.is_none();

    if plain && table.feed == Feed::Rows { &table.spec.filters } else { &[] }
}

/// The column whose values are those that the table is read by.
pub(crate) fn ordering_column(table: &Table) -> Option<(&str, &Order)> {
    let order = table.order().filter(|_| table.child_of.is_none())?;
    let cursor =
        table.spec.cursor.as_ref().filter(|cursor| order.field.as_ref() == Some(*cursor))?;

    whole_column(cursor).map(|column| (column, order))
}

fn whole_column(path: &FieldPath) -> Option<&str> {
    let mut segments = path.segments();

    segments.next().filter(|_| segments.next().is_none())
}

/// The first and the last instant that a value may stand for.
fn span(filter: &Filter, kind: Option<&DataType>) -> Option<(Instant, Instant)> {
    match kind? {
        DataType::Timestamp | DataType::TimestampNtz | DataType::Date => {
            let instant = Instant::parse(&filter.value)?;
            Some((instant, instant))
        }
        DataType::String => {
            let day = Instant::parse(filter.value.get(..10)?)?;
            Some((day.plus_nanos(-ZONES_NANOS), day.plus_nanos(2 * ZONES_NANOS)))
        }
        _ => None,
    }
}
