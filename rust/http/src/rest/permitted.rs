//! Answers that a table can do without.

use lakeflow_core::{ErrorKind, Result};

/// `answer`, or `None` and a warning in the log if the credentials may not see `what`.
///
/// # Errors
/// Every other error of `answer`.
pub fn if_permitted<T>(what: &'static str, answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            tracing::warn!(what, %error, "left out for lack of a right");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
