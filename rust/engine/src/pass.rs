//! Passes: one or many lists, below parents if the table has some, read up to one bound.
//!
//! The bound is pinned when the pass begins and kept until it ends, over slices and restarts; the
//! cursor moves only then. Until then the offset says how far the pass has come. Feeds of tokens
//! have no bound: their places move as they are read.

use crate::ahead::{Ahead, Leg};
use crate::parts::{Places, group_key};
use crate::table::Table;
use crate::walk::{Delivery, Reading, Step};
use lakeflow_core::{
    Cursor, Error, ErrorKind, Ingestion, Part, PartKey, Position, Progress, ReadRequest, Result,
};
use std::collections::{BTreeSet, VecDeque};

/// How often a list is begun again because the service has forgotten a place.
const MAX_RESTARTS: u32 = 3;

/// A pass under way.
pub(crate) struct Pass {
    /// The cursor when it began.
    start: Option<Cursor>,
    /// Lower bound below parents that were read before, inclusive.
    from: Option<Cursor>,
    /// Lower bound below other parents, inclusive.
    first_from: Option<Cursor>,
    upto: Option<Cursor>,
    /// Largest order value within the bound.
    largest: Option<Cursor>,
    /// Where the pass was left.
    left: Option<Left>,
    /// Parents still to be read, those of one request together; `None`: not listed yet.
    groups: Option<VecDeque<Vec<Part>>>,
    listed: BTreeSet<u64>,
    legs: Ahead,
    restarts: u32,
    done: bool,
}

/// The place of an interrupted pass: below which parents, and where.
struct Left {
    parts: PartKey,
    at: Option<Position>,
    reached: Option<Cursor>,
}

impl Pass {
    /// A pass from `from`, or `first_from` where nothing was read before; the one that the
    /// reading's offset tells of goes on.
    pub(crate) fn begin(
        reading: &mut Reading,
        from: Option<Cursor>,
        first_from: Option<Cursor>,
    ) -> Result<Self> {
        let table = reading.table.clone();
        reading.memory.seen.begin_reading();
        let mut pass = Self {
            start: reading.reached.clone(),
            from,
            first_from,
            upto: reading.until.clone(),
            largest: None,
            left: None,
            groups: None,
            listed: BTreeSet::new(),
            legs: Ahead::default(),
            restarts: 0,
            done: false,
        };
        match &reading.pass {
            Some(stored) if !is_token(&table) => {
                let value = |text: &Option<String>| match (text, table.order()) {
                    (Some(text), Some(order)) => {
                        Cursor::parse(order.kind, text).map(Some).map_err(|e| {
                            Error::offset_invalid(format!("the checkpoint's pass: {}", e.message()))
                        })
                    }
                    _ => Ok(None),
                };
                pass.upto = value(&stored.upto)?.or(pass.upto);
                pass.largest = value(&stored.largest)?;
                let at = stored.at.clone().map(|at| table.place(stored.version, at)).transpose()?;
                let reached = value(&stored.reached)?;
                let parts = stored.part.clone().unwrap_or(PartKey(String::new()));
                pass.left = Some(Left { parts, at, reached });
            }
            _ => reading.memory.places.begin_pass(),
        }

        Ok(pass)
    }

    /// Whether a drain up to `until` needs another pass after this one.
    pub(crate) fn ends_before(&self, until: Option<&Cursor>) -> bool {
        matches!((&self.upto, until), (Some(upto), Some(until)) if upto < until)
    }

    pub(crate) async fn next(&mut self, reading: &mut Reading) -> Result<Option<Step>> {
        if self.groups.is_none() {
            // A feed that is read before this one may have lowered the bound.
            if let (true, Some(until)) = (reading.exact, &reading.until) {
                self.upto = self.upto.take().map(|upto| upto.min(until.clone()));
            }
            self.groups = Some(self.list_parents(reading).await?);
        }
        while !self.done {
            while self.legs.len() < reading.table.max_concurrent() {
                let Some(parts) = self.groups.as_mut().and_then(VecDeque::pop_front) else { break };
                let leg = self.leg(reading, parts, false)?;
                self.legs.push(leg);
            }
            if self.legs.len() == 0 {
                self.finish(reading);
                return Ok(Some(Step::Safe));
            }
            match self.legs.next().await {
                Ok(Some(Step::Page(delivery))) => return self.page(reading, delivery).map(Some),
                Ok(Some(Step::Safe)) => {
                    self.absorb(reading)?;
                    self.note_place(reading)?;
                    return Ok(Some(Step::Safe));
                }
                Ok(None) => {
                    self.absorb(reading)?;
                    self.end_leg(reading)?;
                    return Ok(Some(Step::Safe));
                }
                Err(error) => self.recover(reading, error)?,
            }
        }

        Ok(None)
    }

