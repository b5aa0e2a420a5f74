//! Batch reads in splits: ranges of a field that never changes, one for each task.
//!
//! Splits touch and share no value; the first is open below. They end where the read was planned, in
//! the field by which they are split, and a split by a field of its own is read to its end, however
//! late its records change. On request the range of an order that moves is split: a record that
//! changes while it is read may then move from a split that is still to be read into one that was.
//!
//! A stream that is far behind is read so too, if the user wants it: its range lies so far back that
//! nothing in it shows late, and is planned again when a micro-batch is repeated.

use crate::engine::random_bits;
use crate::filter::Wanted;
use crate::table::Table;
use crate::walk::{Delivery, clock_bound};
use lakeflow_arrow::json_text;
use lakeflow_core::{
    Cursor, CursorKind, Error, ErrorKind, Feed, Ingestion, Instant, Latest, Offset, Order,
    Progress, ReadRequest, Result, SplitBy, Step, Until, Within,
};
use serde_json::{Value, json};
use std::time::Duration;

/// Splits for each task that can run at once: records are not spread evenly over time.
const PER_SLOT: usize = 3;

/// Windows that a stream must be behind before tasks read it, and that they read at once.
const LEAST_WINDOWS: i128 = 8;
const MOST_WINDOWS: i128 = 1_000;

const DAY: Duration = Duration::from_secs(86_400);

/// A part of a batch read, as plain data; the default is all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Lowest value, inclusive.
    from: Option<String>,
    /// Highest value, inclusive.
    upto: Option<String>,
    /// Records without a value, and no others.
    null: bool,
    /// Where the read ends, pinned when it was planned.
    until: Option<String>,
    /// Splits that are read at once.
    at_once: u32,
}

impl Default for Split {
    fn default() -> Self {
        Self { from: None, upto: None, null: false, until: None, at_once: 1 }
    }
}

impl Split {
    /// `{"from", "upto", "null", "until", "at_once"}`.
    pub fn to_json(&self) -> Value {
        json!({
            "from": self.from,
            "upto": self.upto,
            "null": self.null,
            "until": self.until,
            "at_once": self.at_once,
        })
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] for anything else: splits are written by the engine only.
    pub fn from_json(json: &Value) -> Result<Self> {
        let text = |name: &str| match json.get(name) {
            Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            _ => Err(Error::internal("a split is malformed").context("member", name)),
        };
        let null = json.get("null").and_then(Value::as_bool);
        let null = null.ok_or_else(|| Error::internal("a split is malformed"))?;

        let at_once = json.get("at_once").and_then(Value::as_u64);
        let at_once = at_once.and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
        let at_once = at_once.ok_or_else(|| Error::internal("a split is malformed"))?;
        let (from, upto, until) = (text("from")?, text("upto")?, text("until")?);

        Ok(Self { from, upto, null, until, at_once })
    }

    /// The part of what the credential may send that is this split's; the others, in whichever
    /// process, have the rest.
    pub fn share(&self) -> f64 {
        1.0 / f64::from(self.at_once)
    }

    /// Whether this is not all of the read.
    fn is_part(&self) -> bool {
        *self != Self { at_once: self.at_once, ..Self::default() }
    }

    /// Takes in what this split leaves of what is wanted of `table`.
    pub(crate) fn narrow(&self, table: &Table, wanted: &mut Wanted) -> Result<()> {
        if !self.is_part() {
            return Ok(());
        }
        let by = By::of(table).map_err(|why| Error::internal(why).table(table.name.as_str()))?;
        let value = |text: &Option<String>| {
            text.as_deref().map(|text| Cursor::parse(by.kind(), text)).transpose()
        };
        let (from, upto) = (value(&self.from)?, value(&self.upto)?);
        if let (Some(until), Some(order)) = (&self.until, table.order()) {
            wanted.until = Some(Cursor::parse(order.kind, until)?);
        }
        match by {
            By::Order(_) => {
                wanted.from = wanted.from.take().max(from);
                wanted.bound = upto;
            }
            By::Field(_) if self.null => wanted.within = Some(Within::Null),
            By::Field(_) => wanted.within = Some(Within::Range { from, upto }),
        }

        Ok(())
    }
}

