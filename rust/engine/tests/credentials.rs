//! Named connections, references to secrets, and what they may be used for.

#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

use lakeflow_connectors::SOURCES;
use lakeflow_core::{OptionKind, OptionRole, Options, Reach, SystemClock};
use lakeflow_engine::{Configured, Engine};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What no message may show.
const CANARY: &str = "c4nary-8f1e";

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn engine() -> Engine {
    Engine::new(SOURCES.to_vec(), Arc::new(SystemClock))
}

/// Resolved options in the order of their names, or the error; neither the error nor what is shown
/// of the options holds the canary.
fn resolve_configured(
    options: Pairs<'_>,
    configured: Configured<'_>,
    variables: Pairs<'_>,
) -> Result<Vec<(String, String)>, String> {
    let options: Options = options.iter().copied().collect();
    let variable = |name: &str| {
        variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
    };
    match engine().resolve(&options, configured, &variable) {
        Ok(resolved) => {
            assert!(!format!("{resolved:?}").contains(CANARY), "{resolved:?}");
            Ok(resolved.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect())
        }
        Err(error) => {
            assert!(!format!("{error}{error:?}").contains(CANARY), "{error:?}");
            Err(error.to_string())
        }
    }
}

fn resolve(options: Pairs<'_>, variables: Pairs<'_>) -> Result<Vec<(String, String)>, String> {
    resolve_configured(options, Configured::Session(&[]), variables)
}

fn pairs(pairs: Pairs<'_>) -> Vec<(String, String)> {
    pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
}

/// A fresh folder for one test.
fn folder(test: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("lakeflow-{test}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder.canonicalize().unwrap()
}

fn write(path: &Path, text: impl AsRef<[u8]>, mode: u32) -> String {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    path.to_str().unwrap().to_owned()
}

const GITHUB: (&str, &str) = ("sourceName", "github");
const BY_VARIABLE: (&str, &str) = ("token", "env:LAKEFLOW_T");
const TOKEN: (&str, &str) = ("LAKEFLOW_T", CANARY);

#[test]
fn every_secret_of_every_source_can_be_a_reference_under_each_of_its_names() {
    for source in SOURCES {
        let secrets = source.options().filter(|spec| spec.role == OptionRole::Secret);
        for spec in secrets {
            let alias = spec.redacted_alias();
            for name in std::iter::once(spec.name).chain(alias.as_deref()) {
                let read = [("sourceName", source.name), (name, "env:LAKEFLOW_T")];
                let expected = Ok(pairs(&[("sourceName", source.name), (name, CANARY)]));
                let mut found = resolve(&read, &[TOKEN]);
                found.as_mut().unwrap().sort_by_key(|(n, _)| n != "sourceName");
                assert_eq!(found, expected, "{} {name}", source.name);

                let missing = resolve(&read, &[("LAKEFLOW_OTHER", CANARY)]);
                let expected = format!(
                    "option '{name}': reference 'env:LAKEFLOW_T' names a variable that is not set \
                     where the driver runs"
                );
                assert_eq!(missing, Err(expected));

                let options = [("sourceName", source.name), (name, CANARY)];
                let names = [name.to_owned()];
                for (place, configured) in [
                    ("session", Configured::Session as fn(_) -> _),
                    ("catalog", Configured::Catalog),
                ] {
                    let refused = resolve_configured(&options, configured(&names), &[]);
                    let expected = format!(
                        "option '{}' stands in the configuration of the {place}, which others can \
                         read: give it as a reference, env:LAKEFLOW_NAME or file:/path, or with \
                         the read",
                        spec.name
                    );
                    assert_eq!(refused, Err(expected));
                }
            }
        }
    }
}

#[test]
fn every_address_of_a_source_is_a_destination() {
    for source in SOURCES {
        for spec in source.options().filter(|spec| spec.kind == OptionKind::Url) {
            assert_eq!(spec.reach, Reach::Destination, "{} {}", source.name, spec.name);
        }
        assert!(source.table_options.iter().all(|spec| spec.reach == Reach::Nothing));
    }
}

#[test]
fn a_variable_is_read_only_below_the_prefix() {
    let refused = |name: &str| {
        Err(format!(
            "option 'token': reference 'env:{name}' must name a variable that begins with \
             LAKEFLOW_, and not with LAKEFLOW_SECRET_ or LAKEFLOW_CONNECTION"
        ))
    };
    for name in ["HOME", "", "lakeflow_t", "LAKEFLOW_SECRET_DIRS", "LAKEFLOW_CONNECTION_PROD"] {
        let token = format!("env:{name}");
        assert_eq!(resolve(&[GITHUB, ("token", &token)], &[(name, CANARY)]), refused(name));
    }
}

#[test]
fn a_file_is_read_only_if_it_is_regular_and_below_a_listed_directory() {
    let root = folder("secret-files");
    let (listed, other) = (root.join("listed"), root.join("other"));
    for dir in [&listed, &other, &listed.join("below")] {
        fs::create_dir(dir).unwrap();
    }
    let inside = write(&listed.join("token"), format!("{CANARY}\r\n"), 0o600);
    let below = write(&listed.join("below/token"), CANARY, 0o600);
    let outside = write(&other.join("token"), CANARY, 0o600);
    let empty = write(&listed.join("empty"), "\n", 0o600);
    let binary = write(&listed.join("binary"), [0xff, 0xfe], 0o600);
    let large = write(&listed.join("large"), "x".repeat(70_000), 0o600);
    let link = |name: &str, to: &str| {
        symlink(to, listed.join(name)).unwrap();
        listed.join(name).to_str().unwrap().to_owned()
    };
    let (link_inside, link_outside) = (link("a", &inside), link("b", &outside));
    let dirs = format!("relative:/nowhere:{}", listed.display());
    let variables = [("LAKEFLOW_SECRET_DIRS", dirs.as_str())];
    let read = |path: &str, variables: Pairs<'_>| {
        let resolved = resolve(&[GITHUB, ("token", &format!("file:{path}"))], variables);
        resolved.map(|options| options[1].1.clone())
    };
    let refused =
        |path: &str, why: &str| Err(format!("option 'token': reference 'file:{path}' {why}"));
    let unlisted = "must name a regular file below a directory that LAKEFLOW_SECRET_DIRS lists \
                    where the driver runs, links followed";

    for path in [&inside, &below, &link_inside] {
        assert_eq!(read(path, &variables), Ok(CANARY.to_owned()), "{path}");
    }
    let climbing = format!("{}/../other/token", listed.display());
    let nothing = format!("{}/nothing", listed.display());
    let directory = listed.join("below").to_str().unwrap().to_owned();
    let unusable = [&outside, &link_outside, &climbing, &nothing, &directory];
    for path in unusable.into_iter().map(String::as_str).chain(["listed/token", ""]) {
        assert_eq!(read(path, &variables), refused(path, unlisted));
    }
    assert_eq!(read(&inside, &[]), refused(&inside, unlisted), "no directory is listed by default");
    assert_eq!(read(&empty, &variables), refused(&empty, "names an empty file"));
    let text = "cannot be read as UTF-8 text: invalid data";
    assert_eq!(read(&binary, &variables), refused(&binary, text));
    assert_eq!(read(&large, &variables), refused(&large, "names a file of more than 65536 bytes"));
    fs::remove_dir_all(root).unwrap();
}

