//! What the service of [`kinds`](crate::kinds) answers, for each way to ask.

use crate::kinds::{Row, State, time};
use lakeflow_core::{
    Cursor, CursorKind, Error, ErrorKind, JsonScalar, Page, Position, Records, Result, Resume, Rows,
};
use serde_json::{Value, json};

/// How a read is answered.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// Pages by number of a sorted list.
    Numbered {
        /// Instead of oldest or lowest first.
        newest_first: bool,
        /// By time and not by id.
        by_time: bool,
    },
    /// By id, after the last id.
    Keyset,
    /// By time, inclusive; pages state where they end.
    Export,
    /// A listing, then changes after a place.
    Token,
}

/// How far a read has come.
#[derive(Clone, Default)]
pub(crate) struct Walked {
    pub(crate) page: usize,
    /// Last id of a listing.
    pub(crate) id: Option<String>,
    /// Place in the changes, or time of an export.
    pub(crate) number: Option<i64>,
}

/// What a read asks for.
pub(crate) struct Ask {
    pub(crate) way: Way,
    pub(crate) after: Option<i64>,
    pub(crate) upto: Option<i64>,
    pub(crate) parts: Vec<String>,
    pub(crate) of_parents: bool,
    pub(crate) with_parent: bool,
    pub(crate) per_page: usize,
}

pub(crate) type Answer = (Page, Option<Walked>, Vec<String>);

impl Ask {
    /// The page asked for, from where the read goes on, and the ids on it.
    pub(crate) fn answer(&self, state: &State, walked: &Walked) -> Result<Answer> {
        match self.way {
            Way::Numbered { newest_first, by_time } => {
                Ok(self.numbered(state, walked, newest_first, by_time))
            }
            Way::Keyset => Ok(self.keyset(state, walked)),
            Way::Export => Ok(self.export(state, walked)),
            Way::Token => self.token(state, walked),
        }
    }

    pub(crate) fn shown(&self, walked: &Walked) -> String {
        let number = walked.number.map(|n| n.to_string());
        let place = walked.id.clone().or(number);
        match self.way {
            Way::Numbered { .. } => format!("({},{})", show(self.after), walked.page + 1),
            _ => format!("({})", place.unwrap_or_else(|| "–".to_owned())),
        }
    }

    fn wants(&self, row: &Row) -> bool {
        (self.parts.is_empty() || self.parts.contains(&row.parent))
            && self.after.is_none_or(|after| row.at > after)
            && self.upto.is_none_or(|upto| row.at <= upto)
    }

