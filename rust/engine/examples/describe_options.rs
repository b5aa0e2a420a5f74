//! Prints every declared option as JSON: `{"framework": [..], "virtual": [..], "sources": {name:
//! {"connection": [..], "kit": [..], "table": [..]}}}`. The option tables of the documentation are
//! made from it.

use lakeflow_connectors::SOURCES;
use lakeflow_core::{OptionKind, OptionRole, OptionSpec, Reach};
use lakeflow_engine::{FRAMEWORK_OPTIONS, VIRTUAL_OPTIONS};
use serde_json::{Map, Value, json};

fn values(kind: OptionKind) -> String {
    match kind {
        OptionKind::Text | OptionKind::Secret => "text".to_owned(),
        OptionKind::Url => "URL".to_owned(),
        OptionKind::Integer { min, max: i64::MAX } => format!("integer, {min} or more"),
        OptionKind::Integer { min, max } => format!("integer, {min} to {max}"),
        OptionKind::Seconds { min, max } => format!("seconds, {min} to {max}"),
        OptionKind::Number { min, max } => format!("number, {min} to {max}"),
        OptionKind::Bytes => "bytes, or a size such as `64m`".to_owned(),
        OptionKind::Duration => "length of time such as `30s` or `5 minutes`".to_owned(),
        OptionKind::Bool => "`true` or `false`".to_owned(),
        OptionKind::Timestamp => "ISO 8601 date or time".to_owned(),
        OptionKind::Choice(words) => {
            words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
        }
        OptionKind::List => "names separated by commas".to_owned(),
    }
}

fn aliases(spec: &OptionSpec) -> Vec<String> {
    let declared = spec.aliases.iter().map(|&name| name.to_owned());
    declared.chain(spec.redacted_alias()).collect()
}

fn option(spec: &OptionSpec) -> Value {
    json!({
        "name": spec.name,
        "aliases": aliases(spec),
        "values": values(spec.kind),
        "role": match spec.role {
            OptionRole::Identity => "identity",
            OptionRole::Tuning => "tuning",
            OptionRole::Secret => "secret",
        },
        "destination": spec.reach != Reach::Nothing,
        "default": spec.default,
        "required": spec.required,
        "tables": spec.tables,
        "doc": spec.doc,
    })
}

fn options(specs: &[OptionSpec]) -> Value {
    specs.iter().map(option).collect()
}

fn main() {
    let sources: Map<String, Value> = SOURCES
        .iter()
        .map(|source| {
            let described = json!({
                "connection": options(source.connection_options),
                "kit": options(source.kit_options),
                "table": options(source.table_options),
            });
            (source.name.to_owned(), described)
        })
        .collect();

    let framework = options(FRAMEWORK_OPTIONS);
    let about = options(VIRTUAL_OPTIONS);
    println!("{}", json!({"framework": framework, "virtual": about, "sources": sources}));
}