    /// Parents in groups; those that an interrupted pass has read are left out.
    async fn list_parents(&mut self, reading: &mut Reading) -> Result<VecDeque<Vec<Part>>> {
        let table = reading.table.clone();
        let Some(parents) = table.spec.parents else { return Ok([Vec::new()].into()) };
        let after = match (&self.from, table.order()) {
            (Some(from), Some(order)) => Some(from.moved(order.step, -1)),
            _ => None,
        };
        let upto = self.upto.clone();
        let request = ReadRequest { after, upto, ..table.request(None, Vec::new()) };
        let mut stream = table.connector.parts(request);
        let mut groups: VecDeque<Vec<Part>> = VecDeque::new();
        let mut last_known = None;
        while let Some(part) = stream.next().await? {
            let id = Places::id(reading.salt, &part);
            let place = reading.memory.places.get(id);
            if !self.listed.insert(id) || place.is_some_and(|place| place.done) {
                continue;
            }
            let known = Some(place.is_some());
            match groups.back_mut() {
                Some(group) if known == last_known && group.len() < parents.per_request => {
                    group.push(part);
                }
                _ => groups.push_back(vec![part]),
            }
            last_known = known;
        }

        Ok(groups)
    }

    /// A list below `parts`; `fresh`: from its beginning, wherever it was left.
    fn leg(&self, reading: &Reading, parts: Vec<Part>, fresh: bool) -> Result<Leg> {
        let table = reading.table.clone();
        let token = is_token(&table);
        let mut leg = Reading::new(table.clone(), None, reading.salt, reading.streaming);
        leg.until.clone_from(&self.upto);
        leg.exact = reading.streaming && !token;
        leg.within.clone_from(&reading.within);
        let known =
            parts.first().map(|part| reading.memory.places.get(Places::id(reading.salt, part)));
        let from = match known {
            Some(None) => &self.first_from,
            Some(Some(_)) | None => &self.from,
        };
        let mut from = from.clone();
        if token {
            let stored = match known {
                Some(place) => place.and_then(|place| place.at.clone()),
                None => reading.pass.as_ref().and_then(|p| Some((p.version, p.at.clone()?))),
            };
            if let Some((version, at)) = stored.filter(|_| !fresh) {
                leg.at = Some(table.place(version, at)?);
                from = None;
            }
        } else if let Some(left) = &self.left
            && !fresh
            && left.parts == group_key(&parts)
        {
            leg.at.clone_from(&left.at);
            from = left.reached.clone().or(from);
        }
        leg.parts = parts;

        Ok(Leg::new(leg, from))
    }

    fn page(&mut self, reading: &mut Reading, mut delivery: Delivery) -> Result<Step> {
        self.absorb(reading)?;
        if !is_token(&reading.table) && reading.streaming && reading.table.order().is_some() {
            reading.mask(&mut delivery);
            self.forget(reading)?;
        }
        if delivery.last {
            self.end_leg(reading)?;
            delivery.safe = true;
        } else if delivery.safe {
            self.note_place(reading)?;
        }

        Ok(Step::Page(delivery))
    }

    /// Takes over what the first list has learnt.
    fn absorb(&mut self, reading: &mut Reading) -> Result<()> {
        let leg = &mut self.legs.front()?.reading;
        for warning in leg.warnings.drain(..) {
            reading.warn_once(&warning);
        }
        if let Some(bound) = leg.server_until.take() {
            reading.lower_until(&bound);
            self.upto = self.upto.take().map(|upto| upto.min(bound));
        }
        let reached = leg.reached.clone();
        let within = match (reached, &self.upto) {
            (Some(reached), Some(upto)) => Some(reached.min(upto.clone())),
            (reached, _) => reached,
        };
        self.largest = self.largest.take().max(within);

        Ok(())
    }

    /// Forgets rows that cannot come again: those below the next pass, and below the place from
    /// which the first list would go on. Rows of an append table are kept until this pass ends,
    /// since a list that moves may show them twice.
    fn forget(&mut self, reading: &mut Reading) -> Result<()> {
        if reading.table.spec.ingestion == Ingestion::Append {
            return Ok(());
        }
        if let (Some(largest), Some(order), Some(reached)) =
            (&self.largest, reading.table.order(), &self.legs.front()?.reading.reached)
        {
            let floor = largest.minus_nanos(order.lookback.as_nanos(), order.step);
            let floor = floor.comparable().min(reached.comparable());
            reading.memory.seen.forget_between(self.start.as_ref().map(Cursor::comparable), floor);
        }

        Ok(())
    }

    /// The offset is to say where the first list stands.
    fn note_place(&mut self, reading: &mut Reading) -> Result<()> {
        let mut pass = self.offset_pass();
        let leg = &self.legs.front()?.reading;
        if is_token(&reading.table) {
            note_token(reading, leg.at.clone(), leg.reached.clone(), &leg.parts);
            return Ok(());
        }
        pass.version = if leg.at.is_some() { reading.table.spec.position_version } else { 0 };
        pass.reached = leg.reached.as_ref().filter(|_| leg.at.is_none()).map(text);
        pass.at.clone_from(&leg.at);
        pass.part = (!leg.parts.is_empty()).then(|| group_key(&leg.parts));
        reading.pass = Some(pass);

        Ok(())
    }

