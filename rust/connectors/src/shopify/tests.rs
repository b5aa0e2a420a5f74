use super::{SOURCE, TABLES, api};
use crate::testing::context;

#[test]
fn rows_of_tables_are_without_mistakes() {
    assert_eq!(TABLES.mistakes(&SOURCE), Vec::<String>::new());
}

#[test]
fn the_shop_names_the_host_and_no_other_text_may() {
    let wrong = |shop: &str| {
        format!(
            "option 'shop' must be the label before .myshopify.com, of a-z, 0-9 and -, got \
             \"{shop}\""
        )
    };
    let version =
        "option 'api_version' must be a quarter's version such as 2026-04, got \"latest\"";
    let cases: [(&[(&str, &str)], _); 5] = [
        (&[("shop", "acme-demo")], Ok("Client(https://acme-demo.myshopify.com)".to_owned())),
        (
            &[("shop", "acme"), ("base_url", "https://proxy.example")],
            Ok("Client(https://proxy.example)".to_owned()),
        ),
        (&[("shop", "acme.myshopify.com")], Err(wrong("acme.myshopify.com"))),
        (&[("shop", "evil.example/")], Err(wrong("evil.example/"))),
        (&[("shop", "acme"), ("api_version", "latest")], Err(version.to_owned())),
    ];
    for (options, expected) in cases {
        let options: Vec<_> =
            options.iter().chain(&[("access_token", "canary")]).copied().collect();
        let client = api::client(&context(&SOURCE, &options));
        let shown = client.map(|c| format!("{c:?}")).map_err(|e| e.to_string());
        assert_eq!(shown, expected);
    }
}
