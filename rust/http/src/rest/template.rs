//! Texts with places for options: `/repos/{owner}/{repo}`.

use lakeflow_core::{Error, ReadRequest, Result};
use serde_json::Value;
use std::borrow::Cow;

/// The placeholder for the key of the parent, and for those of several, separated by commas.
const PARENT: &str = "parent";
const PARENTS: &str = "parents";
/// Before the name of a column that the parent gives to its rows.
const PARENT_COLUMN: &str = "parent.";

/// `template` with options in the places of their names in braces; `{parent}` is the key of the one
/// parent that is read under, `{parent.<column>}` what that parent gives to its rows, `{parents}` the
/// keys of all, separated by commas.
///
/// `None` if the template is a single placeholder of an option that is not set, or of a column that
/// the parent does not give.
///
/// # Errors
/// [`ErrorKind::ConfigInvalid`](lakeflow_core::ErrorKind::ConfigInvalid) if an option inside other
/// text is not set.
pub fn fill(template: &str, read: &ReadRequest) -> Result<Option<String>> {
    let mut out = String::with_capacity(template.len());
    for piece in pieces(template) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Name(PARENT) => match read.parts.as_slice() {
                [part] => out.push_str(&part.key.0),
                _ => return Err(Error::internal("a request under a parent needs one parent")),
            },
            Piece::Name(PARENTS) => {
                let keys: Vec<&str> = read.parts.iter().map(|p| p.key.0.as_str()).collect();
                out.push_str(&keys.join(","));
            }
            Piece::Name(name) => match value(name, read)? {
                Some(value) => out.push_str(&value),
                None if template.len() == name.len() + 2 => return Ok(None),
                None => out.push_str(read.options.text(name)?),
            },
        }
    }

    Ok(Some(out))
}

/// The name that `template` is all of.
pub(super) fn lone(template: &str) -> Option<&str> {
    let name = template.strip_prefix('{')?.strip_suffix('}')?;

    Some(name).filter(|name| !name.contains(['{', '}']))
}

/// Whether a name in braces stands for parents and no option.
pub(super) fn is_parent(name: &str) -> bool {
    name == PARENT || name == PARENTS || name.starts_with(PARENT_COLUMN)
}

/// What a parent gives to its rows, or the value of an option.
fn value<'a>(name: &str, read: &'a ReadRequest) -> Result<Option<Cow<'a, str>>> {
    let Some(column) = name.strip_prefix(PARENT_COLUMN) else {
        return Ok(read.options.get(name).map(Cow::Borrowed));
    };
    let columns = read.parts.iter().flat_map(|part| &part.columns);
    let Some((_, raw)) = columns.into_iter().find(|(name, _)| name == column) else {
        return Ok(None);
    };
    match serde_json::from_slice(raw) {
        Ok(Value::String(text)) => Ok(Some(Cow::Owned(text))),
        Ok(value) => Ok(Some(Cow::Owned(value.to_string()))),
        Err(error) => Err(Error::internal("a column of a parent is no JSON").source(error)),
    }
}

/// Names in braces.
pub(super) fn names(template: &str) -> impl Iterator<Item = &str> {
    pieces(template).filter_map(|piece| match piece {
        Piece::Name(name) => Some(name),
        Piece::Text(_) => None,
    })
}

enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

fn pieces(template: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = template;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let named = rest.strip_prefix('{').and_then(|r| r.split_once('}'));
        if let Some((name, after)) = named {
            rest = after;
            return Some(Piece::Name(name));
        }
        let end = rest.char_indices().skip(1).find(|(_, c)| *c == '{');
        let (text, after) = rest.split_at(end.map_or(rest.len(), |(at, _)| at));
        rest = after;
        Some(Piece::Text(text))
    })
}