    /// The first list was read to its end.
    fn end_leg(&mut self, reading: &mut Reading) -> Result<()> {
        let leg = self.legs.pop()?.reading;
        self.restarts = 0;
        for part in &leg.parts {
            reading.memory.places.done(Places::id(reading.salt, part));
        }
        if is_token(&reading.table) {
            note_token(reading, leg.at, leg.reached, &leg.parts);
        } else {
            reading.pass = Some(self.offset_pass());
        }
        if self.legs.len() == 0 && self.groups.as_ref().is_none_or(VecDeque::is_empty) {
            self.finish(reading);
        }

        Ok(())
    }

    fn finish(&mut self, reading: &mut Reading) {
        self.done = true;
        if reading.table.spec.parents.is_some() {
            reading.memory.places.end_pass(&self.listed);
        }
        if !is_token(&reading.table) {
            reading.pass = None;
            if let Some(largest) = &self.largest {
                reading.reach(largest);
            }
        }
    }

    fn offset_pass(&self) -> lakeflow_core::Pass {
        lakeflow_core::Pass {
            upto: self.upto.as_ref().map(text),
            largest: self.largest.as_ref().map(text),
            ..lakeflow_core::Pass::default()
        }
    }

    /// Goes on after an error of the first list, if that can be.
    fn recover(&mut self, reading: &mut Reading, error: Error) -> Result<()> {
        let leg = self.legs.pop()?;
        let parts = leg.reading.parts.clone();
        match error.kind() {
            ErrorKind::ParentGone if parts.len() > 1 => {
                for part in parts.into_iter().rev() {
                    let leg = self.leg(reading, vec![part], true)?;
                    self.legs.push_front(leg);
                }
            }
            ErrorKind::ParentGone if !parts.is_empty() => {
                for part in &parts {
                    self.listed.remove(&Places::id(reading.salt, part));
                }
                reading.parents_gone();
            }
            ErrorKind::PositionExpired if reading.streaming && self.restarts < MAX_RESTARTS => {
                self.restarts += 1;
                let leg = self.begin_again(reading, parts, error)?;
                self.legs.push_front(leg);
            }
            _ => return Err(error),
        }

        Ok(())
    }

    /// The service has forgotten the place of a list.
    fn begin_again(&self, reading: &mut Reading, parts: Vec<Part>, error: Error) -> Result<Leg> {
        let mut leg = self.leg(reading, parts, true)?;
        reading.memory.seen.begin_reading();
        if !is_token(&reading.table) {
            reading.warn_once(
                "the service no longer knows the place of an interrupted read: it begins again, \
                 and records may come twice",
            );
            return Ok(leg);
        }
        if let (true, Some(cursor), Some(order)) =
            (leg.reading.parts.is_empty(), &reading.reached, reading.table.order())
        {
            leg.from = Some(cursor.minus_nanos(order.lookback.as_nanos(), order.step));
            return Ok(leg);
        }
        let since = reading.pass.as_ref().and_then(|pass| pass.since.as_deref());
        let missed = format!(
            "the service no longer knows the place at which this feed was left: changes since {} \
             are missed",
            since.unwrap_or("then")
        );
        if reading.table.settings.flag("failOnDataLoss") {
            return Err(Error::new(
                ErrorKind::PositionExpired,
                format!("{missed}; use a new checkpoint, or failOnDataLoss=false to begin again"),
            )
            .source(error));
        }
        reading.warn_once(&format!(
            "{missed}; the feed begins again, and deletes in between need a comparison of keys"
        ));

        Ok(leg)
    }
}

fn note_token(
    reading: &mut Reading,
    at: Option<Position>,
    reached: Option<Cursor>,
    parts: &[Part],
) {
    let Some(at) = at else { return };
    let version = reading.table.spec.position_version;
    let since = Some(reading.table.clock.now().to_rfc3339(0));
    let place = match parts.first() {
        Some(part) => {
            reading.memory.places.move_to(Places::id(reading.salt, part), version, at);
            lakeflow_core::Pass { since, ..lakeflow_core::Pass::default() }
        }
        None => {
            if let Some(reached) = reached {
                reading.reach(&reached);
            }
            lakeflow_core::Pass { at: Some(at), version, since, ..lakeflow_core::Pass::default() }
        }
    };
    reading.pass = Some(place);
}

fn is_token(table: &Table) -> bool {
    matches!(table.progress(), Progress::Token { .. })
}

fn text(cursor: &Cursor) -> String {
    cursor.raw().to_owned()
}
