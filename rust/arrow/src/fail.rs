//! Why a value was not read, and where.

use crate::parse::{Parser, Syntax, compact};
use lakeflow_core::{Error, ErrorKind};
use std::fmt::Write;

/// Most characters of a value that an error shows.
const EXCERPT: usize = 80;

/// One step of a path, from the outside in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Field(String),
    Index(usize),
    Key(String),
}

/// A value, or a whole row, that cannot be read.
#[derive(Debug)]
pub(crate) enum Fail {
    /// Not JSON.
    Syntax(Syntax),
    /// JSON that does not fit its column.
    Value(Box<Misfit>),
    /// More bytes in one column than Arrow's offsets can count.
    Full,
}

/// A value that does not fit.
#[derive(Debug)]
pub(crate) struct Misfit {
    /// `"abc" as bigint: out of range`, without the excerpt if it must not be shown.
    message: String,
    /// Steps to it, innermost first.
    path: Vec<Step>,
    /// Whether nulling it, or anything around it, is out of the question.
    pub(crate) fatal: bool,
}

impl From<Syntax> for Fail {
    fn from(error: Syntax) -> Self {
        Self::Syntax(error)
    }
}

impl Fail {
    /// `raw` cannot be read as `what`; `reason` may be empty.
    #[cold]
    pub(crate) fn value(raw: &[u8], what: &str, reason: &str, excerpts: bool) -> Self {
        let shown = if excerpts { excerpt(raw) } else { "a value".to_owned() };
        let colon = if reason.is_empty() { "" } else { ": " };
        Self::misfit(format!("cannot read {shown} as {what}{colon}{reason}"))
    }

    /// There is no value where there must be one.
    #[cold]
    pub(crate) fn absent(what: &str, missing: bool) -> Self {
        let found = if missing { "missing" } else { "null" };
        Self::misfit(format!("{found} where {what} may not be null"))
    }

    #[cold]
    pub(crate) fn misfit(message: String) -> Self {
        Self::Value(Box::new(Misfit { message, path: Vec::new(), fatal: false }))
    }

    /// The same below `step`.
    #[cold]
    pub(crate) fn below(mut self, step: Step) -> Self {
        if let Self::Value(misfit) = &mut self {
            misfit.path.push(step);
        }
        self
    }

    /// The typed error.
    pub(crate) fn into_error(self, table: &str, record: u64, excerpts: bool) -> Error {
        let record = record.to_string();
        match self {
            Self::Syntax(syntax) => Error::bad_response(format!(
                "malformed JSON: {} at byte {} of a record",
                syntax.what, syntax.at
            ))
            .table(table)
            .context("record", record),
            Self::Full => Error::internal("more than 2 GiB in one column of a batch")
                .table(table)
                .context("record", record),
            Self::Value(misfit) => {
                let mut path = misfit.path;
                path.reverse();
                Error::new(ErrorKind::DataInvalid, misfit.message)
                    .table(table)
                    .context("column", path_text(&path, excerpts))
                    .context("record", record)
            }
        }
    }
}

/// `user.id`, `labels[3].name`, `m["k"]`; `steps` from the outside in. Keys are data: they are
/// left out like excerpts.
pub(crate) fn path_text(steps: &[Step], keys: bool) -> String {
    let mut out = String::new();
    for step in steps {
        let _ = match step {
            Step::Field(name) => {
                let dot = if out.is_empty() { "" } else { "." };
                write!(out, "{dot}{}", quoted(name))
            }
            Step::Index(index) => write!(out, "[{index}]"),
            Step::Key(key) if keys => {
                write!(
                    out,
                    "[{}]",
                    excerpt(serde_json::Value::from(key.as_str()).to_string().as_bytes())
                )
            }
            Step::Key(_) => write!(out, "[..]"),
        };
    }

    out
}

/// A name as part of a path: in backticks where it could be taken for several parts.
pub(crate) fn quoted(name: &str) -> String {
    if name.contains(['.', '[', ']', '`']) || name.is_empty() {
        format!("`{}`", name.replace('`', "``"))
    } else {
        name.to_owned()
    }
}

/// At most 80 characters of a value, on one line.
fn excerpt(raw: &[u8]) -> String {
    let mut out = Vec::new();
    // Only as much as may be shown is looked at; a string that is cut there stays as it is.
    let head = raw.get(..raw.len().min(EXCERPT * 8)).unwrap_or_default();
    if Parser::new(raw).peek() == b'"' || head.len() < raw.len() {
        out.extend_from_slice(head);
    } else {
        compact(head, &mut out);
    }
    let text = String::from_utf8_lossy(&out);
    let mut shown: String =
        text.chars().take(EXCERPT).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() > EXCERPT || head.len() < raw.len() {
        shown = shown.chars().take(EXCERPT - 1).collect();
        shown.push('\u{2026}');
    }

    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_like_code() {
        let field = |name: &str| Step::Field(name.into());
        for (steps, text) in [
            (vec![field("user"), field("id")], "user.id"),
            (vec![field("labels"), Step::Index(3), field("name")], "labels[3].name"),
            (vec![field("m"), Step::Key("k\"".into())], r#"m["k\""]"#),
            (vec![field("a.b"), field("c`")], "`a.b`.`c```"),
        ] {
            assert_eq!(path_text(&steps, true), text);
        }
        assert_eq!(path_text(&[field("m"), Step::Key("secret".into())], false), "m[..]");
    }

    #[test]
    fn excerpts_are_short_and_on_one_line() {
        assert_eq!(excerpt(b"{ \"a\" :\n1 }"), "{\"a\":1}");
        let long = format!("\"{}\"", "\u{e9}".repeat(200));
        assert_eq!(excerpt(long.as_bytes()).chars().count(), 80);
        assert!(excerpt(long.as_bytes()).ends_with('\u{2026}'));
    }

    #[test]
    fn errors_name_table_column_and_record() {
        let fail = Fail::value(b"\"abc\"", "bigint", "", true)
            .below(Step::Field("id".into()))
            .below(Step::Field("user".into()));
        assert_eq!(
            fail.into_error("issues", 17, true).to_string(),
            "cannot read \"abc\" as bigint (table: issues, column: user.id, record: 17)"
        );
        let hidden = Fail::value(b"3e9", "int", "out of range", false);
        assert_eq!(
            hidden.below(Step::Field("n".into())).into_error("t", 0, false).to_string(),
            "cannot read a value as int: out of range (table: t, column: n, record: 0)"
        );
    }
}