    fn list<'a>(&self, state: &'a State) -> Vec<(&'a String, &'a Row)> {
        let rows = if self.of_parents { &state.parents } else { &state.rows };
        rows.iter().filter(|(_, row)| self.wants(row)).collect()
    }

    fn records(&self, rows: &[(&String, &Row)]) -> Records {
        let each = rows.iter().map(|(id, row)| {
            let mut object = json!({"id": id, "at": time(row.at), "n": row.n, "order": row.at});
            if self.with_parent {
                object["parent"] = Value::from(row.parent.as_str());
            }
            object.to_string().into()
        });

        Records { rows: Rows::Each(each.collect()), ..Records::default() }
    }

    fn page(&self, rows: &[(&String, &Row)], resume: Resume, last: bool) -> Page {
        let upserts = self.records(rows);

        Page { upserts, deletes: Records::default(), resume, last, server_date: None }
    }

    fn numbered(
        &self,
        state: &State,
        walked: &Walked,
        newest_first: bool,
        by_time: bool,
    ) -> Answer {
        let mut list = self.list(state);
        if by_time {
            list.sort_by_key(|(id, row)| (row.at, *id));
        }
        if newest_first {
            list.reverse();
        }
        let start = walked.page * self.per_page;
        let rows: Vec<_> = list.iter().skip(start).take(self.per_page).copied().collect();
        let last = start + self.per_page >= list.len();
        let next = Walked { page: walked.page + 1, ..Walked::default() };

        (self.page(&rows, Resume::From(None), last), (!last).then_some(next), ids(&rows))
    }

    /// Rows after an id, from where to go on, and whether none follow.
    fn after_id<'a>(
        &self,
        state: &'a State,
        walked: &Walked,
    ) -> (Vec<(&'a String, &'a Row)>, Option<Walked>, bool) {
        let mut list = self.list(state);
        list.retain(|(id, _)| walked.id.as_ref().is_none_or(|after| *id > after));
        let last = list.len() <= self.per_page;
        list.truncate(self.per_page);
        let id = list.last().map(|(id, _)| (*id).clone());
        let next = Walked { id, ..Walked::default() };

        (list, (!last).then_some(next), last)
    }

    fn keyset(&self, state: &State, walked: &Walked) -> Answer {
        let (rows, next, last) = self.after_id(state, walked);
        let id = rows.last().map(|(id, _)| *id).or(walked.id.as_ref());
        let id = JsonScalar::Text(id.cloned().unwrap_or_default());
        let at = Position::default().with("id", id);

        (self.page(&rows, Resume::At(at), last), next, ids(&rows))
    }

    fn export(&self, state: &State, walked: &Walked) -> Answer {
        let start = walked.number.unwrap_or(0);
        let mut list = self.list(state);
        list.retain(|(_, row)| row.at >= start);
        list.sort_by_key(|(id, row)| (row.at, *id));
        list.truncate(self.per_page);
        let end = list.last().map_or(state.export_end.unwrap_or(start), |(_, row)| row.at);
        let last = list.len() < self.per_page;
        let stated = Cursor::parse(CursorKind::EpochSeconds, &end.to_string()).ok();
        let next = Walked { number: Some(end), ..Walked::default() };

        (self.page(&list, Resume::From(stated), last), (!last).then_some(next), ids(&list))
    }

    /// A listing, or changes: upserts and deletes in one page.
    fn token(&self, state: &State, walked: &Walked) -> Result<Answer> {
        let now = state.now();
        if walked.number.is_some_and(|number| number < state.forgotten) {
            return Err(Error::new(ErrorKind::PositionExpired, "the place is forgotten"));
        }
        let Some(seq) = walked.number.filter(|_| walked.id.is_none()) else {
            let (rows, mut next, last) = self.after_id(state, walked);
            let seq = walked.number.unwrap_or(now);
            let mut at = Position::default().with("seq", JsonScalar::Int(seq));
            if let Some(next) = &mut next {
                next.number = Some(seq);
                at = at.with("id", JsonScalar::Text(next.id.clone().unwrap_or_default()));
            }
            return Ok((self.page(&rows, Resume::At(at), last), next, ids(&rows)));
        };
        let from = usize::try_from(seq).unwrap_or(usize::MAX);
        let changes: Vec<_> = state.changes.iter().skip(from).take(self.per_page).collect();
        let reached = seq + i64::try_from(changes.len()).unwrap_or(0);
        let gone = Row { parent: String::new(), at: 0, n: -1 };
        let (mut upserts, mut deletes) = (Vec::new(), Vec::new());
        for (id, parent, deleted) in changes {
            match state.rows.get(id) {
                _ if !self.parts.is_empty() && !self.parts.contains(parent) => {}
                _ if *deleted => deletes.push((id, &gone)),
                Some(row) => upserts.push((id, row)),
                None => {}
            }
        }
        let at = Position::default().with("seq", JsonScalar::Int(reached));
        let next = Walked { number: Some(reached), ..Walked::default() };
        let last = reached >= now;
        let mut page = self.page(&upserts, Resume::At(at), last);
        page.deletes = self.records(&deletes);
        upserts.extend(deletes);

        Ok((page, (!last).then_some(next), ids(&upserts)))
    }
}

fn ids(rows: &[(&String, &Row)]) -> Vec<String> {
    rows.iter().map(|(id, _)| (*id).clone()).collect()
}

fn show(after: Option<i64>) -> String {
    after.map_or("–".to_owned(), |after| time(after + 1)[11..19].to_owned())
}
