//! One table of a connector, as data.

use super::order::By;
use super::paging::{More, Paging, Stated};
use super::request::{Bound, Parameter, Spelling};
use super::split::Split;
use super::template::{self, fill};
use crate::paginate::{Next, Parsed, pages, pages_ahead};
use crate::{Client, Request, Response, envelope};
use lakeflow_core::{
    Error, FieldPath, FilterBy, Ingestion, Page, PageStream, Parents, Progress, ReadRequest,
    Records, Result, Rows, Settings, SplitBy, TableSchema, TableSpec,
};
use serde_json::Value;
use std::sync::OnceLock;
use std::time::Duration;

/// What a response holds: rows, what the body says of the next page, and whether a read may stop.
pub(super) type Shape = fn(&Response, &ReadRequest) -> Result<Parsed>;

/// Where in a response the rows are.
#[derive(Clone, Copy, Debug)]
pub(super) enum RowsAt {
    Root,
    Field(&'static str),
    /// The response is the one row.
    Object,
}

/// A column by whose value the service filters.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    pub(super) column: &'static str,
    pub(super) parameter: &'static str,
    pub(super) values: &'static [&'static str],
    pub(super) any: &'static str,
}

impl Filter {
    /// The service sends exactly the records whose `column` holds a value if `parameter` says so,
    /// for these values; other values are not asked for. `any`: what the parameter says otherwise,
    /// where it must say something.
    pub const fn exact(
        column: &'static str,
        parameter: &'static str,
        any: &'static str,
        values: &'static [&'static str],
    ) -> Self {
        Self { column, parameter, values, any }
    }
}

/// How the engine reads it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reading {
    Snapshot,
    Ascending {
        restart_pages: u32,
    },
    Descending,
    Windows {
        sorted: bool,
    },
    OnePass,
    Token {
        life: Duration,
    },
    Children {
        feed: &'static str,
        key: &'static str,
        columns: &'static [(&'static str, &'static str)],
    },
}

/// A table. Paths of columns are written with dots, placeholders for options in braces.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) schema: fn() -> TableSchema,
    pub(super) hidden: bool,
    pub(super) ingestion: Ingestion,
    pub(super) key: &'static [&'static str],
    pub(super) cursor: Option<&'static str>,
    pub(super) by: Option<By>,
    pub(super) reading: Reading,
    pub(super) split: Option<Split>,
    pub(super) splits_by_order: bool,
    pub(super) parents: Option<Parents>,
    pub(super) first_by_place: bool,
    pub(super) volatile: bool,
    pub(super) legacy_cursor: &'static [&'static str],
    pub(super) deletes: Option<&'static Table>,
    pub(super) query: &'static [(&'static str, &'static str)],
    pub(super) since: Option<Parameter>,
    pub(super) since_first: Option<&'static str>,
    pub(super) until: Option<Parameter>,
    pub(super) page_size: Option<(&'static str, u64)>,
    pub(super) selects: Option<&'static str>,
    pub(super) filters: &'static [Filter],
    pub(super) rows_at: RowsAt,
    pub(super) columns: &'static [(&'static str, &'static str)],
    pub(super) paging: Paging,
    pub(super) grows_by: Option<&'static str>,
    pub(super) empty_on: Option<u16>,
    pub(super) more: Option<More>,
    pub(super) stated: Stated,
    pub(super) exceeds: Option<&'static str>,
    pub(super) shape: Option<Shape>,
}

impl Table {
    /// A snapshot without key whose rows are the response itself, on one page.
    ///
    /// `path` is below the client's root, `/repos/{owner}/{repo}/issues`; `{parent}` is the parent
    /// of a table read under parents.
    pub const fn new(name: &'static str, path: &'static str, schema: fn() -> TableSchema) -> Self {
        Self {
            name,
            path,
            schema,
            hidden: false,
            ingestion: Ingestion::Snapshot,
            key: &[],
            cursor: None,
            by: None,
            reading: Reading::Snapshot,
            split: None,
            splits_by_order: false,
            parents: None,
            first_by_place: false,
            volatile: false,
            legacy_cursor: &["cursor"],
            deletes: None,
            query: &[],
            since: None,
            since_first: None,
            until: None,
            page_size: None,
            selects: None,
            filters: &[],
            rows_at: RowsAt::Root,
            columns: &[],
            paging: Paging::None,
            grows_by: None,
            empty_on: None,
            more: None,
            stated: Stated::Nothing,
            exceeds: None,
            shape: None,
        }
    }

