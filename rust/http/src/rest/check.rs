//! Finds mistakes in rows of tables before anybody reads with them.

use super::Paging;
use super::table::{Reading, Table, Tables};
use super::template;
use lakeflow_core::{OptionSpec, Source};

impl Tables {
    /// What is wrong with the tables of `source`, a line each; for a test of the connector.
    ///
    /// Placeholders must name options that apply to the table, columns must be in the schema,
    /// feeds must exist.
    pub fn mistakes(&self, source: &Source) -> Vec<String> {
        let mut mistakes = Vec::new();
        for table in self.0 {
            let mut found = |what: String| mistakes.push(format!("{}: {what}", table.name));
            if self.0.iter().filter(|t| t.name == table.name).count() > 1 {
                found("the name comes twice".to_owned());
            }
            for name in table.placeholders().filter(|n| !is_known(n, table, source)) {
                found(format!("{{{name}}} is no option that applies to the table"));
            }
            if matches!(table.paging, Paging::Offset { .. }) && table.page_size.is_none() {
                found("pages by offset need a page size".to_owned());
            }
            if let Some(name) = table.exceeds.filter(|n| !is_known(n, table, source)) {
                found(format!("{name} is no option that applies to the table"));
            }
            let schema = (table.schema)();
            let columns = table.columns.iter().map(|(name, _)| *name);
            let columns = columns.chain(table.filters.iter().map(|filter| filter.column));
            let split = table.split.map(|split| split.field);
            let paths = table.key.iter().copied().chain(table.cursor).chain(columns).chain(split);
            for path in paths {
                let first = path.split('.').next().unwrap_or(path);
                if schema.column(first).is_none() {
                    found(format!("the schema has no column '{path}'"));
                }
            }
            if table.splits_by_order && table.by.is_none_or(|by| by.field.is_none()) {
                found("it is split by an order that rows lack".to_owned());
            }
            match table.reading {
                Reading::Children { feed, .. } if self.get(feed).is_err() => {
                    found(format!("there is no table '{feed}' to read the parents from"));
                }
                Reading::Snapshot | Reading::Children { .. } | Reading::Token { .. } => {}
                _ if table.by.is_none() => found("it is ordered by nothing".to_owned()),
                Reading::Windows { .. } if table.since.is_none() || table.until.is_none() => {
                    found("windows need both bounds".to_owned());
                }
                _ => {}
            }
        }

        mistakes
    }
}

impl Table {
    fn placeholders(&self) -> impl Iterator<Item = &'static str> {
        let templates = self.query.iter().chain(self.columns).map(|(_, template)| *template);

        std::iter::once(self.path).chain(templates).flat_map(template::names)
    }
}

fn is_known(name: &str, table: &Table, source: &Source) -> bool {
    if template::is_parent(name) {
        return table.parents.is_some() || matches!(table.reading, Reading::Children { .. });
    }
    let options = source.connection_options.iter().chain(source.table_options);
    let mut options = options.filter(|o: &&OptionSpec| o.is_called(name));

    options.any(|o| table.hidden || o.applies_to(table.name))
}
