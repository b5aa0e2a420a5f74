//! Lists: filters, order, pages and what leads to the next one.

use crate::answer::{Answer, Content, Matched, Request, header_text, of_json, of_reply};
use crate::spec::{FilterSpec, Invalid, ListSpec, Op, PagingSpec};
use crate::table::{Bound, ViewKey};
use crate::value::{Key, Value, name_hash};
use crate::world::{PageCache, Place, World};
use bytes::Bytes;
use lakeflow_core::{Error, Result};

/// What a list request asks for.
struct Query {
    view: ViewKey,
    bounds: Vec<Bound>,
    descending: bool,
    page: usize,
    size: usize,
}

/// A request the source refuses.
type Refusal = Box<Answer>;

pub(crate) fn answer_list(
    world: &mut World,
    source: &str,
    request: &Request,
    matched: &Matched,
    list: &ListSpec,
    place: &Place,
) -> Result<Answer> {
    let spec = matched.spec.collection(&place.0)?.clone();
    let index = |field: &str| {
        let at = spec.fields.position(field);
        at.ok_or_else(|| Error::internal(format!("field '{field}' is not indexed")))
    };
    let query = match read_query(request, matched, list, &index)? {
        Ok(query) => query,
        Err(refusal) => return Ok(*refusal),
    };

    let mut movements = std::mem::take(&mut world.movements);
    let state = world.source_mut(source)?;
    for movement in &mut movements {
        movement.before_list(source, state, place, matched.now)?;
    }
    let version = state.version();
    let cache_key = format!("{}?{}", request.path, request.raw_query);
    let plain = request.tricks == Default::default() && movements.is_empty();
    let etag = format!("W/\"{:016x}{version:08x}\"", name_hash(&cache_key));
    let unchanged =
        matched.spec.etag && header_text(request, "if-none-match").is_some_and(|e| e == etag);
    if unchanged {
        world.movements = movements;
        let mut answer = of_json(304, Bytes::new());
        answer.headers = vec![("etag".to_owned(), etag)];
        return Ok(answer);
    }
    if let Some(cache) = &mut state.pages {
        if cache.version != version {
            *cache = PageCache { version, ..PageCache::default() };
        }
        if plain && let Some(answer) = cache.pages.get(&cache_key) {
            return Ok(answer.clone());
        }
    }

    let offset = (query.page - 1).saturating_mul(query.size);
    let table = state.table(place)?;
    let found = table.query(&query.view, &query.bounds, query.descending, offset, query.size);
    let rows: Vec<Bytes> = if request.tricks.empty_page {
        Vec::new()
    } else {
        found.slots.iter().filter_map(|slot| table.json(*slot).cloned()).collect()
    };
    for movement in &mut movements {
        movement.after_list(source, place, &found.slots);
    }

    let last = found.total.div_ceil(query.size).max(1);
    let next = match request.tricks.repeat_link {
        true => Some(query.page),
        false => (query.page < last).then(|| query.page + 1),
    };
    let mut answer = of_json(200, Bytes::new());
    answer.rows = rows.len();
    answer.body = fill_envelope(list, matched, rows, next, found.total);
    if matched.spec.etag {
        answer.headers.push(("etag".to_owned(), etag));
    }
    if let Some(link) = link_header(request, matched, &list.paging, query.page, next, last) {
        answer.headers.push(("link".to_owned(), link));
    }
    if plain && let Some(cache) = &mut state.pages {
        answer.body = Content::Whole(answer.body.into_bytes());
        cache.pages.insert(cache_key, answer.clone());
    }
    world.movements = movements;

    Ok(answer)
}

fn read_query(
    request: &Request,
    matched: &Matched,
    list: &ListSpec,
    index: &dyn Fn(&str) -> Result<usize>,
) -> Result<std::result::Result<Query, Refusal>> {
    if let Some(refusal) = refuse_parameters(request, matched, list) {
        return Ok(Err(refusal));
    }
    let mut query = Query {
        view: ViewKey::default(),
        bounds: Vec::new(),
        descending: list.sort.descending,
        page: 1,
        size: list.paging.size,
    };
    for filter in &list.filters {
        let given = parameter(request, &filter.param).or(filter.default.as_deref());
        let Some(value) = given.filter(|value| filter.any.as_deref() != Some(*value)) else {
            continue;
        };
        let Some(key) = filter_key(filter, matched, &list.collection, value)? else {
            return Ok(Err(invalid(matched, &filter.param, value)));
        };
        let field = index(&filter.field)?;
        let bound = |lower, inclusive| Bound { field, lower, inclusive, key: key.clone() };
        match filter.op {
            Op::Equal => query.view.equal.push((field, key)),
            Op::After => query.bounds.push(bound(true, false)),
            Op::AtOrAfter => query.bounds.push(bound(true, true)),
            Op::Before => query.bounds.push(bound(false, false)),
            Op::AtOrBefore => query.bounds.push(bound(false, true)),
        }
    }

    let sort = list.sort.param.as_deref().and_then(|param| parameter(request, param));
    let name = sort.unwrap_or(&list.sort.default);
    let field = if list.sort.fields.0.is_empty() {
        Some(&list.sort.default)
    } else {
        list.sort.fields.get(name)
    };
    let Some(field) = field else {
        return Ok(Err(invalid(matched, list.sort.param.as_deref().unwrap_or("sort"), name)));
    };
    query.view.sort = Some(index(field)?);
    if let Some(param) = &list.sort.direction_param {
        match parameter(request, param) {
            None => {}
            Some("asc") => query.descending = false,
            Some("desc") => query.descending = true,
            Some(other) => return Ok(Err(invalid(matched, param, other))),
        }
    }

    let paging = &list.paging;
    let numbers = [
        (Some(paging.page_param.as_str()), 1, usize::MAX),
        (paging.size_param.as_deref(), paging.size, paging.max_size),
    ];
    let mut read = [1, paging.size];
    for ((param, default, max), slot) in numbers.into_iter().zip(&mut read) {
        *slot = default;
        let Some((param, text)) = param.and_then(|p| parameter(request, p).map(|t| (p, t))) else {
            continue;
        };
        match (text.parse::<usize>(), paging.invalid) {
            (Ok(number), _) if number >= 1 => *slot = number.min(max),
            (_, Invalid::Default) => {}
            (_, Invalid::Error) => return Ok(Err(invalid(matched, param, text))),
        }
    }
    [query.page, query.size] = read;

    Ok(Ok(query))
}