    /// A feed that other tables are read from; users do not see it.
    pub const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// Replaced as a whole; `key` is its primary key.
    pub const fn snapshot(mut self, key: &'static [&'static str]) -> Self {
        self.ingestion = Ingestion::Snapshot;
        self.key = key;
        self
    }

    /// Upserts by `key`, ordered by column `cursor`.
    pub const fn cdc(mut self, key: &'static [&'static str], cursor: &'static str) -> Self {
        self.ingestion = Ingestion::Cdc;
        self.key = key;
        self.cursor = Some(cursor);
        self
    }

    /// Plain inserts, told apart by `key`.
    pub const fn append(mut self, key: &'static [&'static str]) -> Self {
        self.ingestion = Ingestion::Append;
        self.key = key;
        self
    }

    /// The column that orders changes at the destination, of a table that inserts.
    pub const fn cursor(mut self, column: &'static str) -> Self {
        self.cursor = Some(column);
        self
    }

    /// Upserts as [`cdc`](Self::cdc), and deletes from `feed`, whose rows hold at least key and
    /// cursor.
    pub const fn deletes(mut self, feed: &'static Table) -> Self {
        self.ingestion = Ingestion::CdcWithDeletes;
        self.deletes = Some(feed);
        self
    }

    /// Sorted; read again by value after so many pages.
    pub const fn ascending(mut self, by: By, restart_pages: u32) -> Self {
        self.by = Some(by);
        self.reading = Reading::Ascending { restart_pages };
        self
    }

    /// Newest first.
    pub const fn descending(mut self, by: By) -> Self {
        self.by = Some(by);
        self.reading = Reading::Descending;
        self
    }

    /// In windows between two bounds, the first as long as option `window_seconds` says; sorted
    /// ascending inside.
    pub const fn sorted_windows(mut self, by: By) -> Self {
        self.by = Some(by);
        self.reading = Reading::Windows { sorted: true };
        self
    }

    /// In windows between two bounds, the first as long as option `window_seconds` says; in any
    /// order inside.
    pub const fn windows(mut self, by: By) -> Self {
        self.by = Some(by);
        self.reading = Reading::Windows { sorted: false };
        self
    }

    /// The whole list at each drain; rows outside the range are left out.
    pub const fn one_pass(mut self, by: By) -> Self {
        self.by = Some(by);
        self.reading = Reading::OnePass;
        self
    }

    /// From the place that the service keeps for about `days`; pages give it as
    /// [`Resume::At`](lakeflow_core::Resume::At). `by` is the order of the rows, if they have one.
    pub const fn token(mut self, by: Option<By>, days: u64) -> Self {
        self.by = by;
        self.reading = Reading::Token { life: Duration::from_secs(days * 86_400) };
        self
    }

    /// The children of every record that table `feed` delivers, read whole; `key` is the path of
    /// the parent's identity, `columns` what it gives to its children: name and path.
    pub const fn children_of(
        mut self,
        feed: &'static str,
        key: &'static str,
        columns: &'static [(&'static str, &'static str)],
    ) -> Self {
        self.reading = Reading::Children { feed, key, columns };
        self
    }

    /// Batch reads are split by a field of its own.
    pub const fn split_by(mut self, split: Split) -> Self {
        self.split = Some(split);
        self
    }

    /// Batch reads are split by the order, whose values never change.
    pub const fn split_by_order(mut self) -> Self {
        self.splits_by_order = true;
        self
    }

    /// Read under the parents that the connector lists, so many per request.
    pub const fn under_parents(mut self, per_request: usize) -> Self {
        self.parents = Some(Parents { per_request });
        self
    }

    /// The first read walks another list, by the places of its pages.
    pub const fn first_by_place(mut self) -> Self {
        self.first_by_place = true;
        self
    }

    /// Fields differ at every call: rows are told apart by key and order value.
    pub const fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// The members of the Python connector's offsets; the first one there is the cursor.
    pub const fn legacy_cursor(mut self, members: &'static [&'static str]) -> Self {
        self.legacy_cursor = members;
        self
    }

    /// Query parameters; one whose value is a lone option that is not set is left out.
    pub const fn query(mut self, query: &'static [(&'static str, &'static str)]) -> Self {
        self.query = query;
        self
    }

    /// The parameter of the lower bound.
    pub const fn since(mut self, name: &'static str, bound: Bound, spelling: Spelling) -> Self {
        self.since = Some(Parameter { name, bound, spelling });
        self
    }

    /// What the parameter of the lower bound says where there is no lower bound.
    pub const fn since_first(mut self, value: &'static str) -> Self {
        self.since_first = Some(value);
        self
    }

    /// The parameter of the upper bound.
    pub const fn until(mut self, name: &'static str, bound: Bound, spelling: Spelling) -> Self {
        self.until = Some(Parameter { name, bound, spelling });
        self
    }

    /// The parameter of the page size, and the most that the service allows. An option of the same
    /// name makes pages smaller.
    pub const fn page_size(mut self, name: &'static str, max: u64) -> Self {
        self.page_size = Some((name, max));
        self
    }

    /// The parameter that names the fields that are wanted, separated by commas; without it the
    /// service sends all of them.
    pub const fn selects(mut self, parameter: &'static str) -> Self {
        self.selects = Some(parameter);
        self
    }

    /// Columns by whose value the service filters, for batch reads whose options leave the parameter
    /// open. The list must not lose other rows from sight while records change their values: it is
    /// sorted by what else the table is read by.
    pub const fn filters(mut self, filters: &'static [Filter]) -> Self {
        self.filters = filters;
        self
    }

    /// Rows are the array in this field of the response.
    pub const fn rows(mut self, field: &'static str) -> Self {
        self.rows_at = RowsAt::Field(field);
        self
    }

    /// The response is one row.
    pub const fn one_row(mut self) -> Self {
        self.rows_at = RowsAt::Object;
        self
    }

    /// New rows come at the end of the list, at the time in this field: it ends with the page that
    /// reaches beyond the moment of the first answer, however fast it grows meanwhile.
    pub const fn grows_by(mut self, field: &'static str) -> Self {
        self.grows_by = Some(field);
        self
    }

    /// A response with this status says that there are no rows.
    pub const fn empty_on(mut self, status: u16) -> Self {
        self.empty_on = Some(status);
        self
    }

    /// Text columns that rows lack: name, and value with placeholders for options.
    pub const fn columns(mut self, columns: &'static [(&'static str, &'static str)]) -> Self {
        self.columns = columns;
        self
    }

    /// Where the next page is named.
    pub const fn paging(mut self, paging: Paging) -> Self {
        self.paging = paging;
        self
    }

    /// A page follows only where the flag at this place in the body is true.
    pub const fn more_if(mut self, at: &'static str) -> Self {
        self.more = Some(More { at, follows: true });
        self
    }

    /// A page follows unless the flag at this place in the body is true.
    pub const fn more_unless(mut self, at: &'static str) -> Self {
        self.more = Some(More { at, follows: false });
        self
    }

    /// Pages state at this place in the body the order value up to which they reach.
    pub const fn resume_from(mut self, at: &'static str) -> Self {
        self.stated = Stated::From(at);
        self
    }

    /// Pages hold more rows than this option asks for rather than part rows of one order value: a
    /// page that does has all rows of the value that it states.
    pub const fn exceeds_for_ties(mut self, option: &'static str) -> Self {
        self.exceeds = Some(option);
        self
    }

    /// Pages state at this place in the body a place of the service's own, from which a read may
    /// go on: it goes into query `parameter`, without bounds.
    pub const fn resume_at(mut self, at: &'static str, parameter: &'static str) -> Self {
        self.stated = Stated::At { at, parameter };
        self
    }

    /// A read may go on after each page: these parameters of the link to the next page are its
    /// place.
    pub const fn resume_by_link(mut self, parameters: &'static [&'static str]) -> Self {
        self.stated = Stated::Link(parameters);
        self
    }

    /// Makes rows of a response in the place of [`rows`](Self::rows).
    pub const fn shape(mut self, shape: fn(&Response, &ReadRequest) -> Result<Parsed>) -> Self {
        self.shape = Some(shape);
        self
    }

    /// Its name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What the engine must know of it.
    pub fn spec(&self, settings: &Settings) -> TableSpec {
        let mut spec =
            TableSpec::new((self.schema)(), self.ingestion, &[], self.progress(settings));
        spec.key = self.key.iter().map(|k| field_path(k)).collect();
        spec.cursor = self.cursor.map(field_path);
        spec.deletes = self.deletes.map(|feed| feed.progress(settings));
        let open = self.filters.iter().filter(|filter| self.is_open(filter, settings));
        let filters = open.map(|f| FilterBy { column: f.column.to_owned(), values: f.values });
        spec.filters = filters.collect();
        spec.split_by = self.splits(settings);
        spec.parents = self.parents;
        spec.first_by_place = self.first_by_place;
        spec.volatile = self.volatile;
        spec.legacy_cursor = self.legacy_cursor;

        spec
    }

    /// Whether the parameter of `filter` is left to the reader.
    fn is_open(&self, filter: &Filter, settings: &Settings) -> bool {
        let said = self.query.iter().find(|(name, _)| *name == filter.parameter);
        let said = said.and_then(|(_, template)| match template::lone(template) {
            Some(option) => settings.get(option),
            None => Some(*template),
        });

        said.is_none_or(|value| value == filter.any)
    }

    fn splits(&self, settings: &Settings) -> Option<SplitBy> {
        if !self.splits_by_order {
            return self.split.map(|split| split.spec());
        }
        let order = self.by?.order(settings);

        Some(SplitBy { field: order.field?, kind: order.kind, step: order.step, nullable: false })
    }

    fn progress(&self, settings: &Settings) -> Progress {
        let order = self.by.map(|by| by.order(settings));
        match (self.reading, order) {
            (Reading::Token { life }, order) => Progress::Token { order, life },
            (Reading::Children { feed, key, columns }, _) => Progress::Children {
                feed: feed.to_owned(),
                key: field_path(key),
                columns: columns.iter().map(|(n, p)| ((*n).to_owned(), field_path(p))).collect(),
            },
            (Reading::Snapshot, _) | (_, None) => Progress::Snapshot,
            (Reading::Ascending { restart_pages }, Some(order)) => {
                Progress::Ascending { order, restart_pages }
            }
            (Reading::Descending, Some(order)) => Progress::Descending { order },
            (Reading::Windows { sorted }, Some(order)) => {
                let window = settings.seconds("window_seconds").unwrap_or(DAY);
                Progress::Windows { order, window, sorted }
            }
            (Reading::OnePass, Some(order)) => Progress::OnePass { order },
        }
    }

    /// The pages of `read`.
    pub fn pages(&self, client: &Client, read: &ReadRequest) -> PageStream {
        match self.request(read) {
            Ok(first) => self.pages_from(client, first, read.clone()),
            Err(error) => PageStream::error(error.table(self.name)),
        }
    }

    /// The pages of `read` that begin with the answer to `first`.
    pub(super) fn pages_from(
        &self,
        client: &Client,
        first: Request,
        read: ReadRequest,
    ) -> PageStream {
        let table = *self;
        let (client, paginator) = (client.clone(), self.paginator());
        let ahead = self.ahead(&read);
        let began = OnceLock::new();
        let parse = move |response: &Response| {
            let began = response.date.map(|date| *began.get_or_init(|| date));
            table.ended(table.parse(response, &read)?, began)
        };
        match ahead {
            0 => pages(client, first, paginator, parse),
            pages => pages_ahead(client, first, paginator, pages, parse),
        }
    }

    /// Pages that may be asked for before they are needed: of lists that are read whole, whose
    /// pages are no places to go on from.
    fn ahead(&self, read: &ReadRequest) -> usize {
        let whole = matches!(self.reading, Reading::Snapshot)
            && matches!(self.stated, Stated::Nothing)
            && !self.first_by_place;
        if whole && read.pushed.limit.is_none() { PAGES_AHEAD } else { 0 }
    }

    /// The pages of the delete feed.
    pub fn delete_pages(&self, client: &Client, read: &ReadRequest) -> PageStream {
        let Some(feed) = self.deletes else {
            return PageStream::unsupported("delete feed", read);
        };

        feed.pages(client, read).map(|mut page| {
            page.deletes = std::mem::take(&mut page.upserts);
            page
        })
    }

    /// Rows and added columns of `response`.
    ///
    /// # Errors
    /// [`ErrorKind::BadResponse`](lakeflow_core::ErrorKind::BadResponse) if it has another form.
    pub fn parse(&self, response: &Response, read: &ReadRequest) -> Result<Parsed> {
        if self.empty_on == Some(response.status) {
            return Ok(Parsed::from(Page::of(Records::default())).next(Next::End));
        }
        let parsed = match self.shape {
            Some(shape) => shape(response, read)?,
            None => self.rows_of(response)?,
        };
        let mut parsed = self.read_on(response, read, parsed)?;
        for (name, template) in self.columns {
            let value = fill(template, read)?.map_or(Value::Null, Value::from);
            let upserts = std::mem::take(&mut parsed.page.upserts);
            parsed.page.upserts = upserts.with(*name, value.to_string());
        }

        Ok(parsed)
    }

    fn rows_of(&self, response: &Response) -> Result<Parsed> {
        let body = &response.body;
        let records = match self.rows_at {
            RowsAt::Root => Records::array(envelope::array(body)?),
            RowsAt::Field(name) => Records::array(envelope::object(body)?.array(name)?),
            RowsAt::Object => {
                envelope::object(body)?;
                Records { rows: Rows::Each(vec![body.clone()]), ..Records::default() }
            }
        };

        Ok(Parsed::from(Page::of(records)))
    }
}

