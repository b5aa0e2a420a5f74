//! The `Link` header.

/// One link of a `Link` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// The address, absolute or relative, as written.
    pub(crate) target: String,
    /// Relations, in lower case.
    rels: Vec<String>,
    /// The link is about something other than the response.
    anchored: bool,
}

impl Link {
    /// Whether this is the response's link with relation `rel`.
    pub(crate) fn is(&self, rel: &str) -> bool {
        !self.anchored && self.rels.iter().any(|r| r.eq_ignore_ascii_case(rel))
    }
}

/// The links of one header value, or `None` if it is malformed: a link that is not understood
/// might be the one to the next page.
///
/// # Source
/// RFC 8288, 3 and appendix B.2.
pub(crate) fn parse(value: &str) -> Option<Vec<Link>> {
    let mut links = Vec::new();
    let mut rest = skip(value, |c| c.is_ascii_whitespace() || c == ',');
    while !rest.is_empty() {
        let (target, after) = rest.strip_prefix('<')?.split_once('>')?;
        let mut link = Link { target: target.trim().to_owned(), rels: Vec::new(), anchored: false };
        let mut rel_seen = false;
        rest = blanks(after);
        while let Some(after) = rest.strip_prefix(';') {
            let (name, value, after) = parameter(blanks(after))?;
            if name.eq_ignore_ascii_case("rel") && !rel_seen {
                rel_seen = true;
                link.rels = value.split_ascii_whitespace().map(str::to_ascii_lowercase).collect();
            }
            link.anchored |= name.eq_ignore_ascii_case("anchor");
            rest = blanks(after);
        }
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
        links.push(link);
        rest = skip(rest, |c| c.is_ascii_whitespace() || c == ',');
    }

    Some(links)
}

/// Name and value of a parameter, either of which may be empty, and what follows.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let end = text.find(['=', ';', ',']).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    let name = name.trim();
    let Some(rest) = rest.strip_prefix('=') else { return Some((name, String::new(), rest)) };
    let rest = blanks(rest);
    let Some(quoted) = rest.strip_prefix('"') else {
        let end = rest.find([';', ',']).unwrap_or(rest.len());
        let (value, rest) = rest.split_at_checked(end)?;
        return Some((name, value.trim().to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return Some((name, value, chars.as_str())),
            '\\' => value.push(chars.next()?),
            c => value.push(c),
        }
    }
}

fn blanks(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_ascii_whitespace())
}

fn skip(text: &str, what: impl Fn(char) -> bool) -> &str {
    text.trim_start_matches(what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn next(value: &str) -> Option<String> {
        parse(value)?.into_iter().find(|l| l.is("next")).map(|l| l.target)
    }

    #[test]
    fn next_link_is_found_in_every_spelling() {
        let cases = [
            (
                r#"<https://h/x?page=2>; rel="next", <https://h/x?page=9>; rel="last""#,
                "https://h/x?page=2",
            ),
            (r#"<a>; rel=prev, <b>;rel=next"#, "b"),
            (r#"<b>; REL="NEXT""#, "b"),
            (r#"<b>; title="a, b; c=\"<z>\""; rel = "next""#, "b"),
            (r#"<x?a=1,2;b=3>; rel="next""#, "x?a=1,2;b=3"),
            (r#"<b>; rel="start next""#, "b"),
            (r#" , <a>; rel=prev , ,<b>; rel=next,"#, "b"),
            (r#"<z>; rel=prev; rel=next, <b>; rel=next"#, "b"),
            (r##"<z>; rel=next; anchor="#x", <b>; rel=next"##, "b"),
            (r#"<b>; results="true"; rel=next; cursor="0:0:0""#, "b"),
        ];
        for (value, expected) in cases {
            assert_eq!(next(value).as_deref(), Some(expected), "{value}");
        }
    }

    #[test]
    fn malformed_headers_are_told_from_headers_without_links() {
        for value in ["", " ", ",", "<a>; rel=prev", "<a>", "<a>;", "<a>; x"] {
            assert!(parse(value).is_some() && next(value).is_none(), "{value}");
        }
        for value in ["a; rel=next", "<a; rel=next", r#"<a>; rel="next"#, "<a> <b>; rel=next"] {
            assert_eq!(parse(value), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(value in r#"[<>;,="\\a-z é]{0,60}|.*"#) {
            let _ = parse(&value);
        }

        #[test]
        fn written_links_are_read_back(
            links in prop::collection::vec(("[!-=?-~]{1,20}", "[a-z]{1,8}", r#"[ -~é]{0,12}"#), 0..6)
        ) {
            let write = |(target, rel, title): &(String, String, String)| {
                let title = title.replace('\\', "\\\\").replace('"', "\\\"");
                format!("<{target}>; title=\"{title}\"; rel=\"{rel}\"")
            };
            let value = links.iter().map(write).collect::<Vec<_>>().join(", ");
            let expected: Vec<_> = links
                .iter()
                .map(|(target, rel, _)| Link {
                    target: target.clone(),
                    rels: vec![rel.clone()],
                    anchored: false,
                })
                .collect();
            prop_assert_eq!(parse(&value), Some(expected));
        }
    }
}
