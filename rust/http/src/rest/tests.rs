use super::{Bound, By, Filter, Paging, Spelling, Split, Table, Tables};
use crate::paginate::{Next, Parsed};
use bytes::Bytes;
use lakeflow_core::{
    Column, Cursor, CursorKind, DataType, ErrorKind, Feed, FieldPath, Ingestion, Instant,
    JsonScalar, OptionKind, OptionSpec, Options, Order, Page, Part, Position, Progress, Pushdown,
    ReadRequest, Records, Settings, Source, Step, TableSchema, Until, Within,
};
use std::sync::Arc;
use std::time::Duration;

static OPTIONS: &[OptionSpec] = &[
    OptionSpec::new("project", OptionKind::Text, "Project."),
    OptionSpec::new("state", OptionKind::Text, "State."),
    OptionSpec::new("per_page", OptionKind::Integer { min: 1, max: 100 }, "Size.").default("50"),
    OptionSpec::new("lookback_seconds", OptionKind::Integer { min: 0, max: 9 }, "Lookback."),
    OptionSpec::new("window_seconds", OptionKind::Integer { min: 1, max: 9 }, "Window.")
        .tables(&["windows"]),
];

static SOURCE: Source = Source {
    name: "rows",
    connection_options: &[],
    kit_options: &[],
    table_options: OPTIONS,
    build: |_| Err(lakeflow_core::Error::internal("never built")),
};

fn schema() -> TableSchema {
    TableSchema::new(vec![
        Column::new("id", DataType::Long).required(),
        Column::new("changed", DataType::String),
        Column::new("project", DataType::String),
    ])
}

const BY: By = By::instants("changed", Step::SECOND);

const TICKETS: Table = Table::new("tickets", "/p/{project}/tickets.json", schema)
    .cdc(&["id"], "changed")
    .ascending(BY.settle(60), 1)
    .query(&[("sort", "changed"), ("state", "{state}"), ("label", "in {project}")])
    .since("since", Bound::Inclusive, Spelling::EpochSeconds)
    .since_first("0")
    .until("until", Bound::Exclusive, Spelling::Rfc3339 { digits: 3 })
    .page_size("per_page", 100);

fn read(options: &[(&str, &str)], range: (Option<&str>, Option<&str>)) -> ReadRequest {
    let options: Options = options.iter().copied().collect();
    let cursor = |text: &str| Cursor::parse(CursorKind::Instant, text).unwrap();
    ReadRequest {
        table: "tickets".to_owned(),
        options: Arc::new(Settings::resolve(&options, OPTIONS, &[]).unwrap()),
        feed: Feed::Rows,
        after: range.0.map(cursor),
        upto: range.1.map(cursor),
        within: None,
        at: None,
        parts: Vec::new(),
        page_rows: None,
        pushed: Pushdown::default(),
    }
}

fn under(read: &ReadRequest, keys: &[&str]) -> ReadRequest {
    ReadRequest { parts: keys.iter().map(|key| Part::new(*key)).collect(), ..read.clone() }
}

/// The path and the query, decoded.
fn shown(table: &Table, read: &ReadRequest) -> String {
    let request = table.request(read).unwrap();
    let query = request.query.iter().map(|(n, v)| format!(" {n}={v}")).collect::<String>();

    format!("{}{query}", request.target)
}

#[test]
fn requests_hold_options_bounds_and_page_size() {
    let (nine, ten) = (Some("2031-03-01T09:00:00Z"), Some("2031-03-01T10:00:00Z"));
    let cases = [
        (
            read(&[("project", "a/b c")], (None, None)),
            "p/a%2Fb%20c/tickets.json sort=changed label=in a/b c since=0 per_page=50",
        ),
        (
            read(&[("project", "x"), ("state", "open"), ("per_page", "7")], (nine, ten)),
            "p/x/tickets.json sort=changed state=open label=in x since=1930122001 \
             until=2031-03-01T10:00:01.000Z per_page=7",
        ),
        (
            ReadRequest { page_rows: Some(3), ..read(&[("project", "x")], (None, None)) },
            "p/x/tickets.json sort=changed label=in x since=0 per_page=3",
        ),
    ];
    for (read, expected) in cases {
        assert_eq!(shown(&TICKETS, &read), expected);
    }
}