#[test]
fn a_reference_goes_to_the_own_host_or_a_listed_one() {
    let hosts = |hosts| [TOKEN, ("LAKEFLOW_SECRET_HOSTS", hosts)];
    let refused = |option: &str| {
        Some(format!(
            "option 'token' is a reference, and option '{option}' lets another host than the \
             source's own have it: list that host in LAKEFLOW_SECRET_HOSTS where the driver runs, \
             or use a named connection"
        ))
    };
    let url = |value| ("base_url", value);
    let cases: &[(Pairs<'_>, &str, Option<&str>)] = &[
        (&[], "", None),
        (&[url("https://api.github.com/")], "", None),
        (&[url("https://API.github.com:443")], "", None),
        (&[url("http://api.github.com")], "", Some("base_url")),
        (&[url("https://api.github.com:444")], "", Some("base_url")),
        (&[url("https://api.github.com@evil.example")], "", Some("base_url")),
        (&[url("https://ghe.example/api/v3")], "", Some("base_url")),
        (&[("BASE_URL", "https://ghe.example")], "", Some("base_url")),
        (&[url("https://ghe.example/api/v3")], "a.example, ghe.example", None),
        (&[url("https://ghe.example:8443")], "ghe.example", Some("base_url")),
        (&[url("https://ghe.example:8443")], "ghe.example:8443", None),
        (&[url("http://127.0.0.1:8080/x")], "127.0.0.1", None),
        (&[url("http://127.0.0.2:8080/x")], "127.0.0.1", Some("base_url")),
        (&[url("http://127.0.0.1.evil.example")], "127.0.0.1", Some("base_url")),
        (&[url("http://10.0.0.1:8080/x")], "10.0.0.1", Some("base_url")),
        (&[url("http://127.0.0.1:80/x")], "http://127.0.0.1", None),
        (&[url("no address")], "no address", Some("base_url")),
        (&[("proxy", "http://proxy.example:3128")], "", Some("proxy")),
        (&[("proxy", "http://proxy.example:3128")], "http://proxy.example:3128", None),
        (&[("proxy", "env:LAKEFLOW_T")], "", None),
        (&[("tlsCaBundle", "/ca.pem")], "", Some("tlsCaBundle")),
        (&[url("https://api.github.com"), ("tlsCaBundle", "/ca.pem")], "", Some("tlsCaBundle")),
        (&[url("https://ghe.example"), ("tlsCaBundle", "/ca.pem")], "ghe.example", None),
        (&[("allowInsecureHttp", "true")], "", Some("allowInsecureHttp")),
        (&[("allowInsecureHttp", "false")], "", None),
        (&[("tlsClientCertificate", "/cert.pem"), ("maxRetries", "1")], "", None),
    ];
    for (more, listed, expected) in cases {
        let options: Vec<_> =
            [GITHUB, BY_VARIABLE].into_iter().chain(more.iter().copied()).collect();
        let found = resolve(&options, &hosts(listed)).err();
        assert_eq!(found, expected.and_then(refused), "{more:?} {listed}");
    }
    // A credential that the read itself holds goes where the read says.
    let inline = [GITHUB, ("token", "t"), url("https://ghe.example")];
    assert!(resolve(&inline, &[]).is_ok());
}

const AS_JSON: &str = r#"{"sourceName": "github", "token": "env:LAKEFLOW_T", "maxRetries": 3,
    "base_url": "https://ghe.example", "allowInsecureHttp": false, "owner": "apache",
    "externalOptionsAllowList": "totalTimeoutSeconds, maxRetries"}"#;

