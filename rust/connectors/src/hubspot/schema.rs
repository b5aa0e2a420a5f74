//! Columns of an object, from the properties that the account gives it.

use super::objects::Object;
use crate::schema::{boolean, double, record, string, texts};
use lakeflow_core::{
    Column, FieldPath, Ingestion, Order, Progress, Settings, Step, TableSchema, TableSpec,
};
use serde::Deserialize;
use std::time::Duration;

/// A property of an object.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(super) struct Property {
    pub(super) name: String,
    #[serde(rename = "type")]
    kind: String,
}

/// Archived records are kept for about 90 days.
pub(super) const ARCHIVED_AT: &str = "archivedAt";

impl Property {
    /// Values come as text, `""` where a property is not set. Numbers may have fractions.
    fn column(&self) -> Column {
        match self.kind.as_str() {
            "bool" => boolean(&self.name),
            "number" => double(&self.name),
            _ => Column { blank_is_null: true, ..string(&self.name) },
        }
    }
}

/// What the engine must know of the table of `object`.
///
/// The first read walks the list of records by place; later ones search by the time of the last
/// change, which is read again after each page: `after` of a search counts hits, so that a record
/// that changes meanwhile would hide another one.
pub(super) fn spec(object: &Object, properties: &[Property], options: &Settings) -> TableSpec {
    let mut columns =
        vec![string("id"), string("createdAt"), string("updatedAt"), boolean("archived")];
    columns.extend(object.associations.iter().map(|name| texts(name)));
    columns.push(record("properties", properties.iter().map(Property::column).collect()));
    let order = |path: FieldPath| Order {
        field: Some(path),
        lookback: options.seconds("lookback_seconds").unwrap_or_default(),
        ..Order::instants("", Step::MILLISECOND)
    };
    let changed = FieldPath::pointer(&format!("/properties/{}", object.changed));
    let rows = Progress::Ascending { order: order(changed), restart_pages: 1 };
    let mut spec = TableSpec::new(TableSchema::new(columns), Ingestion::Cdc, &["id"], rows);
    spec.cursor = Some(FieldPath::field("updatedAt"));
    spec.first_by_place = true;
    spec.legacy_cursor = &["updatedAt"];
    if object.lists_archived {
        spec.ingestion = Ingestion::CdcWithDeletes;
        let order = Order { lookback: Duration::ZERO, ..order(FieldPath::field(ARCHIVED_AT)) };
        spec.deletes = Some(Progress::OnePass { order });
    }

    spec
}

#[cfg(test)]
mod tests {
    use super::*;
    use lakeflow_core::{FieldPath, Until};

    fn settings() -> Settings {
        Settings::resolve(&[("lookback_seconds", "9")].into_iter().collect(), options(), &[])
            .unwrap()
    }

    fn options() -> impl Iterator<Item = &'static lakeflow_core::OptionSpec> {
        super::super::SOURCE.table_options.iter()
    }

    #[test]
    fn numbers_keep_fractions_and_unset_texts_are_null() {
        let property = |name: &str, kind: &str| Property { name: name.into(), kind: kind.into() };
        let properties = [
            property("amount", "number"),
            property("open", "bool"),
            property("stage", "enumeration"),
            property("new_kind", "something else"),
        ];
        let object = Object::standard("deals").unwrap();
        let blank = |name: &str| Column { blank_is_null: true, ..string(name) };
        let fields = vec![double("amount"), boolean("open"), blank("stage"), blank("new_kind")];

        assert_eq!(
            spec(&object, &properties, &settings()).schema.columns,
            [
                string("id"),
                string("createdAt"),
                string("updatedAt"),
                boolean("archived"),
                texts("contacts"),
                texts("companies"),
                texts("tickets"),
                record("properties", fields),
            ]
        );
    }

    #[test]
    fn rows_are_ordered_by_the_property_that_searches_know_and_deletes_by_archiving() {
        let order = |path: &str, lookback| Order {
            field: Some(FieldPath::pointer(path)),
            kind: lakeflow_core::CursorKind::Instant,
            step: Step::MILLISECOND,
            until: Until::Clock { settle: Duration::ZERO },
            lookback: Duration::from_secs(lookback),
        };
        for (table, changed, deletes) in [
            ("contacts", "/properties/lastmodifieddate", true),
            ("calls", "/properties/hs_lastmodifieddate", false),
        ] {
            let object = Object::standard(table).unwrap();
            let spec = spec(&object, &[], &settings());
            let rows = Progress::Ascending { order: order(changed, 9), restart_pages: 1 };
            let archived = Progress::OnePass { order: order("/archivedAt", 0) };

            assert_eq!(object.changed_pointer(), changed);
            assert_eq!((spec.rows, spec.deletes), (rows, deletes.then_some(archived)));
            assert_eq!(spec.cursor, Some(FieldPath::field("updatedAt")));
            assert_eq!(spec.ingestion == Ingestion::CdcWithDeletes, deletes);
        }
    }
}
