//! The next page is a link in the response's header.

use super::next_url::Addresses;
use super::{Next, Paginator, Parsed};
use crate::{Request, Response};
use lakeflow_core::Result;
use url::Url;

/// Follows the `Link` header's `rel="next"` until there is none; the link is taken as it is, with
/// the first request's headers and without its query.
#[derive(Clone, Debug, Default)]
pub struct LinkHeader(Addresses);

impl LinkHeader {
    /// Starts with the first request.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Paginator for LinkHeader {
    fn follow(
        &mut self,
        sent: &Request,
        response: &Response,
        found: &Parsed,
    ) -> Result<Option<Request>> {
        let address = if found.next == Next::End { None } else { response.link("next")? };

        address.map(|address| self.0.follow(sent, response, &address)).transpose()
    }

    /// Links to the next and to the last page that differ in one whole number tell of all between.
    fn foresee(
        &self,
        sent: &Request,
        response: &Response,
        _found: &Parsed,
        most: usize,
    ) -> Vec<Request> {
        let (Ok(Some(next)), Ok(Some(last))) = (response.link("next"), response.link("last"))
        else {
            return Vec::new();
        };
        let between = between(&next, &last, most).unwrap_or_default();

        between.iter().map(|address| sent.with_address(address)).collect()
    }
}

/// Addresses from `next` on, `last` the last of them, `most` at the most; `None` unless they differ
/// in the value of one query parameter, a whole number.
fn between(next: &str, last: &str, most: usize) -> Option<Vec<String>> {
    let (next, last) = (Url::parse(next).ok()?, Url::parse(last).ok()?);
    let pairs: Vec<&str> = next.query()?.split('&').collect();
    let others: Vec<&str> = last.query()?.split('&').collect();
    let mut differing = (0..).zip(pairs.iter().zip(&others)).filter(|(_, (a, b))| a != b);
    let (place, (pair, other)) = differing.next()?;
    let rest_is_equal = pairs.len() == others.len() && differing.next().is_none();
    let ((name, first), (other_name, end)) = (pair.split_once('=')?, other.split_once('=')?);
    if !rest_is_equal || name != other_name || next.path() != last.path() {
        return None;
    }
    let numbers = first.parse::<u64>().ok()?..=end.parse().ok()?;
    let address = |number: u64| {
        let mut url = next.clone();
        let pair = format!("{name}={number}");
        let changed = (0..).zip(&pairs).map(|(i, old)| if i == place { &*pair } else { *old });
        url.set_query(Some(&changed.collect::<Vec<_>>().join("&")));
        url.to_string()
    };

    Some(numbers.take(most).map(address).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_differ_in_one_number_tell_of_those_between() {
        let address = |query: &str| format!("https://h/list?{query}");
        let cases = [
            ("q=a%20b&page=2", "q=a%20b&page=4", vec!["q=a%20b&page=2", "q=a%20b&page=3"]),
            ("page=2&n=5", "page=2&n=6", vec!["page=2&n=5", "page=2&n=6"]),
            ("page=4&n=5", "page=3&n=5", vec![]),
            ("page=2", "page=2", vec![]),
            ("page=2", "page=4&n=5", vec![]),
            ("page=2&n=5", "page=4&n=6", vec![]),
            ("page=2", "pages=4", vec![]),
            ("after=a", "after=b", vec![]),
            ("2", "4", vec![]),
        ];
        for (next, last, expected) in cases {
            let found = between(&address(next), &address(last), 2).unwrap_or_default();
            let expected: Vec<_> = expected.into_iter().map(address).collect();
            assert_eq!(found, expected, "{next} {last}");
        }
        assert_eq!(between("https://h/a?page=2", "https://h/b?page=4", 2), None);
        assert_eq!(between("https://h/a", "https://h/a", 2), None);
    }
}
