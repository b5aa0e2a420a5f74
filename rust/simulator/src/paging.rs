//! Pages: numbers, offsets, tokens and times, and the links between them.

use crate::answer::{Matched, Request, of_reply};
use crate::list::{Refusal, invalid, last_parameter};
use crate::spec::{CollectionSpec, Invalid, ListSpec, Oversize, PagingSpec, Style};
use crate::table::{Found, Query, Start, Table};
use crate::token::Token;
use crate::value::{Compare, Key, Value};

/// Which page a request asks for.
pub(crate) struct Page {
    pub(crate) start: Start,
    pub(crate) size: usize,
    /// Number of the page, from 1, where pages have numbers.
    number: usize,
    /// The parameters that tokens keep.
    kept: Vec<(String, String)>,
}

/// The values of the page parameter for the neighbours of a page.
#[derive(Debug, Default)]
pub(crate) struct Around {
    pub(crate) next: Option<String>,
    pub(crate) previous: Option<String>,
    /// Where the list goes on, whether there is more yet or not.
    pub(crate) last: Option<String>,
    pub(crate) more: bool,
}

/// Parameters in their order, decoded.
type Parameters = Vec<(String, String)>;

/// Reads page and size, and the parameters that the rest of the request is read from: its own and
/// those kept in a token.
pub(crate) fn read_page(
    request: &Request,
    matched: &Matched,
    paging: &PagingSpec,
) -> Result<(Page, Parameters), Refusal> {
    let mut page = Page { start: Start::Offset(0), size: paging.size, number: 1, kept: Vec::new() };
    let given = last_parameter(&request.query, &paging.page_param);
    let given_size = paging
        .size_param
        .as_deref()
        .and_then(|param| last_parameter(&request.query, param).map(|text| (param, text)));
    if let Some((param, text)) = given_size {
        match (text.parse::<usize>(), paging.invalid) {
            (Ok(size), _) if size > paging.max_size && paging.oversize == Oversize::Error => {
                return Err(invalid(matched, param, text));
            }
            (Ok(size), _) if size >= 1 => page.size = size.min(paging.max_size),
            (_, Invalid::Default) => {}
            (_, Invalid::Error) => return Err(invalid(matched, param, text)),
        }
    }
    let mut parameters = request.query.clone();
    match (paging.style, given) {
        (Style::Time, _) | (_, None) => {}
        (Style::Page, Some(text)) => match (text.parse::<usize>(), paging.invalid) {
            (Ok(number), _) if number >= 1 => page.number = number,
            (_, Invalid::Default) => {}
            (_, Invalid::Error) => return Err(invalid(matched, &paging.page_param, text)),
        },
        (Style::Offset, Some(text)) => match (text.parse::<usize>(), paging.invalid) {
            (Ok(offset), _) => page.start = Start::Offset(offset),
            (Err(_), Invalid::Default) => {}
            (Err(_), Invalid::Error) => return Err(invalid(matched, &paging.page_param, text)),
        },
        (Style::Cursor, Some(text)) => {
            let token = Token::open(text, &request.path);
            let Some((start, token)) = token.and_then(|token| Some((token.start()?, token))) else {
                return Err(invalid(matched, &paging.page_param, text));
            };
            page.start = start;
            if let Some(name) = strangers(request, paging).next() {
                let value = last_parameter(&request.query, name).unwrap_or_default();
                return Err(invalid(matched, name, value));
            }
            parameters.extend(token.query);
        }
    }
    if paging.style == Style::Page {
        page.start = Start::Offset((page.number - 1).saturating_mul(page.size));
    }
    if let (Some(reach), Start::Offset(offset)) = (&paging.reach, &page.start)
        && offset.saturating_add(page.size) > reach.rows
    {
        return Err(Box::new(of_reply(&reach.beyond, &|name: &str| matched.name(name))));
    }
    if paging.beside_token.is_some() {
        let kept = |(name, _): &&(String, String)| !is_beside(paging, name);
        page.kept = parameters.iter().filter(kept).cloned().collect();
    }

    Ok((page, parameters))
}

/// Parameters that must not stand beside a token.
fn strangers<'a>(request: &'a Request, paging: &PagingSpec) -> impl Iterator<Item = &'a str> {
    let exclusive = paging.beside_token.is_some();
    let names = request.query.iter().map(|(name, _)| name.as_str());
    names.filter(move |name| exclusive && !is_beside(paging, name))
}

fn is_beside(paging: &PagingSpec, name: &str) -> bool {
    paging.page_param == name
        || paging.size_param.as_deref() == Some(name)
        || paging.beside_token.iter().flatten().any(|known| known == name)
}

