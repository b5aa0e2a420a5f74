//! Sources that move while they are read.

use crate::table::Slot;
use crate::value::Mix;
use crate::world::{Place, SourceState};
use lakeflow_core::{Instant, Result};
use serde::Deserialize;
use std::collections::HashSet;

/// Rows that were already listed change again while the list is walked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Churn {
    /// The source.
    pub source: String,
    /// The collection, `issues` (every scope) or `acme/widgets/issues`.
    pub collection: String,
    /// On every so many list requests; 1 or more.
    #[serde(default = "one")]
    pub every_requests: u64,
    /// How many listed rows, chosen at random.
    #[serde(default = "one")]
    pub rows: u64,
    /// Also the first and the last row of the page served before.
    #[serde(default)]
    pub page_edges: bool,
    /// Seed of the choice.
    #[serde(default)]
    pub seed: u64,
}

/// A source that gets new rows while it is read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grow {
    /// The source.
    pub source: String,
    /// The collection, `issues` (every scope) or `acme/widgets/issues`.
    pub collection: String,
    /// On every so many list requests; 1 or more.
    #[serde(default = "one")]
    pub every_requests: u64,
    /// How many new rows.
    #[serde(default = "one")]
    pub rows: u64,
}

fn one() -> u64 {
    1
}

/// A churn or growth with what it has seen so far.
pub(crate) struct Movement {
    kind: Kind,
    requests: u64,
    mix: Mix,
    listed: Vec<(Place, Slot)>,
    known: HashSet<(Place, Slot)>,
    last_page: Option<(Place, Vec<Slot>)>,
}

enum Kind {
    Churn(Churn),
    Grow(Grow),
}

impl Movement {
    pub(crate) fn churn(churn: Churn) -> Self {
        let mix = Mix::new(&[churn.seed]);
        Self::new(Kind::Churn(churn), mix)
    }

    pub(crate) fn grow(grow: Grow) -> Self {
        Self::new(Kind::Grow(grow), Mix::new(&[]))
    }

    fn new(kind: Kind, mix: Mix) -> Self {
        Self { kind, requests: 0, mix, listed: Vec::new(), known: HashSet::new(), last_page: None }
    }

    fn applies(&self, source: &str, place: &Place) -> bool {
        let (own, collection) = match &self.kind {
            Kind::Churn(churn) => (&churn.source, &churn.collection),
            Kind::Grow(grow) => (&grow.source, &grow.collection),
        };
        own == source
            && (*collection == place.0 || *collection == format!("{}/{}", place.1, place.0))
    }

    /// Called before a list is answered.
    pub(crate) fn before_list(
        &mut self,
        source: &str,
        state: &mut SourceState,
        place: &Place,
        now: Instant,
    ) -> Result<()> {
        if !self.applies(source, place) {
            return Ok(());
        }
        self.requests += 1;
        match &self.kind {
            Kind::Grow(grow) => {
                if self.requests.is_multiple_of(grow.every_requests.max(1)) {
                    for _ in 0..grow.rows {
                        state.grow(place, now)?;
                    }
                }
            }
            Kind::Churn(churn) => {
                if !self.requests.is_multiple_of(churn.every_requests.max(1)) {
                    return Ok(());
                }
                for _ in 0..churn.rows {
                    if let Some((place, slot)) = self.mix.pick(&self.listed) {
                        state.touch(place, *slot, now)?;
                    }
                }
                if let (true, Some((place, slots))) = (churn.page_edges, &self.last_page) {
                    let edges: HashSet<_> = slots.first().into_iter().chain(slots.last()).collect();
                    for slot in edges {
                        state.touch(place, *slot, now)?;
                    }
                }
            }
        }

        Ok(())
    }

    /// Called with the page that a list is answered with.
    pub(crate) fn after_list(&mut self, source: &str, place: &Place, slots: &[Slot]) {
        if !matches!(self.kind, Kind::Churn(_)) || !self.applies(source, place) {
            return;
        }
        for slot in slots {
            if self.known.insert((place.clone(), *slot)) {
                self.listed.push((place.clone(), *slot));
            }
        }
        self.last_page = Some((place.clone(), slots.to_vec()));
    }
}
