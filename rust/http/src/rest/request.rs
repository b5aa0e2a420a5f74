//! From a table's row and a range to the first request.

use super::table::{Table, field_path};
use super::template::fill;
use crate::{Request, path};
use lakeflow_core::{Cursor, Error, ReadRequest, Result, Step};

/// Whether a service's bound takes in the value itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Records at the bound are sent.
    Inclusive,
    /// Records at the bound are left out.
    Exclusive,
}

/// How a service wants its order values written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// `2031-03-01T10:00:00Z`, with so many digits of the fraction.
    Rfc3339 {
        /// 0 to 9.
        digits: usize,
    },
    /// `2031-03-01T10:00:00+00:00`, with so many digits of the fraction.
    Offset {
        /// 0 to 9.
        digits: usize,
    },
    /// Seconds since 1970.
    EpochSeconds,
    /// Milliseconds since 1970.
    EpochMillis,
    /// As the service wrote it.
    AsWritten,
}

impl Spelling {
    /// `cursor` as the service wants it.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](lakeflow_core::ErrorKind::Internal) if it is no time.
    pub fn write(self, cursor: &Cursor) -> Result<String> {
        if self == Self::AsWritten {
            return Ok(cursor.raw().to_owned());
        }
        let instant = cursor
            .instant()
            .ok_or_else(|| Error::internal("only an order of times has a spelling"))?;

        Ok(match self {
            Self::Rfc3339 { digits } => instant.to_rfc3339(digits),
            Self::Offset { digits } => instant.to_rfc3339(digits).replace('Z', "+00:00"),
            Self::EpochSeconds => instant.seconds().to_string(),
            Self::EpochMillis => instant.nanos().div_euclid(1_000_000).to_string(),
            Self::AsWritten => cursor.raw().to_owned(),
        })
    }
}

/// A query parameter that bounds a range.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) bound: Bound,
    pub(super) spelling: Spelling,
}

impl Parameter {
    /// The value for a lower bound `after`, which is exclusive.
    pub(super) fn lower(&self, after: &Cursor, step: Step) -> Result<String> {
        match self.bound {
            Bound::Inclusive => self.spelling.write(&after.moved(step, 1)),
            Bound::Exclusive => self.spelling.write(after),
        }
    }

    /// The value for an upper bound `upto`, which is inclusive.
    pub(super) fn upper(&self, upto: &Cursor, step: Step) -> Result<String> {
        match self.bound {
            Bound::Inclusive => self.spelling.write(upto),
            Bound::Exclusive => self.spelling.write(&upto.moved(step, 1)),
        }
    }
}

impl Table {
    /// The request for the first page of `read`.
    ///
    /// # Errors
    /// [`ErrorKind::ConfigInvalid`](lakeflow_core::ErrorKind::ConfigInvalid) if an option that the
    /// path needs is not set or cannot be a part of a path.
    pub fn request(&self, read: &ReadRequest) -> Result<Request> {
        let mut segments = Vec::new();
        for segment in self.path.split('/').filter(|s| !s.is_empty()) {
            let filled = fill(segment, read)?;
            segments.push(filled.ok_or_else(|| self.needs(segment.trim_matches(['{', '}'])))?);
        }
        let mut request = Request::get(path(&segments)?);
        let wanted: Vec<_> = self.wanted(read).collect();
        let said = |name: &str| wanted.iter().any(|(parameter, _)| *parameter == name);
        for (name, template) in self.query.iter().filter(|(name, _)| !said(name)) {
            if let Some(value) = fill(template, read)? {
                request = request.query(name, value);
            }
        }
        for (name, value) in wanted {
            request = request.query(name, value);
        }
        if let Some(placed) = self.at_place(&request, read) {
            return Ok(self.finished(placed, read));
        }
        let step = self.by.map(|by| by.order(&read.options).step).unwrap_or(Step::One);
        match (&self.since, &read.after) {
            (Some(since), Some(after)) => {
                request = request.query(since.name, since.lower(after, step)?);
            }
            (Some(since), None) => {
                if let Some(first) = self.since_first {
                    request = request.query(since.name, first);
                }
            }
            (None, _) => {}
        }
        if let (Some(until), Some(upto)) = (&self.until, &read.upto) {
            request = request.query(until.name, until.upper(upto, step)?);
        }
        if let (Some(split), Some(within)) = (&self.split, &read.within) {
            request = split.bounded(request, within)?;
        }

        Ok(self.finished(request, read))
    }

    /// Parameters by which the service leaves out what the reader does not want.
    fn wanted<'a>(
        &'a self,
        read: &'a ReadRequest,
    ) -> impl Iterator<Item = (&'static str, &'a str)> {
        self.filters.iter().filter_map(|filter| {
            let mut pushed = read.pushed.filters.iter();
            let (_, value) = pushed.find(|(column, _)| column == filter.column)?;
            Some((filter.parameter, value.as_str()))
        })
    }

    /// `request` with what every request of the table has.
    fn finished(&self, mut request: Request, read: &ReadRequest) -> Request {
        // A place tells the size of the pages that it counts.
        if let Some((name, max)) = self.page_size
            && request.parameter(name).is_none()
        {
            request = request.query(name, page_size(name, max, read));
        }
        if let (Some(name), Some(columns)) = (self.selects, &read.pushed.columns) {
            request = request.query(name, self.selected(columns, read).join(","));
        }
        match self.empty_on {
            Some(status) => request.accept(status),
            None => request,
        }
    }

    /// The fields of a record that `columns` come from, and those that the engine reads by.
    fn selected(&self, columns: &[String], read: &ReadRequest) -> Vec<String> {
        let schema = (self.schema)();
        let order = self.by.and_then(|by| by.field).or(self.cursor);
        let sent = |name: &&str| {
            schema.column(name).is_some() && self.columns.iter().all(|(column, _)| column != name)
        };
        let wanted = columns.iter().map(String::as_str).filter(sent);
        let split = self.split.filter(|_| read.within.is_some()).map(|split| split.field);
        let mut fields = Vec::new();
        for path in wanted.chain(self.key.iter().copied()).chain(order).chain(split) {
            let place = schema.place_of(&field_path(path));
            if let Some(field) = place.segments().next()
                && !fields.iter().any(|known| known == field)
            {
                fields.push(field.to_owned());
            }
        }

        fields
    }

    /// The error where `option`, which the path needs, is not set.
    pub(super) fn needs(&self, option: &str) -> Error {
        Error::config(format!("option '{option}' is required: the path {} needs it", self.path))
    }
}

/// The smallest of the service's limit, the option of the same name, and what the reader has use
/// for.
fn page_size(name: &str, max: u64, read: &ReadRequest) -> u64 {
    let option = read.options.integer(name).map_or(max, i64::unsigned_abs).clamp(1, max);

    read.page_rows.unwrap_or(option).clamp(1, option)
}
