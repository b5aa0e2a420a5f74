//! The list of sources.

use lakeflow_core::Source;

/// Every source that this crate knows, by id.
pub static SOURCES: &[&Source] = &[
    &crate::example::SOURCE,
    &crate::github::SOURCE,
    &crate::hubspot::SOURCE,
    &crate::mailchimp::SOURCE,
    &crate::shopify::SOURCE,
    &crate::zendesk::SOURCE,
];
