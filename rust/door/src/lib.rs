//! What the doors into other languages share, and nothing that knows one of those languages.
//!
//! A door hands options over as text and gets Arrow back. Work runs as [`Task`]s on the one
//! [`runtime`](runtime::runtime) of the process; every wait for it is bounded, so that the host can
//! notice interrupts. [`StoredStream`] is the driver's side of a stream, for hosts without
//! a Spark of Java around them.
#![forbid(unsafe_code)]

mod mapping;
pub mod panics;
mod progress;
mod reads;
mod request;
pub mod runtime;
mod store;
mod stream;
mod task;

pub use mapping::{Mapping, require_readable};
pub use reads::{as_json, batch, describe, metrics, plan, resolve, slice};
pub use request::{Condition, OptionMap, Place, Wanted, parse};
pub use store::{Part, StoredBatches};
pub use stream::{Background, StoredStream};
pub use task::{Items, Next, Task, answer};
