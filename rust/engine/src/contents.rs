//! What lies in a namespace of a source.

use crate::virtual_tables::children;
use lakeflow_core::{Connector, Result};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Tables and namespaces directly below a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Whole paths, sorted; `None`: the source has no namespaces.
    pub(crate) namespaces: Option<Vec<Vec<String>>>,
    /// Names, in the source's order.
    pub(crate) tables: Vec<String>,
}

impl Contents {
    pub(crate) async fn of(connector: &dyn Connector, namespace: &[String]) -> Result<Self> {
        let (namespaces, tables) = match connector.namespaces() {
            Some(tree) => (Some(children(tree, namespace).await?), tree.tables(namespace).await?),
            None if namespace.is_empty() => (None, connector.list_tables().await?),
            None => (None, Vec::new()),
        };

        Ok(Self { namespaces, tables })
    }

    /// `{"namespaces", "tables"}`, both sorted; `namespaces` is `null` where the source has none.
    pub fn to_json(&self) -> Value {
        let tables: BTreeSet<_> = self.tables.iter().collect();
        json!({"namespaces": self.namespaces, "tables": tables})
    }
}
