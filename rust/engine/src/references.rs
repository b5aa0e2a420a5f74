//! Secrets by reference, `env:NAME` and `file:/path`, within the limits of who started the process.

use crate::credentials::Variables;
use lakeflow_core::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use url::Url;

/// Directories whose files may be referred to, separated by colons.
const DIRECTORIES: &str = "LAKEFLOW_SECRET_DIRS";

/// Hosts besides a source's own that may get a referenced secret, separated by commas.
pub(crate) const HOSTS: &str = "LAKEFLOW_SECRET_HOSTS";

/// Names of variables that may be referred to begin so.
const PREFIX: &str = "LAKEFLOW_";

/// Names that begin so set this module up and are no secrets themselves.
const RESERVED: &[&str] = &["LAKEFLOW_SECRET_", "LAKEFLOW_CONNECTION"];

/// Longest content of a file.
const MAX_BYTES: u64 = 64 * 1024;

/// Whether a secret option's value stands for another one.
pub(crate) fn is_reference(value: &str) -> bool {
    ["env:", "file:"].iter().any(|scheme| value.trim_start().starts_with(scheme))
}

/// What `reference`, the value of `option`, stands for.
///
/// # Errors
/// `ConfigInvalid`, naming option, reference and remedy; never the content.
pub(crate) fn read(option: &str, reference: &str, variables: Variables<'_>) -> Result<String> {
    let reference = reference.trim();
    let read = match reference.split_once(':') {
        Some(("env", name)) => read_variable(name, variables),
        Some((_, path)) => read_file(Path::new(path), variables),
        None => Err("is malformed".to_owned()),
    };

    read.map_err(|why| Error::config(format!("option '{option}': reference '{reference}' {why}")))
}

fn read_variable(name: &str, variables: Variables<'_>) -> Result<String, String> {
    if !name.starts_with(PREFIX) || RESERVED.iter().any(|prefix| name.starts_with(prefix)) {
        return Err(format!(
            "must name a variable that begins with {PREFIX}, and not with {}",
            RESERVED.join(" or ")
        ));
    }

    variables(name)
        .filter(|value| !value.trim().is_empty())
        .ok_or_else(|| "names a variable that is not set where the driver runs".to_owned())
}

/// One message for all that is not there or not allowed, so that it tells nothing of other files.
fn read_file(path: &Path, variables: Variables<'_>) -> Result<String, String> {
    let directories = variables(DIRECTORIES).unwrap_or_default();
    let Some(path) = allowed(path, &directories) else {
        return Err(format!(
            "must name a regular file below a directory that {DIRECTORIES} lists where the driver \
             runs, links followed"
        ));
    };
    let mut text = String::new();
    let file = File::open(path).map_err(|e| format!("cannot be read: {}", e.kind()))?;
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text);
    read.map_err(|e| format!("cannot be read as UTF-8 text: {}", e.kind()))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(format!("names a file of more than {MAX_BYTES} bytes"));
    }
    let text = text.trim_end_matches(['\r', '\n']);

    Some(text).filter(|t| !t.is_empty()).map(str::to_owned).ok_or("names an empty file".to_owned())
}

/// The file that `path` leads to, if it is a regular one below a listed directory.
fn allowed(path: &Path, directories: &str) -> Option<PathBuf> {
    let file = path.is_absolute().then(|| path.canonicalize().ok())??;
    let listed = directories.split(':').filter(|dir| dir.starts_with('/'));
    let below = listed
        .filter_map(|dir| Path::new(dir).canonicalize().ok())
        .any(|dir| file.starts_with(dir));

    (below && file.is_file()).then_some(file)
}

/// Whether [`HOSTS`] lists the origin of `address`.
///
/// Entries are `host`, `host:port`, both with `https`, or `http://host:port`. A loopback address
/// alone stands for everything there.
pub(crate) fn is_listed_host(address: &str, variables: Variables<'_>) -> bool {
    let listed = variables(HOSTS).unwrap_or_default();
    let entries = listed.split(',').map(str::trim).filter(|entry| !entry.is_empty());

    entries.into_iter().any(|entry| {
        if entry.contains("://") {
            is_same_origin(entry, address)
        } else {
            is_same_origin(&format!("https://{entry}"), address) || is_loopback(entry, address)
        }
    })
}

/// Whether `entry` is a loopback address, and `address` at it.
fn is_loopback(entry: &str, address: &str) -> bool {
    let host: Option<IpAddr> = entry.parse().ok();
    let url = Url::parse(address.trim()).ok();

    host.is_some_and(|host| host.is_loopback())
        && url.as_ref().and_then(|url| url.host_str()) == Some(entry)
}

/// Whether two addresses agree in scheme, host and port.
pub(crate) fn is_same_origin(one: &str, other: &str) -> bool {
    let origin = |text: &str| Url::parse(text.trim()).ok().map(|url| url.origin());

    origin(one).is_some_and(|o| o.is_tuple() && origin(other) == Some(o))
}
