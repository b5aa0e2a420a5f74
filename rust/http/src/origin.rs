//! Where requests may go: one origin, fixed when the client is built.

use crate::guard::{is_blocked, is_loopback};
use lakeflow_core::{Error, Result};
use std::fmt;
use url::{Host, Url};

/// Scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of an `http` or `https` address without user name and password.
    fn of(url: &Url) -> Option<Self> {
        let plain = url.username().is_empty() && url.password().is_none();
        Some(Self {
            scheme: Some(url.scheme()).filter(|s| plain && matches!(*s, "http" | "https"))?.into(),
            host: url.host_str()?.to_owned(),
            port: url.port_or_known_default()?,
        })
    }

    /// Fails unless `url` has this origin; `what` says how the address came up.
    ///
    /// # Errors
    /// `BadResponse`, naming both origins.
    pub(crate) fn check(&self, url: &Url, what: &str) -> Result<()> {
        if Self::of(url).as_ref() == Some(self) {
            return Ok(());
        }
        let user = if url.username().is_empty() { "" } else { " with a user name" };
        let port = url.port().map(|p| format!(":{p}")).unwrap_or_default();
        let other =
            format!("{}://{}{port}{user}", url.scheme(), url.host_str().unwrap_or_default());

        Err(Error::bad_response(format!(
            "refused {what} to another origin: {other}, the configured one is {self}"
        )))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        match (self.scheme.as_str(), self.port) {
            ("https", 443) | ("http", 80) => Ok(()),
            (_, port) => write!(f, ":{port}"),
        }
    }
}

/// The root that relative paths are below.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    /// Ends without a slash.
    root: String,
    pub(crate) origin: Origin,
    /// The host is this machine, by address or as `localhost`.
    pub(crate) loopback: bool,
    pub(crate) https: bool,
}

impl Base {
    /// Checks the address of an API root; `name` says where it comes from.
    ///
    /// # Errors
    /// `ConfigInvalid`; the address itself is not shown, as it might hold a credential.
    pub(crate) fn parse(name: &str, text: &str, allow_insecure_http: bool) -> Result<Self> {
        let fail = |why: String| Err(Error::config(format!("{name} {why}")));
        let Ok(url) = Url::parse(text.trim()) else {
            return fail("must be an absolute address, https://host/path".into());
        };
        if !url.username().is_empty() || url.password().is_some() {
            return fail("must hold no user name or password: use the credential options".into());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return fail("must end with its path, without '?' or '#'".into());
        }
        let (Some(origin), Some(host)) = (Origin::of(&url), url.host()) else {
            return fail("must start with https:// or http://".into());
        };
        let address = match host {
            Host::Ipv4(v4) => Some(v4.into()),
            Host::Ipv6(v6) => Some(v6.into()),
            Host::Domain(_) => None,
        };
        if let Some(address) = address.filter(|a| is_blocked(*a)) {
            return fail(format!("must not be the link-local or metadata address {address}"));
        }
        let host = origin.host.trim_end_matches('.');
        let loopback =
            address.map_or(host == "localhost" || host.ends_with(".localhost"), is_loopback);
        let https = origin.scheme == "https";
        if !https && !loopback && !allow_insecure_http {
            return fail(format!(
                "must start with https://, as host '{}' is not this machine; option \
                 'allowInsecureHttp' set to true lifts this",
                origin.host
            ));
        }

        Ok(Self { root: url.as_str().trim_end_matches('/').to_owned(), origin, loopback, https })
    }

    /// The address of `target`: a path below the root, or an absolute address of the origin.
    ///
    /// # Errors
    /// `BadResponse` for another origin, `ConfigInvalid` for a path with dot segments.
    pub(crate) fn resolve(&self, target: &str) -> Result<Url> {
        let absolute = target.split_once("://").is_some_and(|(scheme, _)| {
            !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+')
        });
        let text = if absolute {
            target.to_owned()
        } else {
            refuse_dots(target)?;
            format!("{}/{}", self.root, target.trim_start_matches('/'))
        };
        let mut url = Url::parse(&text)
            .map_err(|e| Error::bad_response("an address cannot be read").source(e))?;
        url.set_fragment(None);
        self.origin.check(&url, "a request")?;

        Ok(url)
    }
}

/// A path made of `segments`, each percent-encoded, so that a value cannot change the route.
///
/// # Errors
/// [`ErrorKind::ConfigInvalid`](lakeflow_core::ErrorKind::ConfigInvalid) for an empty segment,
/// `.` or `..`.
pub fn path<S: AsRef<str>>(segments: &[S]) -> Result<String> {
    let mut path = String::new();
    for segment in segments {
        let segment = segment.as_ref();
        if matches!(segment, "" | "." | "..") {
            return Err(Error::config(format!("'{segment}' cannot be a part of an address")));
        }
        if !path.is_empty() {
            path.push('/');
        }
        percent_encode(&mut path, segment);
    }

    Ok(path)
}

