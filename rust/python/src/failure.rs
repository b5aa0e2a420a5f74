//! Errors as Python exceptions.

use lakeflow_core::{Error, ErrorKind};
use pyo3::prelude::*;
use std::fmt;

/// What ends a call.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The request failed.
    Request(Error),
    /// Python raised something, as it does on Ctrl-C.
    Python(PyErr),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Request(error)
    }
}

impl From<PyErr> for Failure {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(error) => write!(f, "[{}] {error}", error.kind().code()),
            Self::Python(error) => write!(f, "[CANCELLED] the read was interrupted: {error}"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Request(error) => {
                Python::attach(|py| exception(py, &error).unwrap_or_else(|raised| raised))
            }
            Failure::Python(error) => error,
        }
    }
}

/// The package's exception for `error`.
fn exception(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let errors = py.import("lakeflow_connect.errors")?;
    let (code, retry) = (error.kind().code(), error.retry_class().to_string());
    let exception = errors.call_method1("of", (code, error.to_string(), retry))?;

    Ok(PyErr::from_value(exception))
}

/// Fails once Python has a signal to handle.
pub(crate) fn stop() -> Result<(), Failure> {
    Python::try_attach(|py| Ok(py.check_signals()?)).unwrap_or_else(|| Err(ended()))
}

/// What ends a read whose interpreter takes no more calls.
pub(crate) fn ended() -> Failure {
    Error::new(ErrorKind::Cancelled, "Python is ending").into()
}
