//! Lists, searches and what completes their pages.

use super::api::Api;
use super::objects::Object;
use super::rows::{self, Associations};
use bytes::Bytes;
use futures::future::try_join_all;
use lakeflow_core::{
    Cursor, CursorKind, Error, Instant, JsonScalar, Page, PageStream, Position, ReadRequest,
    Records, Result, Resume, Rows, Step,
};
use lakeflow_http::paginate::{CursorToken, Keyset, Next, Parsed, Search, pages, pages_then};
use lakeflow_http::rest::Spelling;
use lakeflow_http::{Chunks, Request, Response, details, envelope, path};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, OnceLock};

/// Records that may be asked for by id at once; no page is longer.
const MOST_IDS: usize = 100;

/// Hits of a search, over all its pages.
const MOST_HITS: u64 = 10_000;

/// Characters of property names that fit into an address and, with a limit of 3,000 characters for
/// its body, into a search. Longer lists are asked for by id.
const MOST_NAMES: usize = 2_000;

/// The name by which a place is kept.
const PLACE: &str = "after";

/// Sorts records of one time.
const ID: &str = "hs_object_id";

/// Reads records of one object.
struct Reader {
    api: Arc<Api>,
    object: Object,
    /// All properties.
    names: Vec<String>,
    /// Those that lists and searches ask for.
    listed: Vec<String>,
    /// Records of a page.
    page: i64,
}

/// Records: listed by place where there is no lower bound, else searched by time of change.
pub(super) async fn rows(api: Arc<Api>, read: ReadRequest) -> Result<PageStream> {
    let object = api.object(&read.table).await?;
    let mut names: Vec<_> = api.properties(&object).await?.iter().map(|p| p.name.clone()).collect();
    if !names.iter().any(|name| name == object.changed) {
        names.push(object.changed.to_owned());
    }
    let narrow = names.iter().map(|name| name.len() + 3).sum::<usize>() <= MOST_NAMES;
    let listed = if narrow { names.clone() } else { vec![object.changed.to_owned()] };
    let page = page_size(&read);
    let reader = Arc::new(Reader { api, object, names, listed, page });

    match &read.after {
        Some(after) if read.at.is_none() => reader.search(after, read.upto.as_ref()),
        _ => reader.list(&read),
    }
}

/// Archived records, all of them at each read.
pub(super) async fn deletes(api: Arc<Api>, read: ReadRequest) -> Result<PageStream> {
    let object = api.object(&read.table).await?;
    let first = list_request(&object, &read, true)?;

    Ok(pages(api.client.clone(), first, CursorToken::query(PLACE), |response| {
        let mut parsed = listed(response)?;
        let records = std::mem::take(&mut parsed.page.upserts);
        parsed.page.deletes = rows::archived(&records)?;
        Ok(parsed)
    }))
}

fn page_size(read: &ReadRequest) -> i64 {
    read.options.integer("limit").unwrap_or(100)
}

fn list_request(object: &Object, read: &ReadRequest, archived: bool) -> Result<Request> {
    let request = Request::get(path(&["crm", "v3", "objects", &object.path])?)
        .query("limit", page_size(read))
        .query("archived", archived);

    Ok(match read.at.as_ref().and_then(|at| at.text(PLACE)) {
        Some(place) => request.query(PLACE, place),
        None => request,
    })
}

/// A page of a list, from whose end a read may go on.
fn listed(response: &Response) -> Result<Parsed> {
    let parsed = found(response)?;
    let Next::Token(place) = &parsed.next else { return Ok(parsed) };
    let place = Position::default().with(PLACE, JsonScalar::Text(place.clone()));
    let page = Page { resume: Resume::At(place), ..parsed.page };

    Ok(Parsed::from(page).next(parsed.next))
}

/// Whether all of these records were made after `began`. New ones come at the end of a list, so such
/// a page ends it: the next read finds them by their time of change, however fast they come.
fn all_made_after(began: Instant, records: &Records) -> bool {
    let made_after = |(_, record): &(String, Bytes)| {
        let made = envelope::object(record).and_then(|record| record.text("createdAt"));
        made.is_ok_and(|made| made.as_deref().and_then(Instant::parse) > Some(began))
    };

    rows::records(records).is_ok_and(|found| !found.is_empty() && found.iter().all(made_after))
}

/// The records of a page and the token of the next.
fn found(response: &Response) -> Result<Parsed> {
    let body = envelope::object(&response.body)?;
    let paging = body.get("paging").filter(|raw| raw.starts_with(b"{"));
    let next = match paging.map(envelope::object).transpose()? {
        Some(paging) if paging.get("next").is_some() => paging.object("next")?.text("after")?,
        _ => None,
    };

    Ok(Parsed::from(Page::of(Records::array(body.array("results")?))).next(Next::token(next)))
}

impl Reader {
    fn list(self: Arc<Self>, read: &ReadRequest) -> Result<PageStream> {
        let first = list_request(&self.object, read, false)?;
        let first = first.query("properties", self.listed.join(","));
        let client = self.api.client.clone();

        let began = OnceLock::new();
        let parse = move |response: &Response| {
            let parsed = listed(response)?;
            let began = response.date.map(|date| *began.get_or_init(|| date));
            let grown = began.is_some_and(|began| all_made_after(began, &parsed.page.upserts));
            Ok(if grown { parsed.next(Next::End) } else { parsed })
        };

        Ok(pages_then(client, first, CursorToken::query(PLACE), parse, move |page| {
            self.clone().complete(page)
        }))
    }