#[test]
fn bounds_are_written_as_the_service_wants_them() {
    let read = read(&[], (Some("2031-03-01T09:00:00Z"), Some("2031-03-01T10:00:00Z")));
    let table = Table::new("t", "/t", schema).windows(BY);
    let cases = [
        (Bound::Exclusive, Spelling::Rfc3339 { digits: 0 }, "2031-03-01T09:00:00Z", "10:00:01Z"),
        (Bound::Inclusive, Spelling::Offset { digits: 0 }, "2031-03-01T09:00:01+00:00", "00+00:00"),
        (Bound::Inclusive, Spelling::EpochMillis, "1930122001000", "1930125600000"),
        (Bound::Exclusive, Spelling::AsWritten, "2031-03-01T09:00:00Z", "2031-03-01T10:00:01Z"),
    ];
    for (bound, spelling, lower, upper) in cases {
        let shown = shown(&table.since("a", bound, spelling).until("b", bound, spelling), &read);

        assert!(shown.starts_with(&format!("t a={lower} b=")), "{shown}");
        assert!(shown.ends_with(upper), "{shown}");
    }
}

#[test]
fn wanted_columns_are_asked_for_with_what_the_engine_reads_by() {
    let table = Table::new("t", "/t", schema).cdc(&["id"], "changed").selects("fields");
    let wanting = |columns: Option<&[&str]>| {
        let columns = columns.map(|names| names.iter().map(|n| (*n).to_owned()).collect());
        let pushed = Pushdown { columns, ..Pushdown::default() };
        shown(&table, &ReadRequest { pushed, ..read(&[], (None, None)) })
    };

    assert_eq!(wanting(None), "t");
    assert_eq!(wanting(Some(&["project"])), "t fields=project,id,changed");
    assert_eq!(wanting(Some(&["id", "project", "x"])), "t fields=id,project,changed");
}

#[test]
fn a_wanted_value_takes_the_place_of_an_option_that_leaves_it_open() {
    const FILTERS: &[Filter] = &[
        Filter::exact("project", "state", "all", &["open", "closed"]),
        Filter::exact("changed", "when", "", &["now"]),
    ];
    let table = Table::new("t", "/t", schema)
        .query(&[("state", "{state}"), ("sort", "asc")])
        .filters(FILTERS);
    let filters = |options: &[(&str, &str)]| -> Vec<_> {
        let spec = table.spec(&read(options, (None, None)).options);
        spec.filters.into_iter().map(|filter| (filter.column, filter.values.to_vec())).collect()
    };
    let by_state = ("project".to_owned(), vec!["open", "closed"]);
    let by_time = ("changed".to_owned(), vec!["now"]);
    let (one, both) = (vec![by_time.clone()], vec![by_state, by_time]);
    assert_eq!(filters(&[]), both, "the option has no default here");
    assert_eq!(filters(&[("state", "all")]), both);
    assert_eq!(filters(&[("state", "open")]), one);

    let wanting = |pairs: &[(&str, &str)]| {
        let filters = pairs.iter().map(|(c, v)| ((*c).to_owned(), (*v).to_owned())).collect();
        let pushed = Pushdown { filters, ..Pushdown::default() };
        shown(&table, &ReadRequest { pushed, ..read(&[("state", "all")], (None, None)) })
    };
    assert_eq!(wanting(&[]), "t state=all sort=asc");
    assert_eq!(wanting(&[("project", "open")]), "t sort=asc state=open");
    assert_eq!(wanting(&[("changed", "now")]), "t state=all sort=asc when=now");
}

