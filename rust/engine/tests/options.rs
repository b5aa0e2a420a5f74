//! A bad value of any option of any source is named before the source is asked.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use lakeflow_connectors::SOURCES;
use lakeflow_core::{ErrorKind, OptionKind, OptionRole, OptionSpec, Options, SystemClock};
use lakeflow_engine::{Engine, FRAMEWORK_OPTIONS, VIRTUAL_OPTIONS};
use std::sync::Arc;

/// Values that the option does not take, and what the error says it does.
fn refused(kind: OptionKind) -> (Vec<String>, String) {
    let texts = |values: &[&str]| values.iter().map(|&v| v.to_owned()).collect::<Vec<_>>();
    match kind {
        // Any text is well-formed; what it names is looked at by who uses it.
        OptionKind::Text | OptionKind::List => (Vec::new(), String::new()),
        OptionKind::Secret => (texts(&["", "two\nlines"]), "a credential".into()),
        OptionKind::Url => {
            (texts(&["localhost", "ftp://host", "https://"]), "an address that starts with".into())
        }
        OptionKind::Integer { min, max } => {
            let mut values = texts(&["many", "1.5", "1e3", "٣", "99999999999999999999"]);
            values.push((min - 1).to_string());
            values.extend(max.checked_add(1).map(|above| above.to_string()));
            let expected = match max {
                i64::MAX => format!("{min} or more"),
                _ => format!("a whole number from {min} to {max}"),
            };
            (values, expected)
        }
        OptionKind::Seconds { min, max } => {
            let mut values = texts(&["soon", "30s", "NaN", "inf"]);
            values.extend([(min - 1.0).to_string(), (max + 1.0).to_string()]);
            (values, format!("a number of seconds from {min} to {max}"))
        }
        OptionKind::Number { min, max } => {
            let mut values = texts(&["many", "1/2", "NaN", "inf"]);
            values.extend([(min - 1.0).to_string(), (max + 1.0).to_string()]);
            (values, format!("a number from {min} to {max}"))
        }
        OptionKind::Bytes => {
            (texts(&["much", "0", "-1", "1.5m", "64 MiB"]), "a number of bytes or a size".into())
        }
        OptionKind::Duration => (texts(&["30", "soon", "-5s"]), "a length of time such as".into()),
        OptionKind::Bool => (texts(&["yes", "1", "on"]), "true or false".into()),
        OptionKind::Timestamp => {
            (texts(&["yesterday", "1700000000", "2024-13-01"]), "an ISO 8601 date".into())
        }
        OptionKind::Choice(words) => {
            (texts(&["no such word"]), format!("one of {}", words.join(", ")))
        }
    }
}

fn every_option() -> impl Iterator<Item = (&'static str, &'static OptionSpec)> {
    SOURCES.iter().flat_map(|source| {
        let framework = FRAMEWORK_OPTIONS.iter().chain(source.options());
        framework.map(|spec| (source.name, spec))
    })
}

async fn error(options: &Options) -> (ErrorKind, String) {
    let engine = Engine::new(SOURCES.to_vec(), Arc::new(SystemClock));
    let error = engine.describe(options).await.unwrap_err();

    (error.kind(), error.to_string())
}

#[tokio::test]
async fn a_bad_value_of_any_option_is_named_with_what_is_accepted() {
    let mut seen = 0;
    for (source, spec) in every_option() {
        let (values, expected) = refused(spec.kind);
        for value in values {
            let options = [("sourceName", source), ("tableName", "x"), (spec.name, &*value)];
            let (kind, message) = error(&options.into_iter().collect()).await;
            assert_eq!(
                kind,
                ErrorKind::ConfigInvalid,
                "{source} {} {value:?}: {message}",
                spec.name
            );
            let start = format!("option '{}' must be {expected}", spec.name);
            assert!(message.starts_with(&start), "{message}, not {start}");
            let secret = spec.role == OptionRole::Secret || spec.kind == OptionKind::Url;
            let echo = if secret {
                format!("got {} characters", value.chars().count())
            } else {
                format!("got \"{value}\"")
            };
            assert!(message.contains(&echo), "{message}");
            seen += 1;
        }
    }
    assert!(seen > 500, "{seen}");
}

#[tokio::test]
async fn two_names_of_one_option_with_different_values_are_refused() {
    for (source, spec) in every_option() {
        let value = |number: u32| match spec.kind {
            OptionKind::Integer { min, .. } => Some((min + i64::from(number)).to_string()),
            OptionKind::Text | OptionKind::Secret => Some(format!("value-{number}")),
            OptionKind::Timestamp => Some(format!("2024-01-0{}", number + 1)),
            _ => None,
        };
        let aliases = spec.aliases.iter().map(|&alias| alias.to_owned());
        for alias in aliases.chain(spec.redacted_alias()) {
            let (Some(one), Some(other)) = (value(0), value(1)) else { continue };
            let options = [
                ("sourceName", source),
                ("tableName", "x"),
                (spec.name, &*one),
                (&*alias, &*other),
            ];
            let (kind, message) = error(&options.into_iter().collect()).await;
            assert_eq!(kind, ErrorKind::ConfigInvalid);
            let expected = format!("option '{}' is given twice with different values", spec.name);
            assert!(message.starts_with(&expected), "{message}");
            assert!(!message.contains("value-"), "{message}");
        }
    }
}

#[tokio::test]
async fn a_bad_value_of_an_option_of_virtual_tables_is_named() {
    for spec in VIRTUAL_OPTIONS {
        let (values, expected) = refused(spec.kind);
        for value in values {
            let options = [
                ("sourceName", "github"),
                ("tableName", "_community_table_metadata"),
                (spec.name, &*value),
            ];
            let (_, message) = error(&options.into_iter().collect()).await;
            let start = format!("option '{}' must be {expected}", spec.name);
            assert!(message.starts_with(&start), "{message}, not {start}");
        }
    }
}

/// Texts that name something which does not exist, or have a form of their own.
#[tokio::test]
async fn a_text_that_cannot_be_used_is_named_when_a_table_is_described() {
    let cases = [
        ("issues", "timestampZone", "Mars/Olympus", "option 'timestampZone'"),
        ("issues", "rescuedDataColumn", "title", "option 'rescuedDataColumn'"),
        ("issues", "allowChangedOptions", "repo, rope", "option 'allowChangedOptions'"),
        ("issues", "tlsCaBundle", "/no/such.pem", "option 'tlsCaBundle' is neither PEM text nor"),
        ("issues", "tlsClientCertificate", "/no/such.pem", "'tlsClientCertificate' and 'tlsCl"),
        ("issues", "tlsClientKey", "/no/such.pem", "'tlsClientCertificate' and 'tlsClientKey' are"),
        ("issues", "proxy", "http://me:word@", "option 'proxy' must be an address like"),
        ("_community_table_metadata", "tableNameList", "issues", "option 'tableNameList'"),
        ("_community_table_metadata", "tableConfigs", "[]", "option 'tableConfigs'"),
    ];
    for (table, name, value, expected) in cases {
        let options = [
            ("sourceName", "github"),
            ("token", "t"),
            ("owner", "o"),
            ("repo", "r"),
            ("tableName", table),
            (name, value),
        ];
        let engine = Engine::new(SOURCES.to_vec(), Arc::new(SystemClock));
        let found =
            engine.describe(&options.into_iter().collect()).await.err().map(|e| e.to_string());
        assert!(found.as_ref().is_some_and(|m| m.contains(expected)), "{name}: {found:?}");
    }
}
