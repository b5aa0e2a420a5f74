use super::{SOURCE, TABLES, api};
use crate::testing::context;

#[test]
fn rows_of_tables_are_without_mistakes() {
    assert_eq!(TABLES.mistakes(&SOURCE), Vec::<String>::new());
}

#[test]
fn the_key_names_the_host_and_no_other_text_may() {
    let wrong_key = "the key of option 'api_key' must end in a data centre: two letters and a \
                     number, such as us21";
    let wrong_prefix = "option 'server_prefix' must be a data centre: two letters and a number, \
                        such as us21";
    let cases: [(&[(&str, &str)], _); 8] = [
        (&[("api_key", "canary-us21")], Ok("Client(https://us21.api.mailchimp.com)")),
        (&[("api_key", "a-b-eu7")], Ok("Client(https://eu7.api.mailchimp.com)")),
        (
            &[("api_key", "canary"), ("server_prefix", "us6")],
            Ok("Client(https://us6.api.mailchimp.com)"),
        ),
        (
            &[("api_key", "canary-us21"), ("server_prefix", "us6")],
            Ok("Client(https://us21.api.mailchimp.com)"),
        ),
        (&[("api_key", "canary-evil.example/us1")], Err(wrong_key)),
        (&[("api_key", "canary-us"), ("server_prefix", "us6")], Err(wrong_key)),
        (&[("api_key", "canary"), ("server_prefix", "us6.evil")], Err(wrong_prefix)),
        (
            &[("api_key", "canary"), ("base_url", "https://sandbox.example/3.0")],
            Ok("Client(https://sandbox.example)"),
        ),
    ];
    for (options, expected) in cases {
        let client = api::client(&context(&SOURCE, options));
        let shown = client.map(|c| format!("{c:?}")).map_err(|e| e.to_string());
        assert_eq!(shown.as_deref().map_err(String::as_str), expected, "{options:?}");
    }
    let error = api::client(&context(&SOURCE, &[("api_key", "canary")])).unwrap_err();
    assert!(error.to_string().starts_with("option 'server_prefix' is required"), "{error}");
}