fn refuse_parameters(request: &Request, matched: &Matched, list: &ListSpec) -> Option<Refusal> {
    for (name, value) in &request.query {
        if list.unsupported.contains(name) {
            let body = format!(
                "{{\"error\":{}}}",
                serde_json::Value::from(format!("the simulator does not know parameter '{name}'"))
            );
            return Some(Box::new(of_json(501, body.into())));
        }
        let paging = &list.paging;
        let known = list.filters.iter().any(|filter| filter.param == *name)
            || list.sort.param.as_ref() == Some(name)
            || list.sort.direction_param.as_ref() == Some(name)
            || paging.page_param == *name
            || paging.size_param.as_ref() == Some(name);
        if !known && let Some(reply) = &matched.spec.errors.unknown_parameter {
            return Some(Box::new(of_reply(reply, &|key| {
                parameter_name(matched, key, name, value)
            })));
        }
    }

    None
}

fn filter_key(
    filter: &FilterSpec,
    matched: &Matched,
    collection: &str,
    value: &str,
) -> Result<Option<Key>> {
    if !filter.allowed.is_empty() && !filter.allowed.iter().any(|allowed| allowed == value) {
        return Ok(None);
    }
    let spec = matched.spec.collection(collection)?;
    Ok(spec.fields.get(&filter.field).and_then(|compare| Key::of_text(*compare, value)))
}

/// The last value of a parameter that occurs more than once, as most servers take it.
fn parameter<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn invalid(matched: &Matched, parameter: &str, value: &str) -> Refusal {
    let reply = &matched.spec.errors.invalid_parameter;
    Box::new(of_reply(reply, &|name| parameter_name(matched, name, parameter, value)))
}

fn parameter_name(matched: &Matched, name: &str, parameter: &str, value: &str) -> Value {
    match name {
        "parameter" => Value::text(parameter),
        "value" => Value::text(value),
        other => matched.name(other),
    }
}

/// Stands where the rows go; raw NUL occurs in no JSON.
const ROWS: &[u8] = b"[\0]";

fn fill_envelope(
    list: &ListSpec,
    matched: &Matched,
    rows: Vec<Bytes>,
    next: Option<usize>,
    total: usize,
) -> Content {
    let number = |n: usize| Value::Integer(i64::try_from(n).unwrap_or(i64::MAX));
    let names = |name: &str| match name {
        "rows" => Value::Json(Bytes::from_static(ROWS)),
        "next_page" => next.map_or(Value::Null, number),
        "total" => number(total),
        other => matched.name(other),
    };
    let rendered = Bytes::from(list.body.render(&names));
    match rendered.iter().position(|byte| *byte == 0) {
        Some(at) => {
            Content::Rows { before: rendered.slice(..at), rows, after: rendered.slice(at + 1..) }
        }
        None => Content::Whole(rendered),
    }
}

/// `prev`, `next`, `last`, `first`, in the order of the real header; each carries every parameter
/// of the request. `None` if there is but one page.
fn link_header(
    request: &Request,
    matched: &Matched,
    paging: &PagingSpec,
    page: usize,
    next: Option<usize>,
    last: usize,
) -> Option<String> {
    let path = paging.link_path.as_ref()?.render_text(&|name: &str| matched.name(name));
    let own = request.base_url.as_str();
    let url = |base: &str, number: usize| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let mut placed = false;
        for (key, value) in &request.query {
            if *key != paging.page_param {
                query.append_pair(key, value);
            } else if !placed {
                query.append_pair(key, &number.to_string());
                placed = true;
            }
        }
        if !placed {
            query.append_pair(&paging.page_param, &number.to_string());
        }
        format!("{base}{path}?{}", query.finish())
    };
    let next_base = request.tricks.foreign_origin.as_deref().unwrap_or(own);
    let links = [
        ("prev", own, (page > 1).then(|| (page - 1).min(last))),
        ("next", next_base, next),
        ("last", own, (page != last && last > 1).then_some(last)),
        ("first", own, (page > 1).then_some(1)),
    ];
    let links: Vec<String> = links
        .into_iter()
        .filter_map(|(rel, base, number)| {
            number.map(|number| format!("<{}>; rel=\"{rel}\"", url(base, number)))
        })
        .collect();

    (!links.is_empty()).then(|| links.join(", "))
}
