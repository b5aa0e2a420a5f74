//! Fake APIs on loopback, served from data.
//!
//! A source is two files: `specs/<source>/endpoints.yaml` says what its API accepts and answers,
//! `specs/<source>/corpus.yaml` what its records look like. No source is named in this code.
//! A [`Simulator`] generates the records from a seed and answers queries over them; faults and
//! changes of the records can be set while it runs. A [`Recorder`] stores traffic with a real host,
//! a [`Replay`] answers from it.
//!
//! ```no_run
//! # async fn example() -> lakeflow_core::Result<()> {
//! use lakeflow_simulator::{Fault, Simulator};
//!
//! let simulator = Simulator::builder().source("github").rows("github", "issues", 500).start().await?;
//! simulator.fault(Fault::status(503).on("/github/repos/*").nth(2));
//! let base_url = simulator.base_url("github");
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod admin;
mod answer;
mod auth;
mod batch;
mod churn;
mod clock;
mod corpus;
mod fault;
mod fields;
mod links;
mod list;
mod oauth;
mod paging;
mod rate;
mod record;
mod redact;
mod replay;
mod search;
mod shape;
mod simulator;
mod spec;
mod table;
mod template;
mod token;
mod value;
mod wire;
mod world;

pub use churn::{Churn, Grow};
pub use fault::{Fault, FaultKind};
pub use oauth::OAuth;
pub use record::Recorder;
pub use replay::{Origin, Replay};
pub use simulator::{Builder, LoggedRequest, Simulator};
pub use world::World;
