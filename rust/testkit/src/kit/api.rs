//! Requests of the service `kit`, and what no row of a table can say.

use super::tables::PROPERTIES;
use lakeflow_core::{
    Context, Cursor, Error, Page, PageStream, ReadRequest, Records, Result, Rows, Secret,
};
use lakeflow_http::paginate::{CursorToken, Keyset, Next, Parsed, Search, pages, pages_then};
use lakeflow_http::rest::{Spelling, Table};
use lakeflow_http::{
    Allowance, Auth, Budget, Chunks, Client, Headers, OAuth, Request, Response, envelope,
    wide_details,
};
use serde_json::{Value, json};
use std::time::Duration;

/// Rows that a search reaches, and that a page of it holds.
const REACH: u64 = 20;
const PAGE: u64 = 10;

/// What a batch takes.
const BATCH: Chunks = Chunks { ids: 5, at_once: 2 };
const NAMES_AT_ONCE: usize = 2;

/// A client with the credentials that the options hold.
pub(super) fn client(context: &Context) -> Result<Client> {
    let root = context.settings.text("base_url")?;

    Client::builder(context, root)?
        .auth(auth(context, root)?)
        .budget(Budget::new(200, Duration::from_millis(1_100)).cost(searches))
        .at_once(8)
        .allowance(bucket)
        .build()
}

/// The first login that the options are enough for.
fn auth(context: &Context, root: &str) -> Result<Auth> {
    let settings = &context.settings;
    let secret = |name: &str| settings.get(name).map(Secret::new);
    if let Some(value) = secret("key") {
        return Ok(Auth::Header { name: "authorization", prefix: "Key ", value });
    }
    let tokens = format!("{root}/oauth/token");
    let id = settings.get("client_id").unwrap_or_default();
    let oauth = match (secret("client_secret"), secret("refresh_token"), secret("access_token")) {
        (Some(client), Some(refresh), _) => {
            OAuth::refresh_token(&tokens, id, refresh).client_secret(client)
        }
        (Some(client), None, _) => OAuth::client_credentials(&tokens, id, client).basic(),
        (None, _, Some(access)) => return Ok(OAuth::access_token(access).into()),
        (None, _, None) => {
            return Err(Error::config(
                "one of options 'key', 'access_token', 'client_secret' is needed",
            ));
        }
    };

    Ok(oauth.starting_with(secret("access_token")).into())
}

fn searches(path: &str) -> u32 {
    u32::from(path.ends_with("/search"))
}

/// How full the bucket is, `32/40`; it drains within a tenth of a second.
fn bucket(headers: &Headers<'_>) -> Option<Allowance> {
    let (used, size) = headers.text("x-bucket")?.split_once('/')?;
    let (used, size): (f64, f64) = (used.parse().ok()?, size.parse().ok()?);

    Some(Allowance::Bucket { used, size, per_second: size * 10.0 })
}

/// Orders by the time of their last change, search after search.
pub(super) fn orders(client: &Client, read: &ReadRequest) -> Result<PageStream> {
    let write = |cursor: &Cursor| Spelling::Rfc3339 { digits: 0 }.write(cursor);
    let after = read.after.as_ref().map(write).transpose()?;
    let upto = read.upto.as_ref().map(write).transpose()?;
    let size = read.page_rows.unwrap_or(PAGE).clamp(1, PAGE);
    let search = move |mut filters: Vec<Value>, sort: &str| {
        filters.extend(upto.iter().map(|upto| filter("changed", "LTE", upto.as_str().into())));
        let groups = json!([{ "filters": filters }]);
        let body =
            json!({"filterGroups": groups, "sorts": [{"propertyName": sort}], "limit": size});

        Request::post("/orders/search").json(&body).idempotent()
    };
    let first = after.map(|after| filter("changed", "GT", after.into())).into_iter().collect();
    let first = search(first, "changed");
    let further = move |from: &Search| {
        Ok(match from {
            Search::From(value) => search(vec![filter("changed", "GTE", value.clone())], "changed"),
            Search::Above(value) => search(vec![filter("changed", "GT", value.clone())], "changed"),
            Search::Tie { value, after } => {
                let mut filters = vec![filter("changed", "EQ", value.clone())];
                filters.extend(after.iter().map(|id| filter("id", "GT", id.to_string().into())));
                search(filters, "id")
            }
        })
    };
    let token = CursorToken::body("after");
    let paginator = Keyset::new(token, REACH, "/properties/changed", "/id", further);

    Ok(pages(client.clone(), first, paginator, |response| {
        let body = envelope::object(&response.body)?;
        let page = Page::of(Records::array(body.array("rows")?));
        Ok(Parsed::from(page).next(Next::token(body.text("next")?)))
    }))
}

fn filter(property: &str, operator: &str, value: Value) -> Value {
    json!({"propertyName": property, "operator": operator, "value": value})
}

/// Parts: a list of ids, each page of which is completed by id.
pub(super) fn parts(client: &Client, table: &Table, read: &ReadRequest) -> Result<PageStream> {
    let (table, list) = (*table, read.clone());
    let parse = move |response: &Response| table.parse(response, &list);
    let requester = client.clone();
    let complete = move |page| complete(requester.clone(), page);
    let token = CursorToken::query("after");

    Ok(pages_then(client.clone(), table.request(read)?, token, parse, complete))
}

/// `page` with the properties of its rows; those that are gone meanwhile are left out.
async fn complete(client: Client, mut page: Page) -> Result<Page> {
    let Rows::Array(listed) = &page.upserts.rows else { return Ok(page) };
    let ids = envelope::elements(listed)?.iter().map(id).collect::<Result<Vec<_>>>()?;
    let names = PROPERTIES.map(str::to_owned);
    let request = |ids: &[String], names: &[String]| {
        let inputs: Vec<Value> = ids.iter().map(|id| json!({ "id": id })).collect();
        let body = json!({"inputs": inputs, "properties": names});
        Ok(Request::post("/parts/batch").json(&body).idempotent())
    };
    let answers = |response: &Response| {
        let rows = envelope::elements(&envelope::object(&response.body)?.array("rows")?)?;
        rows.into_iter().map(|row| Ok((id(&row)?, row))).collect()
    };
    let found = wide_details(&client, &ids, BATCH, &names, NAMES_AT_ONCE, request, answers).await?;
    page.upserts.rows = Rows::Each(found.into_iter().flatten().collect());

    Ok(page)
}

fn id(row: &bytes::Bytes) -> Result<String> {
    let id = envelope::object(row)?.text("id")?;
    id.ok_or_else(|| Error::bad_response("a part has no id"))
}
