//! Requests to the example service.

use super::discovery::Discovered;
use lakeflow_core::{
    Context, Cursor, Error, ErrorKind, Instant, Page, PageStream, ReadRequest, Records, Result,
};
use lakeflow_http::paginate::{PageNumber, Parsed, pages};
use lakeflow_http::{Auth, Client, ErrorReply, Request, Response, Verdict, envelope, path};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Tables whose `records` takes an upper bound.
const BOUNDED: &[&str] = &["metrics"];

/// Query parameters that `records` takes from options of the same name, by table.
const FILTERS: &[(&str, &[&str])] =
    &[("products", &["category"]), ("orders", &["user_id", "status"]), ("events", &["limit"])];

pub(super) struct Api {
    client: Client,
}

#[derive(Deserialize)]
struct Tables {
    tables: Vec<String>,
}

impl Api {
    pub(super) fn new(context: &Context) -> Result<Self> {
        let settings = &context.settings;
        let client = Client::builder(context, settings.text("base_url")?)?
            .auth(Auth::Basic {
                username: settings.text("username")?.to_owned(),
                password: settings.secret("password")?,
            })
            .errors(verdict)
            .build()?;

        Ok(Self { client })
    }

    /// Names of the visible tables.
    pub(super) async fn tables(&self) -> Result<Vec<String>> {
        let Tables { tables } = self.get(Request::get("tables")).await?;

        Ok(tables)
    }

    /// Schema, key and cursor of a visible table.
    pub(super) async fn discover(&self, table: &str) -> Result<Discovered> {
        let schema: Value = self.get(Request::get(path(&["tables", table, "schema"])?)).await?;
        let metadata: Value = self.get(Request::get(path(&["tables", table, "metadata"])?)).await?;

        Discovered::read(&schema, &metadata).map_err(|e| e.table(table))
    }

    pub(super) fn records(&self, read: &ReadRequest) -> Result<PageStream> {
        self.list(read, "records", Page::of)
    }

    pub(super) fn deleted_records(&self, read: &ReadRequest) -> Result<PageStream> {
        self.list(read, "deleted_records", |deletes| Page {
            deletes,
            ..Page::of(Records::default())
        })
    }

    /// The value of `field` in the first record of a table, or `None` if it is empty.
    pub(super) async fn first_cursor(&self, table: &str, field: &str) -> Result<Option<String>> {
        let request = Request::get(path(&["tables", table, "records"])?).query("page", 1);
        let body: Value = self.get(request).await?;
        let first = body.pointer("/records/0");

        Ok(first.and_then(|r| r.get(field)).and_then(Value::as_str).map(str::to_owned))
    }

    fn list(
        &self,
        read: &ReadRequest,
        route: &str,
        page: fn(Records) -> Page,
    ) -> Result<PageStream> {
        let mut first = Request::get(path(&["tables", &read.table, route])?);
        if let Some(after) = &read.after {
            first = first.query("since", iso(after)?);
        }
        if let Some(upto) = read.upto.as_ref().filter(|_| BOUNDED.contains(&read.table.as_str())) {
            first = first.query("until", iso(upto)?);
        }
        let filters = FILTERS.iter().find(|(table, _)| *table == read.table).map(|(_, f)| *f);
        for filter in filters.filter(|_| route == "records").unwrap_or_default() {
            if let Some(value) = read.options.get(filter) {
                first = first.query(filter, value);
            }
        }

        Ok(pages(self.client.clone(), first, PageNumber::new("page"), move |response| {
            let envelope = envelope::object(&response.body)?;
            let records = envelope.array("records")?;
            let next = envelope.integer("next_page")?;
            Ok(Parsed::from(page(Records::array(records))).next(next))
        }))
    }

    async fn get<T: DeserializeOwned>(&self, request: Request) -> Result<T> {
        let response: Response = self.client.send(request).await?;
        serde_json::from_slice(&response.body)
            .map_err(|e| Error::bad_response("the answer has not the documented form").source(e))
    }
}

/// Bounds in the service's own spelling, which it compares as text: UTC as `+00:00`, and six
/// fraction digits or none.
fn iso(cursor: &Cursor) -> Result<String> {
    let instant = cursor.instant().ok_or_else(|| Error::internal("cursors here are instants"))?;
    let digits = if instant.nanos() % 1_000_000_000 == 0 { 0 } else { 6 };

    Ok(Instant::to_rfc3339(instant, digits).replace('Z', "+00:00"))
}

fn verdict(reply: &ErrorReply<'_>) -> Verdict {
    match reply.status {
        401 => Verdict::of_status(401)
            .message("the service rejected options 'username' and 'password'"),
        404 => Verdict::new(ErrorKind::TableNotFound),
        status => Verdict::of_status(status),
    }
}