const DAY: Duration = Duration::from_secs(86_400);

/// Pages of a list that is read whole that are asked for before the reader needs them.
const PAGES_AHEAD: usize = 4;

/// A path of columns written with dots.
pub(super) fn field_path(path: &str) -> FieldPath {
    FieldPath::pointer(&format!("/{}", path.replace('.', "/")))
}

/// All tables of a connector.
#[derive(Clone, Copy, Debug)]
pub struct Tables(pub &'static [Table]);

impl Tables {
    /// Names that users see.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().filter(|t| !t.hidden).map(|t| t.name.to_owned()).collect()
    }

    /// The table called `name`, hidden ones included.
    ///
    /// # Errors
    /// [`ErrorKind::TableNotFound`](lakeflow_core::ErrorKind::TableNotFound) with the names of all
    /// that users see.
    pub fn get(&self, name: &str) -> Result<&'static Table> {
        let found = self.0.iter().find(|t| t.name == name);

        found.ok_or_else(|| Error::table_not_found(name, &self.names()))
    }

    /// What the engine must know of the table called `name`.
    ///
    /// # Errors
    /// As [`get`](Self::get); [`ErrorKind::ConfigInvalid`](lakeflow_core::ErrorKind::ConfigInvalid)
    /// if an option that the table's path needs is not set and will not come.
    pub fn spec(&self, name: &str, settings: &Settings) -> Result<TableSpec> {
        let table = self.get(name)?;
        let mut needed = template::names(table.path).filter(|n| !template::is_parent(n));
        match needed.find(|option| settings.get(option).is_none()) {
            Some(option) if !settings.is_incomplete() => Err(table.needs(option).table(name)),
            _ => Ok(table.spec(settings)),
        }
    }
}
