//! Connectors, one folder per service.
//!
//! A connector says only what is peculiar to its service: tables, requests, where records lie in an
//! answer, what an error means. Everything else is the kit's and the engine's.
#![forbid(unsafe_code)]

pub mod example;
pub mod github;
pub mod hubspot;
pub mod mailchimp;
mod registry;
mod schema;
pub mod shopify;
#[cfg(test)]
mod testing;
pub mod zendesk;

pub use registry::SOURCES;
