//! One error type for the workspace: kind, retry class, context, source.

use std::fmt;
use std::time::Duration;

/// `Result` with the workspace's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in terms a user can act on.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// An option is missing, unknown or malformed. Correct the option that the message names.
    ConfigInvalid,
    /// The service rejected the credentials. Renew them.
    AuthFailed,
    /// The credentials are valid but lack a right. Grant the scope that the source's page names.
    PermissionDenied,
    /// The table is not one of the source's. The message lists those that are.
    TableNotFound,
    /// A stored offset does not fit this read: another table, repository, host or version. Use a
    /// new checkpoint, or restore the option that changed.
    OffsetInvalid,
    /// The service's request budget is used up and waiting it out would take too long.
    RateLimited,
    /// The service cannot be reached or answers with server errors. Try again later.
    SourceUnavailable,
    /// The service answered something that is not what its API promises.
    BadResponse,
    /// A value does not fit its column. The message names table, column path and record.
    DataInvalid,
    /// The place of an incremental read is no longer known to the service.
    PositionExpired,
    /// The parent of a child table is gone.
    ParentGone,
    /// The table or source does not offer what was asked for.
    Unsupported,
    /// The read was closed or interrupted.
    Cancelled,
    /// A defect of this library. Report it.
    Internal,
}

impl ErrorKind {
    /// Stable code, as Java, Python and the error catalogue spell it.
    pub fn code(self) -> &'static str {
        match self {
            Self::ConfigInvalid => "CONFIG_INVALID",
            Self::AuthFailed => "AUTH_FAILED",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::TableNotFound => "TABLE_NOT_FOUND",
            Self::OffsetInvalid => "OFFSET_INVALID",
            Self::RateLimited => "RATE_LIMITED",
            Self::SourceUnavailable => "SOURCE_UNAVAILABLE",
            Self::BadResponse => "BAD_RESPONSE",
            Self::DataInvalid => "DATA_INVALID",
            Self::PositionExpired => "POSITION_EXPIRED",
            Self::ParentGone => "PARENT_GONE",
            Self::Unsupported => "UNSUPPORTED",
            Self::Cancelled => "CANCELLED",
            Self::Internal => "INTERNAL",
        }
    }

    /// Every kind, in the order of declaration.
    pub const ALL: &'static [ErrorKind] = &[
        Self::ConfigInvalid,
        Self::AuthFailed,
        Self::PermissionDenied,
        Self::TableNotFound,
        Self::OffsetInvalid,
        Self::RateLimited,
        Self::SourceUnavailable,
        Self::BadResponse,
        Self::DataInvalid,
        Self::PositionExpired,
        Self::ParentGone,
        Self::Unsupported,
        Self::Cancelled,
        Self::Internal,
    ];
}

/// Whether the same call may be repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retry {
    /// Repeating gives the same error.
    #[default]
    Never,
    /// Repeat after this pause, which the service asked for.
    After(Duration),
    /// Repeat after a pause of the caller's choice.
    Backoff,
    /// Was worth repeating, and the repeats are used up: outer layers stop.
    Exhausted,
}

/// `never`, `backoff`, `exhausted`, or `after:` and milliseconds.
impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::Backoff => f.write_str("backoff"),
            Self::Exhausted => f.write_str("exhausted"),
            Self::After(pause) => write!(f, "after:{}", pause.as_millis()),
        }
    }
}

/// An error with its kind, retry class, context pairs and cause.
///
/// `Display` is one line, `message (table: t, request: GET /x)`; causes are in
/// [`source`](std::error::Error::source).
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    retry: Retry,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A new error; `message` is lower case, without a final period.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            retry: Retry::Never,
            context: Vec::new(),
            source: None,
        }))
    }

    /// [`ErrorKind::ConfigInvalid`].
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::ConfigInvalid, message)
    }

    /// [`ErrorKind::Internal`], for a case that cannot arise unless this library is wrong.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// [`ErrorKind::BadResponse`].
    pub fn bad_response(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadResponse, message)
    }

    /// [`ErrorKind::Unsupported`].
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// [`ErrorKind::OffsetInvalid`].
    pub fn offset_invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::OffsetInvalid, message)
    }

    /// Sets the retry class.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Names the table, once.
    pub fn table(self, table: impl Into<String>) -> Self {
        self.context("table", table)
    }

    /// Adds a context pair unless the key is there already; values must hold no secret.
    pub fn context(mut self, key: &'static str, value: impl Into<String>) -> Self {
        if !self.0.context.iter().any(|(k, _)| *k == key) {
            self.0.context.push((key, value.into()));
        }

        self
    }

    /// Sets the cause.
    pub fn source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Replaces the message and every context value by `f` of it: the place where secrets are
    /// removed by value.
    pub fn map_text(mut self, f: impl Fn(&str) -> String) -> Self {
        self.0.message = f(&self.0.message);
        for (_, value) in &mut self.0.context {
            *value = f(value);
        }

        self
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The retry class.
    pub fn retry_class(&self) -> Retry {
        self.0.retry
    }

    /// The message without context.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The context pairs in the order they were added.
    pub fn context_pairs(&self) -> &[(&'static str, String)] {
        &self.0.context
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (i, (key, value)) in self.0.context.iter().enumerate() {
            write!(f, "{}{key}: {value}", if i == 0 { " (" } else { ", " })?;
        }
        if !self.0.context.is_empty() {
            f.write_str(")")?;
        }

        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self}", self.0.kind.code())?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, "; caused by: {error}")?;
            cause = error.source();
        }

        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|e| e as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_classes_have_stable_names() {
        let cases = [
            (Retry::Never, "never"),
            (Retry::Backoff, "backoff"),
            (Retry::Exhausted, "exhausted"),
            (Retry::After(Duration::from_millis(1500)), "after:1500"),
        ];
        for (retry, text) in cases {
            assert_eq!(retry.to_string(), text);
        }
    }

    #[test]
    fn display_is_one_line_with_context_and_debug_adds_causes() {
        let error = Error::bad_response("no records")
            .table("issues")
            .table("ignored")
            .context("request", "GET /x")
            .source(std::io::Error::other("reset"));

        assert_eq!(error.to_string(), "no records (table: issues, request: GET /x)");
        assert_eq!(
            format!("{error:?}"),
            "BAD_RESPONSE: no records (table: issues, request: GET /x); caused by: reset"
        );
    }
}