const AS_TOML: &str = r#"
["gh.prod-1"]
sourceName = "github"
token = "env:LAKEFLOW_T"
maxRetries = 3
base_url = "https://ghe.example"
allowInsecureHttp = false
owner = "apache"
externalOptionsAllowList = ["totalTimeoutSeconds", "maxRetries"]

[date]
token = 2026-01-01
"#;

#[test]
fn a_connection_gives_its_options_from_the_file_and_from_the_environment() {
    let root = folder("connections");
    let file = write(&root.join("connections.toml"), AS_TOML, 0o600);
    let sources: [Pairs<'_>; 2] = [
        &[TOKEN, ("LAKEFLOW_CONNECTIONS_FILE", &file)],
        &[TOKEN, ("LAKEFLOW_CONNECTION_GH_PROD_1", AS_JSON)],
    ];
    for variables in sources {
        for option in ["connection", "Databricks.Connection"] {
            let read = [
                (option, "gh.prod-1"),
                ("tableName", "issues"),
                ("OWNER", "me"),
                ("maxretries", "5"),
            ];
            let expected = [
                ("allowInsecureHttp", "false"),
                ("base_url", "https://ghe.example"),
                ("maxretries", "5"),
                ("OWNER", "me"),
                ("sourceName", "github"),
                ("tableName", "issues"),
                ("token", CANARY),
            ];
            assert_eq!(resolve(&read, variables), Ok(pairs(&expected)));
        }
    }
    fs::remove_dir_all(root).unwrap();
}

#[test]
fn beside_a_connection_only_what_it_allows_can_be_given() {
    let beside = |option: &str, value: &str| {
        let variables = [TOKEN, ("LAKEFLOW_CONNECTION_GH", AS_JSON)];
        resolve(&[("connection", "gh"), (option, value)], &variables).err()
    };
    let destination = |option: &str| {
        Some(format!(
            "option '{option}' cannot be given beside connection 'gh', as it decides whom its \
             credentials reach: set it in the connection"
        ))
    };
    let unlisted = |option: &str| {
        Some(format!(
            "option '{option}' cannot be given beside connection 'gh': leave it out, or list it \
             in the connection's externalOptionsAllowList"
        ))
    };
    let refused = ["base_url", "proxy", "tlsCaBundle", "tlsClientKey", "allowInsecureHttp"];
    for option in refused {
        assert_eq!(beside(option, CANARY), destination(option));
    }
    assert_eq!(beside("proxy_TOKEN", CANARY), destination("proxy"));
    assert_eq!(beside("token", CANARY), unlisted("token"));
    assert_eq!(beside("connectTimeoutSeconds", "1"), unlisted("connectTimeoutSeconds"));
    for (option, value) in
        [("base_url", " "), ("maxRetries", "1"), ("repo", "r"), ("per_page", "9")]
    {
        assert_eq!(beside(option, value), None, "{option}");
    }
    let source = "connection 'gh' is one of source 'github': leave option 'sourceName' out, or \
                  name another connection";
    assert_eq!(beside("sourceName", "zendesk"), Some(source.to_owned()));
    assert_eq!(beside("sourceName", " GitHub"), None);
    let twice = "option 'connection' is given twice, under two names with different values";
    assert_eq!(beside("databricks.connection", "other"), Some(twice.to_owned()));
}