impl Around {
    /// The neighbours of a page that was found.
    pub(crate) fn new(
        table: &mut Table,
        query: &Query,
        page: &Page,
        found: &Found,
        list: &ListSpec,
        request: &Request,
        collection: &CollectionSpec,
    ) -> Self {
        let mut around = Self { more: found.more, ..Self::default() };
        let offset = match page.start {
            Start::Offset(offset) => offset,
            Start::After(..) | Start::Before(..) => 0,
        };
        match list.paging.style {
            Style::Page => {
                around.next = Some((page.number + 1).to_string());
                around.previous = (page.number > 1).then(|| (page.number - 1).to_string());
            }
            Style::Offset => {
                around.next = Some(offset.saturating_add(found.slots.len()).to_string());
            }
            Style::Cursor => around.tokens(table, query, page, found, request),
            Style::Time => {
                let sorted = query.view.sort.and_then(|sort| collection.fields.0.get(sort));
                let last = found.slots.last().map(|slot| table.place(*slot, &query.view).0);
                around.next = sorted
                    .zip(last)
                    .and_then(|((_, compare), key)| seconds(*compare, &key))
                    .map(|seconds| seconds.to_string());
            }
        }
        around.last = around.next.clone().or(around.last);
        let tricks = &request.tricks;
        if tricks.repeat_link || tricks.restart_link {
            around.more = true;
            around.next = Some(trick_target(list, page, request, offset));
            around.last = around.next.clone();
        } else if !around.more && list.paging.style != Style::Time {
            around.next = None;
        }

        around
    }

    fn tokens(
        &mut self,
        table: &mut Table,
        query: &Query,
        page: &Page,
        found: &Found,
        request: &Request,
    ) {
        let seal = |start: &Start| Token::new(start, page.kept.clone()).seal(&request.path);
        let places = |table: &Table| {
            let first = found.slots.first().map(|slot| table.place(*slot, &query.view))?;
            let last = found.slots.last().map(|slot| table.place(*slot, &query.view))?;
            Some((Start::Before(first.0, first.1), Start::After(last.0, last.1)))
        };
        let Some((before, after)) = places(table) else {
            self.last = (page.start != Start::Offset(0)).then(|| seal(&page.start));
            return;
        };
        if matches!(page.start, Start::Before(..)) {
            self.more = !table.query(query, &after, 1).slots.is_empty();
        }
        self.next = Some(seal(&after));
        let precedes = !table.query(query, &before, 1).slots.is_empty();
        self.previous = precedes.then(|| seal(&before));
    }
}

/// The page itself, or the first one.
fn trick_target(list: &ListSpec, page: &Page, request: &Request, offset: usize) -> String {
    let again = request.tricks.repeat_link;
    match list.paging.style {
        Style::Page => if again { page.number } else { 1 }.to_string(),
        Style::Offset => if again { offset } else { 0 }.to_string(),
        Style::Cursor => {
            let start = if again { &page.start } else { &Start::Offset(0) };
            Token::new(start, page.kept.clone()).seal(&request.path)
        }
        Style::Time => {
            let given = last_parameter(&request.query, &list.paging.page_param);
            given.filter(|_| again).unwrap_or("0").to_owned()
        }
    }
}

/// A time in whole seconds since 1970.
fn seconds(compare: Compare, key: &Key) -> Option<i128> {
    match (compare, key) {
        (Compare::Instant, Key::Number(nanos)) => Some(nanos.div_euclid(1_000_000_000)),
        (Compare::Integer, Key::Number(seconds)) => Some(*seconds),
        _ => None,
    }
}

/// The URL of a page: every parameter of the request, or those that may stand beside a token.
pub(crate) fn page_url(
    request: &Request,
    list: &ListSpec,
    base: &str,
    path: &str,
    value: &str,
) -> String {
    let paging = &list.paging;
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let mut placed = false;
    for (key, given) in &request.query {
        if *key == paging.page_param {
            if !placed {
                query.append_pair(key, value);
                placed = true;
            }
        } else if paging.beside_token.is_none() || is_beside(paging, key) {
            query.append_pair(key, given);
        }
    }
    if !placed {
        query.append_pair(&paging.page_param, value);
    }

    format!("{base}{path}?{}", query.finish())
}

/// For numbers `prev`, `next`, `last`, `first`, for tokens `previous`, `next`, in the order of the
/// real headers. `None` if there is but one page.
pub(crate) fn link_header(
    request: &Request,
    matched: &Matched,
    list: &ListSpec,
    page: &Page,
    around: &Around,
    total: usize,
) -> Option<String> {
    let path = list.paging.link_path.as_ref()?;
    let path = path.render_text(&|name: &str| -> Value { matched.name(name) });
    let own = request.base_url.as_str();
    let next_base = request.tricks.foreign_origin.as_deref().unwrap_or(own);
    let last = total.div_ceil(page.size).max(1);
    let number = |number: usize| Some(number.to_string());
    let links = if list.paging.style == Style::Cursor {
        vec![("previous", own, around.previous.clone()), ("next", next_base, around.next.clone())]
    } else {
        let prev = if page.number > 1 { number((page.number - 1).min(last)) } else { None };
        let behind = if page.number != last && last > 1 { number(last) } else { None };
        let first = if page.number > 1 { number(1) } else { None };
        vec![
            ("prev", own, prev),
            ("next", next_base, around.next.clone()),
            ("last", own, behind),
            ("first", own, first),
        ]
    };
    let links: Vec<String> = links
        .into_iter()
        .filter_map(|(rel, base, value)| {
            let url = page_url(request, list, base, &path, &value?);
            Some(format!("<{url}>; rel=\"{rel}\""))
        })
        .collect();

    (!links.is_empty()).then(|| links.join(", "))
}
