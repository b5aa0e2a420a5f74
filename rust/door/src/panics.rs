//! Panics as errors that say where they happened.

use crate::runtime::WORKER_NAME;
use lakeflow_core::Error;
use std::any::Any;
use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Makes panics leave their location for [`error`], and nothing on standard error: the place for
/// what went wrong is the exception. Threads that neither the host nor the runtime started, such as
/// those of tests, tell as before.
pub fn record_locations() {
    HOOK.call_once(|| {
        let former = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().name().is_some_and(|name| name != WORKER_NAME) {
                return former(info);
            }
            let location = info.location().map(ToString::to_string);
            let _ = LOCATION.try_with(|slot| *slot.borrow_mut() = location);
        }));
    });
}

/// The error of a panic that was caught on this thread.
pub fn error(payload: Box<dyn Any + Send>) -> Error {
    let text = payload
        .downcast_ref::<&'static str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    // A payload whose destructor panics would end the process.
    std::mem::forget(payload);
    let location = LOCATION.try_with(|slot| slot.borrow_mut().take()).ok().flatten();

    Error::internal(format!("panic: {text}"))
        .context("location", location.unwrap_or_else(|| "unknown".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_location() {
        record_locations();
        let lost = || error(std::panic::catch_unwind(|| panic!("lost {}", 1)).unwrap_err());
        let worker = std::thread::Builder::new().name(WORKER_NAME.to_owned());
        let error = worker.spawn(lost).unwrap().join().unwrap().to_string();
        assert!(error.starts_with("panic: lost 1 (location: "), "{error}");
        assert!(error.contains("panics.rs:"), "{error}");
    }
}