/// Appends `text` with everything but unreserved characters (RFC 3986, 2.3) percent-encoded.
pub(crate) fn percent_encode(out: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| HEX.get(usize::from(nibble)).map_or('0', |d| char::from(*d));
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

fn refuse_dots(target: &str) -> Result<()> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let is_dots =
        |s: &str| matches!(s.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    match path.split(['/', '\\']).find(|s| is_dots(s)) {
        Some(dots) => Err(Error::config(format!("'{dots}' cannot be a part of an address"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn base_addresses_are_accepted_or_refused_with_the_reason() {
        let cases = [
            ("https://api.github.com", false, "https://api.github.com"),
            ("https://ghe.example:8443/api/v3/", false, "https://ghe.example:8443"),
            ("http://127.0.0.1:80", false, "http://127.0.0.1"),
            ("http://[::1]:9", false, "http://[::1]:9"),
            ("http://localhost:9/github", false, "http://localhost:9"),
            ("http://intranet", true, "http://intranet"),
            (
                "http://intranet",
                false,
                "must start with https://, as host 'intranet' is not this machine; option 'allowInsecureHttp' set to true lifts this",
            ),
            (
                "http://0.0.0.0",
                false,
                "must start with https://, as host '0.0.0.0' is not this machine; option 'allowInsecureHttp' set to true lifts this",
            ),
            (
                "http://127.0.0.1.evil.example",
                false,
                "must start with https://, as host '127.0.0.1.evil.example' is not this machine; option 'allowInsecureHttp' set to true lifts this",
            ),
            (
                "https://169.254.169.254",
                true,
                "must not be the link-local or metadata address 169.254.169.254",
            ),
            (
                "https://0xa9fea9fe",
                true,
                "must not be the link-local or metadata address 169.254.169.254",
            ),
            ("https://[fe80::1]", true, "must not be the link-local or metadata address fe80::1"),
            (
                "https://canary@h",
                false,
                "must hold no user name or password: use the credential options",
            ),
            ("https://h/?a=canary", false, "must end with its path, without '?' or '#'"),
            ("ftp://h", false, "must start with https:// or http://"),
            ("h/api", false, "must be an absolute address, https://host/path"),
        ];
        for (text, allow, expected) in cases {
            match Base::parse("option 'base_url'", text, allow) {
                Ok(base) => assert_eq!(base.origin.to_string(), expected, "{text}"),
                Err(e) => assert_eq!(e.to_string(), format!("option 'base_url' {expected}")),
            }
        }
    }

    #[test]
    fn only_the_same_origin_passes() {
        let base = Base::parse("option 'base_url'", "https://api.github.com/v3", false).unwrap();
        let refused = |other: &str| {
            format!(
                "refused a request to another origin: {other}, the configured one is \
                 https://api.github.com"
            )
        };
        let cases = [
            ("repos", Ok("https://api.github.com/v3/repos")),
            ("/repos?a=b", Ok("https://api.github.com/v3/repos?a=b")),
            ("//evil.example/x", Ok("https://api.github.com/v3/evil.example/x")),
            ("files:batch", Ok("https://api.github.com/v3/files:batch")),
            ("https://api.github.com/other#f", Ok("https://api.github.com/other")),
            ("https://API.GitHub.com:443/x", Ok("https://api.github.com/x")),
            ("https://api.github.com@evil.example/", Err("https://evil.example with a user name")),
            ("https://user@api.github.com/", Err("https://api.github.com with a user name")),
            ("https://api.github.com:444/", Err("https://api.github.com:444")),
            ("http://api.github.com/", Err("http://api.github.com")),
            ("http://api.github.com:443/", Err("http://api.github.com:443")),
            ("https://140.82.112.5/", Err("https://140.82.112.5")),
            ("https://169.254.169.254/", Err("https://169.254.169.254")),
            ("https://api.github.com.evil.example/", Err("https://api.github.com.evil.example")),
            ("https://evilapi.github.com/", Err("https://evilapi.github.com")),
            ("https://github.com/", Err("https://github.com")),
            ("https://api.github.com./", Err("https://api.github.com.")),
            ("https://\u{430}pi.github.com/", Err("https://xn--pi-6kc.github.com")),
            ("file:///etc/passwd", Err("file://")),
        ];
        for (target, expected) in cases {
            let got = base.resolve(target).map(String::from).map_err(|e| e.to_string());
            assert_eq!(got, expected.map(str::to_owned).map_err(refused), "{target}");
        }
    }

    proptest! {
        #[test]
        fn no_target_leads_elsewhere(target in "(https?:)?[/\\\\@:.a-z%?#\\[\\]]{0,30}|.*") {
            let base = Base::parse("option 'base_url'", "https://h/api", false).unwrap();
            if let Ok(url) = base.resolve(&target) {
                prop_assert_eq!(Origin::of(&url), Some(base.origin));
            }
        }
    }

    #[test]
    fn dot_segments_are_refused() {
        let base = Base::parse("option 'base_url'", "https://h/api/v3", false).unwrap();
        for target in ["../x", "repos/../../x", "repos/%2e%2E/x", "a\\..\\b", "./x"] {
            let error = base.resolve(target).unwrap_err().to_string();
            assert!(error.ends_with("cannot be a part of an address"), "{target}: {error}");
        }
        assert_eq!(base.resolve("x?range=../..").unwrap().path(), "/api/v3/x");
    }

    #[test]
    fn path_encodes_each_segment() {
        assert_eq!(path(&["repos", "a/b?c", "ü~.x"]).unwrap(), "repos/a%2Fb%3Fc/%C3%BC~.x");
        for bad in ["", ".", ".."] {
            let expected = format!("'{bad}' cannot be a part of an address");
            assert_eq!(path(&["repos", bad]).unwrap_err().to_string(), expected);
        }
    }
}
