//! What an error response means.

use lakeflow_core::{ErrorKind, Instant, Retry};
use reqwest::header::HeaderMap;
use std::borrow::Cow;
use std::time::Duration;

/// A response whose status says that the request failed, as a service's mapping function sees it.
#[derive(Clone, Copy)]
pub struct ErrorReply<'a> {
    /// Status code, never 2xx.
    pub status: u16,
    /// Path of the request, from the root of the host.
    pub path: &'a str,
    /// Body, decoded; at most its first 64 KiB.
    pub body: &'a [u8],
    pub(crate) headers: &'a HeaderMap,
}

impl ErrorReply<'_> {
    /// The first value of a header, if it is ASCII text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim)
    }

    /// The first value of a header, if it is a whole number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.header(name)?.parse().ok()
    }

    /// The body as text, decoded lossily.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.body)
    }
}

impl std::fmt::Debug for ErrorReply<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ErrorReply").field("status", &self.status).finish_non_exhaustive()
    }
}

/// A pause that the service asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// This long.
    For(Duration),
    /// Until this moment by the service's clock.
    Until(Instant),
}

/// What an error response means and whether the request may be repeated.
///
/// Unless [`retry`](Self::retry) says otherwise, `RateLimited` and `SourceUnavailable` are repeated
/// (but not after status 501 and 505), other kinds are not. Without a [`wait`](Self::wait) the
/// `Retry-After` header counts, without that the pauses grow by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub(crate) kind: ErrorKind,
    pub(crate) message: Option<String>,
    pub(crate) wait: Option<Wait>,
    pub(crate) retry: Option<bool>,
}

impl Verdict {
    /// An error of this kind.
    pub fn new(kind: ErrorKind) -> Self {
        Self { kind, message: None, wait: None, retry: None }
    }

    /// What a status means by itself: 401 `AuthFailed`, 403 `PermissionDenied`, 408, 425 and 5xx
    /// `SourceUnavailable`, 429 `RateLimited`, everything else `BadResponse`.
    pub fn of_status(status: u16) -> Self {
        Self::new(match status {
            401 => ErrorKind::AuthFailed,
            403 => ErrorKind::PermissionDenied,
            429 => ErrorKind::RateLimited,
            408 | 425 | 500..=599 => ErrorKind::SourceUnavailable,
            _ => ErrorKind::BadResponse,
        })
    }

    /// What to tell the user in place of "the service answered 404 Not Found".
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// The pause that the service asks for, where it does not use `Retry-After`.
    pub fn wait(mut self, wait: Wait) -> Self {
        self.wait = Some(wait);
        self
    }

    /// Whether the request may be repeated.
    pub fn retry(mut self, retry: bool) -> Self {
        self.retry = Some(retry);
        self
    }

    /// The retry class, `asked` being the pause that the service asks for.
    pub(crate) fn class(&self, status: u16, asked: Option<Duration>) -> Retry {
        let repeat = self.retry.unwrap_or(match self.kind {
            ErrorKind::RateLimited => true,
            ErrorKind::SourceUnavailable => !matches!(status, 501 | 505),
            _ => false,
        });
        match asked {
            _ if !repeat => Retry::Never,
            Some(pause) => Retry::After(pause),
            None => Retry::Backoff,
        }
    }
}

impl From<ErrorKind> for Verdict {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_alone_decides_kind_and_retry_by_default() {
        use ErrorKind::*;
        let cases = [
            (400, BadResponse, Retry::Never),
            (401, AuthFailed, Retry::Never),
            (403, PermissionDenied, Retry::Never),
            (404, BadResponse, Retry::Never),
            (408, SourceUnavailable, Retry::Backoff),
            (429, RateLimited, Retry::Backoff),
            (500, SourceUnavailable, Retry::Backoff),
            (501, SourceUnavailable, Retry::Never),
            (503, SourceUnavailable, Retry::Backoff),
            (505, SourceUnavailable, Retry::Never),
            (524, SourceUnavailable, Retry::Backoff),
        ];
        for (status, kind, retry) in cases {
            let verdict = Verdict::of_status(status);
            assert_eq!((verdict.kind, verdict.class(status, None)), (kind, retry), "{status}");
        }
    }

    #[test]
    fn a_verdict_may_overrule_both() {
        let pause = Some(Duration::from_secs(3));

        assert_eq!(
            Verdict::new(ErrorKind::BadResponse).retry(true).class(404, pause),
            Retry::After(Duration::from_secs(3))
        );
        assert_eq!(Verdict::of_status(503).retry(false).class(503, pause), Retry::Never);
    }
}
