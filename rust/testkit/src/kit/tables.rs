//! The tables: one for each way in which a list goes on.

use lakeflow_core::{Column, DataType, FieldPath, Step, TableSchema};
use lakeflow_http::rest::{By, Paging, Table, Tables};

const CHANGED: By = By::instants("changed", Step::SECOND);

/// All tables.
pub(super) const TABLES: Tables = Tables(&[
    Table::new("units", "/units", plain)
        .snapshot(&["id"])
        .page_size("count", 10)
        .rows("rows")
        .paging(Paging::Offset { parameter: "skip", total: "total" }),
    Table::new("bins", "/bins", plain)
        .snapshot(&["id"])
        .rows("rows")
        .paging(Paging::Url("links.next")),
    Table::new("shelves", "/shelves", plain).snapshot(&["id"]).paging(Paging::Link),
    Table::new("moves", "/moves", plain)
        .snapshot(&["id"])
        .rows("rows")
        .paging(Paging::Token { parameter: "after", at: "next" }),
    Table::new("labels", "/labels", plain)
        .snapshot(&["id"])
        .rows("rows")
        .paging(Paging::Number { parameter: "page", at: "next_page" }),
    Table::new("orders", "/orders/search", order)
        .cdc(&["id"], "changed")
        .ascending(CHANGED, 1)
        .rows("rows"),
    Table::new("parts", "/parts", part)
        .snapshot(&["id"])
        .rows("rows")
        .paging(Paging::Token { parameter: "after", at: "next" }),
]);

/// What a request for parts asks for.
pub(super) const PROPERTIES: [&str; 5] = ["name", "colour", "weight", "code", "made"];

fn plain() -> TableSchema {
    TableSchema::new(vec![Column::new("id", DataType::Long).required(), text("name")])
}

fn order() -> TableSchema {
    TableSchema::new(vec![
        Column::new("id", DataType::Long).required(),
        property("changed", DataType::Timestamp),
        property("name", DataType::String),
    ])
}

fn part() -> TableSchema {
    let id = Column::new("id", DataType::String).required();
    let properties = PROPERTIES.map(|name| match name {
        "weight" => property(name, DataType::Long),
        "made" => property(name, DataType::Date),
        _ => property(name, DataType::String),
    });

    TableSchema::new([id].into_iter().chain(properties).collect())
}

fn text(name: &str) -> Column {
    Column::new(name, DataType::String)
}

/// A column whose value is among the properties of a record.
fn property(name: &str, data_type: DataType) -> Column {
    Column::new(name, data_type).from(FieldPath::pointer(&format!("/properties/{name}")))
}