#[test]
fn splits_are_asked_for_by_their_bounds() {
    const SPLIT: Split = Split::instants(
        "project",
        Step::SECOND,
        ("made_min", "made_max"),
        Bound::Inclusive,
        Spelling::Rfc3339 { digits: 0 },
        ("sort", "made"),
    );
    let table = Table::new("t", "/t", schema)
        .cdc(&["id"], "changed")
        .ascending(BY, 1)
        .since("since", Bound::Inclusive, Spelling::EpochSeconds)
        .selects("fields")
        .split_by(SPLIT);
    let (nine, ten) = (Some("2031-03-01T09:00:00Z"), Some("2031-03-01T10:00:00Z"));
    let cursor =
        |text: Option<&str>| text.map(|text| Cursor::parse(CursorKind::Instant, text).unwrap());
    let within = |from, upto| {
        let within = Some(Within::Range { from: cursor(from), upto: cursor(upto) });
        let columns = Some(vec!["id".to_owned()]);
        let pushed = Pushdown { columns, ..Pushdown::default() };
        shown(&table, &ReadRequest { within, pushed, ..read(&[], (nine, None)) })
    };
    let fields = "fields=id,changed,project";

    assert_eq!(
        within(nine, ten),
        format!("t since=1930122001 made_min={} made_max={} {fields}", nine.unwrap(), ten.unwrap())
    );
    assert_eq!(within(None, ten), format!("t since=1930122001 made_max={} {fields}", ten.unwrap()));
    let by = table.spec(&Settings::resolve(&Options::new(), [], &[]).unwrap()).split_by.unwrap();
    assert_eq!((by.field.to_string(), by.nullable), ("project".to_owned(), false));
}

#[test]
fn a_place_wins_over_the_size_of_pages() {
    let table = Table::new("t", "/t", schema)
        .page_size("per_page", 100)
        .resume_by_link(&["page", "per_page"]);
    let text = |text: &str| JsonScalar::Text(text.to_owned());
    let place = Position::default().with("page", text("3")).with("per_page", text("20"));
    let read = ReadRequest { at: Some(place), ..read(&[], (None, None)) };

    assert_eq!(shown(&table, &read), "t page=3 per_page=20");
}