    /// Records that changed in `(after, upto]`, by time of change; those of a single time by id.
    fn search(self: Arc<Self>, after: &Cursor, upto: Option<&Cursor>) -> Result<PageStream> {
        let changed = self.object.changed;
        let from = after.moved(Step::MILLISECOND, 1);
        let at_least = filter(changed, "GTE", Spelling::EpochMillis.write(&from)?);
        let mut bounds = Vec::new();
        if let Some(upto) = upto {
            bounds.push(filter(changed, "LTE", Spelling::EpochMillis.write(upto)?));
        }
        let one_time = upto == Some(&from);
        let first_sort = if one_time { ID } else { changed };
        let first = self
            .search_request(first_sort, &[&bounds[..], std::slice::from_ref(&at_least)].concat())?;
        let reader = self.clone();
        let further = move |search: &Search| {
            let mut filters = bounds.clone();
            let sort = match search {
                Search::From(id) if one_time => {
                    filters.extend([at_least.clone(), filter(ID, "GTE", text(id))]);
                    ID
                }
                Search::From(value) => {
                    filters.push(filter(changed, "GTE", millis(value, 0)?));
                    changed
                }
                Search::Tie { value, after } => {
                    filters = vec![filter(changed, "EQ", millis(value, 0)?)];
                    filters.extend(after.as_ref().map(|id| filter(ID, "GT", text(id))));
                    ID
                }
                Search::Above(value) => {
                    filters.push(filter(changed, "GTE", millis(value, 1)?));
                    changed
                }
            };

            reader.search_request(sort, &filters)
        };
        let value = if one_time { "/id" } else { self.object.changed_pointer() };
        let paginator = Keyset::new(CursorToken::body(PLACE), MOST_HITS, value, "/id", further);
        let client = self.api.client.clone();

        Ok(pages_then(client, first, paginator, found, move |page| self.clone().complete(page)))
    }

    fn search_request(&self, sort: &str, filters: &[Value]) -> Result<Request> {
        let target = path(&["crm", "v3", "objects", &self.object.path, "search"])?;
        let body = json!({
            "filterGroups": [{"filters": filters}],
            "sorts": [{"propertyName": sort, "direction": "ASCENDING"}],
            "limit": self.page,
            "properties": self.listed,
        });

        Ok(Request::post(target).json(&body).idempotent())
    }

    /// Adds what lists and searches do not give: wide lists of properties, and associations.
    async fn complete(self: Arc<Self>, mut page: Page) -> Result<Page> {
        let mut records = rows::records(&page.upserts)?;
        if self.listed.len() < self.names.len() {
            records = self.with_all_properties(records).await?;
        }
        let ids: Vec<String> = records.iter().map(|(id, _)| id.clone()).collect();
        let lists = self.object.associations.iter().map(|to| self.associated(to, &ids));
        let lists = try_join_all(lists).await?;
        let columns: Vec<_> = self.object.associations.iter().copied().zip(&lists).collect();
        let rows = records.iter().map(|(id, record)| rows::with_associations(id, record, &columns));
        page.upserts = Records { rows: Rows::Each(rows.collect()), ..Records::default() };

        Ok(page)
    }

    /// Records that are archived meanwhile are left out. Where a record changed meanwhile, the time
    /// of its change stays that of the page: it comes again at the later one.
    async fn with_all_properties(&self, records: rows::Found) -> Result<rows::Found> {
        let target = path(&["crm", "v3", "objects", &self.object.path, "batch", "read"])?;
        let ids: Vec<String> = records.iter().map(|(id, _)| id.clone()).collect();
        let request = |ids: &[String]| {
            let inputs: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
            let body = json!({"properties": self.names, "inputs": inputs});
            Ok(Request::post(target.clone()).json(&body).idempotent())
        };
        let answers = |response: &Response| {
            rows::records(&Records::array(envelope::object(&response.body)?.array("results")?))
        };
        let chunks = Chunks { ids: MOST_IDS, at_once: 1 };
        let found = details(&self.api.client, &ids, chunks, request, answers).await?;
        let pairs = records.into_iter().zip(found);

        pairs
            .filter_map(|((id, record), wide)| {
                wide.map(|wide| Ok((id, envelope::merged(&[record, wide])?)))
            })
            .collect()
    }

    /// Ids of the records `to` that each of `ids` is associated with.
    async fn associated(&self, to: &str, ids: &[String]) -> Result<BTreeMap<String, Vec<String>>> {
        let from = &self.object.path;
        let target = path(&["crm", "v4", "associations", from, to, "batch", "read"])?;
        let mut lists: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut inputs: Vec<Value> = ids.iter().map(|id| json!({"id": id})).collect();
        let mut asked = HashSet::new();
        while !inputs.is_empty() {
            let body = json!({"inputs": inputs});
            let request = Request::post(target.clone()).json(&body).idempotent();
            let answer: Associations = self.api.ask(request).await?;
            inputs.clear();
            for (id, associated, next) in answer.lists()? {
                if let Some(next) = next {
                    if !asked.insert((id.clone(), next.clone())) {
                        return Err(Error::bad_response(format!(
                            "the list of associated {to} does not end: '{}' comes again",
                            next.chars().take(80).collect::<String>()
                        )));
                    }
                    inputs.push(json!({"id": id, "after": next}));
                }
                lists.entry(id).or_default().extend(associated);
            }
        }

        Ok(lists)
    }
}

fn filter(property: &str, operator: &str, value: String) -> Value {
    json!({"propertyName": property, "operator": operator, "value": value})
}

/// A row's time of change, so many milliseconds later, as filters want it.
fn millis(value: &Value, later: i64) -> Result<String> {
    let cursor = Cursor::parse(CursorKind::Instant, &text(value))?;

    Spelling::EpochMillis.write(&cursor.moved(Step::MILLISECOND, later))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
