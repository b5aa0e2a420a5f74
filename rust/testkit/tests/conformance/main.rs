//! One suite for every source and every table: see `entries.rs` for how a source is added.
//!
//! `cargo test -p lakeflow-testkit --test conformance -- --nocapture` prints table by check.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    missing_docs,
    reason = "a test ends at the first surprise"
)]

mod bench;
mod changes;
mod check;
mod description;
mod discovery;
mod drains;
mod entries;
mod entry;
mod exemptions;
mod faults;
mod mutants;
mod openapi;
mod reads;
mod rows;
mod secrets;
mod server;
mod tap;

use check::Group;

macro_rules! conformance {
    ($($(#[$ignored:meta])? $source:ident => $entry:ident),+ $(,)?) => {$(
        mod $source {
            use super::{Group, check, entries};

            #[tokio::test]
            $(#[$ignored])?
            async fn discovery() {
                check::hold(&entries::$entry, Group::Discovery).await;
            }

            #[tokio::test]
            $(#[$ignored])?
            async fn reads() {
                check::hold(&entries::$entry, Group::Reads).await;
            }

            #[tokio::test]
            $(#[$ignored])?
            async fn drains() {
                check::hold(&entries::$entry, Group::Drains).await;
            }

            #[tokio::test]
            $(#[$ignored])?
            async fn changes() {
                check::hold(&entries::$entry, Group::Changes).await;
            }

            #[tokio::test]
            $(#[$ignored])?
            async fn faults() {
                check::hold(&entries::$entry, Group::Faults).await;
            }

            #[tokio::test]
            $(#[$ignored])?
            async fn secrets() {
                check::hold(&entries::$entry, Group::Secrets).await;
            }
        }
    )+

        #[test]
        fn every_source_of_the_registry_is_under_test() {
            let mut tested = vec![$(entries::$entry.source.name),+];
            tested.retain(|name| *name != lakeflow_testkit::kit::KIT.name);
            tested.sort_unstable();
            let mut known: Vec<_> = lakeflow_connectors::SOURCES.iter().map(|s| s.name).collect();
            known.sort_unstable();
            assert_eq!(tested, known, "add an entry to entries.rs and a line to main.rs");
        }
    };
}

conformance! {
    example => EXAMPLE,
    github => GITHUB,
    hubspot => HUBSPOT,
    mailchimp => MAILCHIMP,
    shopify => SHOPIFY,
    zendesk => ZENDESK,
    kit_with_refresh_token => KIT_WITH_REFRESH,
    kit_with_client_credentials => KIT_WITH_CLIENT,
    kit_with_access_token => KIT_WITH_TOKEN,
    kit_with_key => KIT_WITH_KEY,
}