#[test]
fn a_list_that_grows_ends_with_the_first_page_beyond_its_beginning() {
    let table = Table::new("t", "/t", schema).grows_by("created");
    let ends = |rows: &'static str, began: Option<&str>| {
        let page = Page::of(Records::array(Bytes::from_static(rows.as_bytes())));
        let began = began.map(|text| Instant::parse(text).unwrap());
        table.ended(Parsed::from(page), began).unwrap().next == Next::End
    };
    let rows = r#"[{"created": "2031-03-01T00:00:00Z"}, {"created": "2031-03-01T10:00:01Z"}]"#;

    assert!(ends(rows, Some("2031-03-01T10:00:00Z")));
    assert!(!ends(rows, Some("2031-03-01T10:00:01Z")));
    assert!(!ends(rows, None));
    assert!(!ends("[]", Some("2031-03-01T10:00:00Z")));
    assert!(!ends(r#"[{"created": null}]"#, Some("2031-03-01T10:00:00Z")));
}

#[test]
fn parents_stand_where_the_row_puts_them() {
    let read = read(&[("project", "x")], (None, None));
    let one = Table::new("t", "/lists/{parent}/members", schema);
    let many = Table::new("t", "/levels", schema).query(&[("ids", "{parents}")]);

    assert_eq!(shown(&one, &under(&read, &["a b"])), "lists/a%20b/members");
    assert_eq!(shown(&many, &under(&read, &["1", "2"])), "levels ids=1,2");
    assert!(one.request(&read).is_err());
}

#[test]
fn what_a_parent_gives_to_its_rows_may_stand_in_requests() {
    let table = Table::new("t", "/lists/{parent.list}/members", schema)
        .query(&[("status", "{parent.status}"), ("n", "{parent.n}")]);
    let with = |columns: &[(&str, &'static str)]| {
        let column = |(n, v): &(&str, &'static str)| ((*n).to_owned(), (*v).into());
        let part = Part { columns: columns.iter().map(column).collect(), ..Part::new("k") };
        ReadRequest { parts: vec![part], ..read(&[], (None, None)) }
    };

    let all = with(&[("list", r#""a/b""#), ("status", r#""gone""#), ("n", "7")]);
    assert_eq!(shown(&table, &all), "lists/a%2Fb/members status=gone n=7");
    assert_eq!(shown(&table, &with(&[("list", r#""x""#)])), "lists/x/members");
    assert!(table.request(&with(&[])).is_err());
}

#[test]
fn records_that_change_without_their_order_value_are_read_again() {
    const DAYS: By = BY.refresh_days("per_page");
    let lookback = |by: By, options: &[(&str, &str)]| {
        by.order(&read(options, (None, None)).options).lookback.as_secs()
    };

    assert_eq!(lookback(DAYS, &[("per_page", "2")]), 2 * 86_400);
    assert_eq!(lookback(DAYS, &[("per_page", "2"), ("lookback_seconds", "9")]), 2 * 86_400);
    assert_eq!(lookback(BY.refresh_days("none"), &[("lookback_seconds", "9")]), 9);
    assert_eq!(lookback(BY.refresh_all(), &[]), 100 * 365 * 86_400);
}

#[test]
fn an_option_that_the_path_needs_is_named_where_it_is_missing() {
    let error = TICKETS.request(&read(&[], (None, None))).unwrap_err();

    assert_eq!(
        error.to_string(),
        "option 'project' is required: the path /p/{project}/tickets.json needs it"
    );
}

#[test]
fn what_the_path_needs_is_asked_for_before_any_request() {
    const NAMED: Table = Table::new("teams", "/orgs/{state}/{parent}", schema);
    let tables = Tables(&[TICKETS, NAMED]);
    let settings = read(&[("project", "x")], (None, None)).options;

    assert!(tables.spec("tickets", &settings).is_ok());
    assert_eq!(
        tables.spec("teams", &settings).unwrap_err().to_string(),
        "option 'state' is required: the path /orgs/{state}/{parent} needs it (table: teams)"
    );
    assert!(tables.spec("teams", &(*settings).clone().incomplete()).is_ok());
    assert_eq!(tables.spec("x", &settings).unwrap_err().kind(), ErrorKind::TableNotFound);
}

#[test]
fn lookback_is_that_of_the_option_else_of_the_table() {
    let lookback = |by: By, options: &[(&str, &str)]| {
        by.order(&read(options, (None, None)).options).lookback.as_secs()
    };

    assert_eq!(lookback(BY.lookback(300), &[]), 300);
    assert_eq!(lookback(BY.lookback(300), &[("lookback_seconds", "0")]), 0);
    assert_eq!(lookback(BY, &[]), 0);
}

#[test]
fn rows_say_how_the_engine_reads() {
    let settings =
        read(&[("lookback_seconds", "5"), ("window_seconds", "9")], (None, None)).options;
    let order = Order {
        field: Some(FieldPath::field("changed")),
        kind: CursorKind::Instant,
        step: Step::SECOND,
        until: Until::Clock { settle: Duration::from_secs(60) },
        lookback: Duration::from_secs(5),
    };
    let spec = TICKETS.spec(&settings);

    assert_eq!(spec.rows, Progress::Ascending { order: order.clone(), restart_pages: 1 });
    assert_eq!(spec.cursor, Some(FieldPath::field("changed")));
    assert_eq!((spec.ingestion, spec.key.len()), (Ingestion::Cdc, 1));

    let table = Table::new("t", "/t", schema).append(&["id"]).windows(BY.settle(60));
    let window = Duration::from_secs(9);
    let windows = Progress::Windows { order, window, sorted: false };
    assert_eq!(table.spec(&settings).rows, windows);
    assert_eq!(table.spec(&settings).cursor, None);
}

#[test]
fn mistakes_in_rows_are_found() {
    const WRONG: &[Table] = &[
        TICKETS,
        Table::new("a", "/a/{projct}", schema).paging(Paging::Link),
        Table::new("b", "/b/{parent}", schema).snapshot(&["no"]).columns(&[("none", "{project}")]),
        Table::new("c", "/c", schema).cdc(&["id"], "changed").windows(BY),
        Table::new("c", "/c", schema).children_of("d", "id", &[]),
        Table::new("e", "/e", schema)
            .query(&[("w", "{window_seconds}")])
            .exceeds_for_ties("size")
            .paging(Paging::Offset { parameter: "offset", total: "total" }),
    ];

    assert_eq!(
        Tables(WRONG).mistakes(&SOURCE),
        [
            "a: {projct} is no option that applies to the table",
            "b: {parent} is no option that applies to the table",
            "b: the schema has no column 'no'",
            "b: the schema has no column 'none'",
            "c: the name comes twice",
            "c: windows need both bounds",
            "c: the name comes twice",
            "c: there is no table 'd' to read the parents from",
            "e: {window_seconds} is no option that applies to the table",
            "e: pages by offset need a page size",
            "e: size is no option that applies to the table",
        ]
    );
    assert_eq!(Tables(&[TICKETS]).mistakes(&SOURCE), Vec::<String>::new());
    const SOME: &[Table] = &[TICKETS, Table::new("feed", "/feed", schema).hidden()];
    assert_eq!(
        Tables(SOME).get("x").unwrap_err().to_string(),
        "unknown table 'x'; the source has: tickets"
    );
}

#[test]
fn a_read_goes_on_from_the_place_that_a_page_stated_without_bounds() {
    let table = TICKETS.resume_at("meta.after_cursor", "cursor");
    let range = (Some("2031-03-01T09:00:00Z"), Some("2031-03-01T10:00:00Z"));
    let mut read = read(&[("project", "x")], range);
    let place = |name: &str| Position::default().with(name, JsonScalar::Text("t/1".to_owned()));
    let fixed = "p/x/tickets.json sort=changed label=in x";

    read.at = Some(place("after_cursor"));
    assert_eq!(shown(&table, &read), format!("{fixed} cursor=t/1 per_page=50"));
    read.at = Some(place("of another kind"));
    assert!(shown(&table, &read).contains(" since=1930122001 "));
}

#[test]
fn the_body_says_whether_and_which_page_follows() {
    let url = Table::new("t", "/t", schema).paging(Paging::Url("links.next"));
    let token = url.paging(Paging::Token { parameter: "after", at: "next" });
    let number = url.paging(Paging::Number { parameter: "from", at: "end" }).more_unless("done");
    let flagged = url.more_if("meta.more");
    let next = |table: &Table, body: &'static str| {
        let body = crate::envelope::object(&Bytes::from_static(body.as_bytes())).unwrap();
        table.next(&body).map_err(|e| e.to_string())
    };
    let address = Next::Url("https://h/x".to_owned());
    let cases = [
        (url, r#"{"links": {"next": "https://h/x"}}"#, Ok(address.clone())),
        (url, r#"{"links": {"next": null}}"#, Ok(Next::End)),
        (url, r#"{"links": null}"#, Ok(Next::End)),
        (token, r#"{"next": 7}"#, Ok(Next::Token("7".to_owned()))),
        (token, "{}", Ok(Next::End)),
        (number, r#"{"end": 1930122001, "done": false}"#, Ok(Next::Number(1_930_122_001))),
        (number, r#"{"end": 1930122001, "done": true}"#, Ok(Next::End)),
        (number, r#"{"end": -1, "done": false}"#, Err("field 'end' is not a whole number from 0")),
        (
            number,
            r#"{"end": 5}"#,
            Err("the response has no true or false at 'done', which says whether a page follows"),
        ),
        (flagged, r#"{"meta": {"more": true}, "links": {"next": "https://h/x"}}"#, Ok(address)),
        (flagged, r#"{"meta": {"more": false}, "links": {"next": "https://h/x"}}"#, Ok(Next::End)),
        (
            flagged,
            r#"{"meta": {"more": true}}"#,
            Err("the response says that a page follows, but has nothing at 'links.next'"),
        ),
    ];
    for (table, body, expected) in cases {
        assert_eq!(next(&table, body), expected.map_err(str::to_owned), "{body}");
    }
}