/// By what a table can be split.
enum By<'a> {
    Order(&'a Order),
    Field(&'a SplitBy),
}

impl<'a> By<'a> {
    /// That of `table`; or why it is read by one task.
    fn of(table: &'a Table) -> Result<Self, &'static str> {
        if table.feed == Feed::Deletes {
            return Err("deletes are read by one task");
        }
        if table.child_of.is_some() || table.spec.parents.is_some() {
            return Err("its records lie below others, which every task would have to list");
        }
        let by = match (table.spec.split_by.as_ref(), table.order()) {
            (Some(by), order) if order.is_none_or(|o| o.field.as_ref() != Some(&by.field)) => {
                Self::Field(by)
            }
            _ if table.first_by_place() => return Err("it is read by places of the service"),
            (_, Some(order)) => Self::Order(order),
            (_, None) => return Err("it has no order by which parts of it could be asked for"),
        };
        let bounded =
            matches!(table.progress(), Progress::Ascending { .. } | Progress::Windows { .. });
        match &by {
            Self::Order(order) if !bounded || order.field.is_none() => {
                Err("the service cannot give a part of it")
            }
            by if by.unit().is_none() => Err("it is not ordered by time"),
            _ => Ok(by),
        }
    }

    fn kind(&self) -> CursorKind {
        match self {
            Self::Order(order) => order.kind,
            Self::Field(by) => by.kind,
        }
    }

    fn step(&self) -> Step {
        match self {
            Self::Order(order) => order.step,
            Self::Field(by) => by.step,
        }
    }

    /// `ends` in so many splits of `span`, the first from where it begins, the last to where it ends.
    fn cut(&self, span: &Span, count: i128, ends: &Split) -> Vec<Split> {
        let text = |units: i128| {
            let instant = Instant::from_nanos(units * span.unit);
            let value = Cursor::of_time(self.kind(), instant, self.step());
            value.map(|value| value.raw().to_owned())
        };
        let split = |k: i128| Split {
            from: if k == 0 { ends.from.clone() } else { text(span.start(k, count)) },
            upto: match k + 1 == count {
                true => ends.upto.clone(),
                false => text(span.start(k + 1, count) - 1),
            },
            ..ends.clone()
        };

        (0..count).map(split).collect()
    }

    /// Nanoseconds between two values that the service can tell apart; `None` if values are no times.
    fn unit(&self) -> Option<i128> {
        match (self.kind(), self.step()) {
            (CursorKind::Integer | CursorKind::Text, _) => None,
            (_, Step::Nanos(nanos)) => Some(i128::from(nanos.max(1))),
            (_, Step::Day) => i128::try_from(DAY.as_nanos()).ok(),
            (_, Step::One | Step::None) => None,
        }
    }
}

/// Checks that the table can be split if option `numPartitions` asks for it.
pub(crate) fn check(table: &Table) -> Result<()> {
    match (asked(table), By::of(table)) {
        (Some(2..), Err(why)) => Err(Error::config(format!(
            "option 'numPartitions' does not apply to table '{}': {why}; leave it out",
            table.name
        ))
        .table(table.name.as_str())),
        _ => Ok(()),
    }
}

fn asked(table: &Table) -> Option<usize> {
    table.settings.integer("numPartitions").and_then(|n| usize::try_from(n).ok())
}

/// The splits in which `slots` tasks at once are to read what is `wanted` of `table`; the service is
/// asked for no more than where they begin.
pub(crate) async fn plan(table: &Table, wanted: &Wanted, slots: usize) -> Result<Vec<Split>> {
    let whole = || Ok(vec![Split::default()]);
    let (Ok(by), most) = (By::of(table), most(table, slots)) else { return whole() };
    let Some(unit) = by.unit().filter(|_| most > 1) else { return whole() };
    let until = until(table).await?;
    let lowest = lowest(table, wanted, &by, until.as_ref()).await?;
    let Some((lowest, first)) = lowest.and_then(|lowest| Some((lowest.clone(), lowest.instant()?)))
    else {
        return whole();
    };
    let by_order = matches!(by, By::Order(_));
    let last = until.as_ref().and_then(Cursor::instant).unwrap_or_else(|| table.clock.now());
    let bound = wanted.upto.as_ref().filter(|_| by_order).and_then(Cursor::instant);
    let span = Span {
        unit,
        first: first.nanos().div_euclid(unit),
        last: bound.map_or(last, |bound| bound.min(last)).nanos().div_euclid(unit),
    };
    let count = match asked(table) {
        Some(asked) => span.parts(asked, Duration::ZERO),
        None => span.parts(most, narrowest(table)),
    };
    if count == 1 && !by_order {
        return whole();
    }
    // What is made after the read was planned is no part of it.
    let upto = until.as_ref().and_then(Cursor::instant).filter(|_| !by_order);
    let upto = upto.and_then(|upto| Cursor::of_time(by.kind(), upto, by.step()));
    let until = until.filter(|_| count > 1).map(|until| until.raw().to_owned());
    let in_windows = by_order && matches!(table.progress(), Progress::Windows { .. });
    let ends = Split {
        // Each read of windows would look for the beginning again.
        from: in_windows.then(|| lowest.raw().to_owned()),
        upto: upto.map(|upto| upto.raw().to_owned()),
        until: until.clone(),
        ..Split::default()
    };
    let mut splits = by.cut(&span, count, &ends);
    if matches!(by, By::Field(SplitBy { nullable: true, .. })) {
        splits.push(Split { null: true, until, ..Split::default() });
    }

    Ok(at_once(splits, slots))
}

/// `splits` of which `slots` are read at once.
fn at_once(splits: Vec<Split>, slots: usize) -> Vec<Split> {
    let at_once = u32::try_from(splits.len().min(slots.max(1))).unwrap_or(u32::MAX);

    splits.into_iter().map(|split| Split { at_once, ..split }).collect()
}

/// The most splits of `table`: as many as are asked for, else some for each of the tasks that run
/// at once if the table says by what to split it.
fn most(table: &Table, slots: usize) -> usize {
    match (asked(table), &table.spec.split_by) {
        (Some(asked), _) => asked,
        (None, Some(_)) if slots > 1 => slots.saturating_mul(PER_SLOT),
        _ => 1,
    }
}

/// Values that the service can tell apart, numbered: from the first one to the last.
struct Span {
    /// Nanoseconds from one to the next.
    unit: i128,
    first: i128,
    last: i128,
}

impl Span {
    /// The number of parts: at most so many, none narrower than `narrowest`, none empty.
    fn parts(&self, most: usize, narrowest: Duration) -> i128 {
        let narrowest = i128::try_from(narrowest.as_nanos()).unwrap_or(i128::MAX);
        let fit = self.len().saturating_mul(self.unit) / narrowest.max(self.unit);

        i128::try_from(most).unwrap_or(i128::MAX).min(fit).max(1)
    }

    /// The first value of part `k` of `count`.
    fn start(&self, k: i128, count: i128) -> i128 {
        self.first + self.len() * k / count
    }

    fn len(&self) -> i128 {
        (self.last - self.first + 1).max(0)
    }
}

/// Checks that tasks can read a stream of `table` where option `streamReads` asks for it.
pub(crate) fn check_stream(table: &Table) -> Result<()> {
    let deletes = table.feed == Feed::Deletes || table.deletes.is_some();
    let possible = deletes || window(table).is_some();
    if !by_executors(table) || possible {
        return Ok(());
    }

    Err(Error::config(format!(
        "option 'streamReads' cannot be executors for table '{}': it is not read in windows of \
         time; leave it out",
        table.name
    ))
    .table(table.name.as_str()))
}

fn by_executors(table: &Table) -> bool {
    table.settings.get("streamReads") == Some("executors")
}

/// The window of a table whose stream tasks can read; deletes are always sliced.
fn window(table: &Table) -> Option<Duration> {
    match (table.progress(), By::of(table)) {
        _ if table.deletes.is_some() => None,
        (Progress::Windows { window, .. }, Ok(By::Order(_))) => Some(*window),
        _ => None,
    }
}

/// The offset at which a micro-batch from `start` ends that tasks read; `None` if too little is old
/// enough, so that a slice is read instead.
///
/// It ends with a window, and before everything that may still show late at `now`.
pub(crate) async fn leap(
    table: &Table,
    start: Option<Offset>,
    now: Instant,
) -> Result<Option<Offset>> {
    let (Some(window), Some(order)) =
        (window(table).filter(|_| by_executors(table)), table.order())
    else {
        return Ok(None);
    };
    // Tasks do not know which late rows of a slice have come already.
    let sliced = start.as_ref().is_some_and(|start| !start.by_split);
    if sliced && table.spec.ingestion == Ingestion::Append {
        return Ok(None);
    }
    let Some(unit) = By::Order(order).unit() else { return Ok(None) };
    let until = clock_bound(order, now);
    let Some(settled) = until.map(|until| until.minus_nanos(order.lookback.as_nanos(), order.step))
    else {
        return Ok(None);
    };
    let Some(first) = first(table, order, start.as_ref(), &settled).await? else { return Ok(None) };
    let (Some(from), Some(to)) = (first.instant(), settled.instant()) else { return Ok(None) };
    let window = i128::try_from(window.as_nanos()).unwrap_or(i128::MAX).max(unit);
    let windows = (to.nanos() - from.nanos()) / window;
    if windows < LEAST_WINDOWS {
        return Ok(None);
    }
    let end = from.plus_nanos(windows.min(MOST_WINDOWS) * window - unit);
    let Some(end) = Cursor::of_time(order.kind, end, order.step) else { return Ok(None) };
    let mut offset = start.unwrap_or_else(|| table.beginning());
    offset.salt.get_or_insert_with(random_bits);
    offset.seq += 1;
    offset.cursor = Some(end.raw().to_owned());
    offset.by_split = true;
    (offset.slice, offset.state, offset.pass) = (None, None, None);
    offset.ties.clear();

    Ok(Some(offset))
}

/// The splits of a micro-batch that [`leap`] has ended; the same whenever it is asked.
pub(crate) async fn replan(
    table: &Table,
    start: Option<&Offset>,
    end: &Offset,
    slots: usize,
) -> Result<Vec<Split>> {
    let bad = || Error::offset_invalid("the offset is none that tasks read up to");
    let (Some(window), Some(order)) = (window(table), table.order()) else { return Err(bad()) };
    let by = By::Order(order);
    let unit = by.unit().ok_or_else(bad)?;
    let end = end.cursor.as_deref().ok_or_else(bad)?;
    let end = Cursor::parse(order.kind, end)?;
    let Some(first) = first(table, order, start, &end).await? else { return Ok(Vec::new()) };
    let units = |cursor: &Cursor| cursor.instant().map(|at| at.nanos().div_euclid(unit));
    let (from, to) = units(&first).zip(units(&end)).ok_or_else(bad)?;
    let span = Span { unit, first: from, last: to };
    let most = asked(table).unwrap_or_else(|| slots.max(1).saturating_mul(PER_SLOT));
    let text = Some(end.raw().to_owned());
    let ends = Split {
        from: Some(first.raw().to_owned()),
        upto: text.clone(),
        until: text,
        ..Split::default()
    };

    Ok(at_once(by.cut(&span, span.parts(most, window), &ends), slots))
}

/// Where a batch after `start` begins, inclusive, lookback applied; `None`: the table is empty.
async fn first(
    table: &Table,
    order: &Order,
    start: Option<&Offset>,
    until: &Cursor,
) -> Result<Option<Cursor>> {
    let reached = start.and_then(|start| Some((start.by_split, start.cursor.as_deref()?)));
    if let Some((by_split, cursor)) = reached {
        let cursor = Cursor::parse(order.kind, cursor)?;
        return Ok(Some(match by_split {
            true => cursor.moved(order.step, 1),
            false => cursor.minus_nanos(order.lookback.as_nanos(), order.step),
        }));
    }

    lowest(table, &Wanted::default(), &By::Order(order), Some(until)).await
}

/// Where the read ends.
async fn until(table: &Table) -> Result<Option<Cursor>> {
    let Some(order) = table.order() else { return Ok(None) };
    if order.until == Until::Latest {
        return match table.connector.latest(&table.request(None, Vec::new())).await? {
            Latest::Value(value) => Ok(Some(value)),
            Latest::At(_) => Err(Error::internal("`latest` must be an order value")),
        };
    }

    Ok(clock_bound(order, table.clock.now()))
}

/// The lowest value there may be; `None`: there is nothing to split.
async fn lowest(
    table: &Table,
    wanted: &Wanted,
    by: &By<'_>,
    until: Option<&Cursor>,
) -> Result<Option<Cursor>> {
    let request = ReadRequest { upto: until.cloned(), ..table.request(None, Vec::new()) };
    let By::Order(order) = by else { return table.connector.lowest_split(&request).await };
    if until.is_none() {
        return Ok(None);
    }
    match table.start_option(order)?.max(wanted.from.clone()) {
        Some(start) => Ok(Some(start)),
        None => table.connector.oldest(&request).await,
    }
}

/// No split of a table is narrower unless that is asked for.
fn narrowest(table: &Table) -> Duration {
    match table.progress() {
        Progress::Windows { window, .. } => *window,
        _ => DAY,
    }
}

/// Drops rows that do not lie within the split: a service may ignore its bounds.
///
/// # Errors
/// [`ErrorKind::DataInvalid`] for a row without the value, where the table says that all have one.
pub(crate) fn keep(within: &Within, table: &Table, delivery: &mut Delivery) -> Result<()> {
    let (Some(tap), Some(by)) = (table.split_tap, &table.spec.split_by) else { return Ok(()) };
    let Delivery { page, selection, first_record, .. } = delivery;
    let mut kept = Vec::with_capacity(selection.len());
    for &row in &*selection {
        let bad = || unsplit(table, by, *first_record + row as u64);
        let raw = page.tap(row, tap).filter(|raw| *raw != b"\"\"");
        let value = raw.map(|raw| json_text(raw).and_then(|text| Cursor::parse(by.kind, &text)));
        let value = value.transpose().map_err(|e| bad().source(e))?;
        let inside = match (within, &value) {
            (Within::Null, value) => value.is_none(),
            (Within::Range { .. }, None) if by.nullable => false,
            (Within::Range { .. }, None) => return Err(bad()),
            (Within::Range { from, upto }, Some(value)) => {
                from.as_ref().is_none_or(|from| value >= from)
                    && upto.as_ref().is_none_or(|upto| value <= upto)
            }
        };
        if inside {
            kept.push(row);
        }
    }
    table.metrics.masked((selection.len() - kept.len()) as u64);
    *selection = kept;

    Ok(())
}

fn unsplit(table: &Table, by: &SplitBy, record: u64) -> Error {
    Error::new(
        ErrorKind::DataInvalid,
        "a record lacks the value by which the read is split over tasks; read the table with \
         numPartitions=1",
    )
    .table(table.name.as_str())
    .context("column", by.field.to_string())
    .context("record", record.to_string())
}