#[test]
fn a_platform_may_have_put_the_options_of_a_connection_into_the_read() {
    let injected = [GITHUB, ("token", "t"), ("databricks.connection", "gh"), ("owner", "o")];
    let expected = Ok(pairs(&[("owner", "o"), GITHUB, ("token", "t")]));
    assert_eq!(resolve(&injected, &[]), expected);

    let unknown = "option 'connection': there is no connection 'gh'; define it where the driver \
                   runs, as table [gh] of the file that LAKEFLOW_CONNECTIONS_FILE names, or as \
                   JSON in LAKEFLOW_CONNECTION_GH";
    for read in [
        &[("databricks.connection", "gh")][..],
        &[GITHUB, ("databricks.connection", "gh")],
        &[GITHUB, ("token", CANARY), ("connection", "gh")],
    ] {
        assert_eq!(resolve(read, &[]), Err(unknown.to_owned()), "{read:?}");
    }
    let blank = [GITHUB, ("token", "t"), ("connection", " ")];
    assert_eq!(resolve(&blank, &[]), Ok(pairs(&[GITHUB, ("token", "t")])));
}

#[test]
fn malformed_connections_are_refused_without_their_content() {
    let root = folder("bad-connections");
    let write = |name: &str, text: &str, mode| write(&root.join(name), text, mode);
    let broken = write("broken.toml", &format!("[a]\nx = 1\ntoken = {CANARY}\n"), 0o600);
    let open = write("open.toml", AS_TOML, 0o640);
    let plain = write("plain.toml", &format!("{AS_TOML}\n[x]\ny = [[1]]"), 0o400);
    let value = write("value.toml", &format!("a = '{CANARY}'"), 0o600);
    let find = |name: &str, variable: &str, text: &str| {
        resolve(&[("connection", name)], &[(variable, text)]).unwrap_err()
    };
    let of_file = |name, path: &str| find(name, "LAKEFLOW_CONNECTIONS_FILE", path);
    let of_json = |json: &str| find("a", "LAKEFLOW_CONNECTION_A", json);
    let file = "the file that LAKEFLOW_CONNECTIONS_FILE names";

    assert_eq!(of_file("a", &broken), format!("{file} is not TOML, see line 3: {broken}"));
    assert_eq!(of_file("a", &open), format!("{file} has mode 0640, must have 0600: {open}"));
    assert_eq!(
        of_file("a", "/nowhere"),
        format!("{file} cannot be read (entity not found): /nowhere")
    );
    assert_eq!(of_file("a", &value), format!("{file} must hold 'a' as a table, [a]: {value}"));
    assert!(of_file("other", &plain).starts_with("option 'connection': there is no connection"));
    let scalar = "must be text, a number, or true or false";
    assert_eq!(of_file("date", &plain), format!("connection 'date': 'token' {scalar}"));
    assert_eq!(of_file("x", &plain), format!("connection 'x': 'y' {scalar}"));
    let json =
        "variable LAKEFLOW_CONNECTION_A must hold a JSON object of options, see line 1 column";
    assert_eq!(of_json(&format!("\"{CANARY}\"")), format!("{json} 13"));
    assert_eq!(of_json(r#"{"token": null}"#), format!("connection 'a': 'token' {scalar}"));
    let list = "connection 'a': 'externalOptionsAllowList' must be a list of names of options";
    assert_eq!(of_json(r#"{"externalOptionsAllowList": [1]}"#), list);
    let name =
        "option 'connection' must be a name of at most 100 letters, digits, '_', '-' and '.'";
    for bad in ["../a", "a b", &"x".repeat(101)] {
        assert_eq!(resolve(&[("connection", bad)], &[]), Err(name.to_owned()));
    }
    fs::remove_dir_all(root).unwrap();
}

#[test]
fn a_configuration_may_hold_references_and_what_is_meant_for_other_sources() {
    let options = [GITHUB, BY_VARIABLE, ("per_page", "7"), ("subdomain", "acme"), ("typo", "x")];
    let configured = ["token", "per_page", "subdomain"].map(str::to_owned);
    let resolved = |configured| resolve_configured(&options, configured, &[TOKEN]);
    let expected = [("per_page", "7"), GITHUB, ("token", CANARY), ("typo", "x")];
    assert_eq!(resolved(Configured::Session(&configured)), Ok(pairs(&expected)));
    // A catalog is of one source: what that one does not declare is a mistake, which a read reports.
    let kept = resolved(Configured::Catalog(&configured)).unwrap();
    assert!(kept.iter().any(|(name, _)| name == "subdomain"), "{kept:?}");
}
