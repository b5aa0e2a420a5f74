//! Options that every source with an HTTP API takes.

use lakeflow_core::{OptionKind, OptionRole, OptionSpec, Secret, Settings};
use std::time::Duration;

const CONNECT: &str = "connectTimeoutSeconds";
const REQUEST: &str = "requestTimeoutSeconds";
const TOTAL: &str = "totalTimeoutSeconds";
const RETRIES: &str = "maxRetries";
const WAIT: &str = "maxWaitSeconds";
const RATE: &str = "requestsPerSecond";
const INSECURE: &str = "allowInsecureHttp";
pub(crate) const PROXY: &str = "proxy";
pub(crate) const CA: &str = "tlsCaBundle";
pub(crate) const CERTIFICATE: &str = "tlsClientCertificate";
pub(crate) const KEY: &str = "tlsClientKey";

/// Options of the kit: timeouts, retries, proxy, certificates, and whether plain `http` is allowed.
pub static OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        CONNECT,
        OptionKind::Seconds { min: 0.1, max: 600.0 },
        "Seconds to wait for a connection to the service.",
    )
    .default("10"),
    OptionSpec::new(
        REQUEST,
        OptionKind::Seconds { min: 0.1, max: 3600.0 },
        "Seconds that one attempt at a request may take, its answer included.",
    )
    .default("20"),
    OptionSpec::new(
        TOTAL,
        OptionKind::Seconds { min: 0.1, max: 86_400.0 },
        "Seconds that a request may take with all its repeats; pauses that the service asks for do not count.",
    )
    .default("300"),
    OptionSpec::new(
        RETRIES,
        OptionKind::Integer { min: 0, max: 100 },
        "How often a failed request is repeated.",
    )
    .default("5"),
    OptionSpec::new(
        WAIT,
        OptionKind::Seconds { min: 0.0, max: 86_400.0 },
        "Seconds that a request may wait in all because the service asks for it or its limits are used up.",
    )
    .default("900"),
    OptionSpec::new(
        RATE,
        OptionKind::Number { min: 0.01, max: 10_000.0 },
        "Requests a second that all tasks of a read together send at most, where others use the credential too; without it as many as the service lets through.",
    ),
    OptionSpec::new(
        INSECURE,
        OptionKind::Bool,
        "Whether credentials may go over plain http to hosts other than this machine.",
    )
    .trust()
    .default("false"),
    hidden(
        PROXY,
        OptionKind::Url,
        "Proxy that all requests go through, `http://user:password@host:port`; without it the variables `HTTPS_PROXY` and `NO_PROXY` count.",
    )
    .destination(),
    OptionSpec::new(
        CA,
        OptionKind::Text,
        "Certificate authorities to trust besides those of the machine: PEM text, or the path of a file.",
    )
    .trust(),
    OptionSpec::new(
        CERTIFICATE,
        OptionKind::Text,
        "Certificate that the client shows to the service: PEM text, or the path of a file.",
    )
    .destination(),
    hidden(
        KEY,
        OptionKind::Text,
        "Key of `tlsClientCertificate`, unencrypted: PEM text, or the path of a file.",
    )
    .destination(),
];

/// An option whose value is not shown.
const fn hidden(name: &'static str, kind: OptionKind, doc: &'static str) -> OptionSpec {
    OptionSpec { role: OptionRole::Secret, ..OptionSpec::new(name, kind, doc) }
}

/// The values of [`OPTIONS`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Policy {
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) total_timeout: Duration,
    pub(crate) max_retries: u32,
    pub(crate) max_wait: Duration,
    pub(crate) requests_per_second: Option<f64>,
    pub(crate) allow_insecure_http: bool,
    pub(crate) proxy: Option<Secret>,
    pub(crate) ca_bundle: Option<String>,
    pub(crate) client_certificate: Option<String>,
    pub(crate) client_key: Option<Secret>,
}

impl Policy {
    /// Values of `settings`, or the defaults where those were not declared.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            connect_timeout: seconds(settings, CONNECT),
            request_timeout: seconds(settings, REQUEST),
            total_timeout: seconds(settings, TOTAL),
            max_retries: value(settings, RETRIES).parse().unwrap_or_default(),
            max_wait: seconds(settings, WAIT),
            requests_per_second: settings.get(RATE).and_then(|rate| rate.parse().ok()),
            allow_insecure_http: value(settings, INSECURE) == "true",
            proxy: settings.get(PROXY).map(Secret::new),
            ca_bundle: settings.get(CA).map(str::to_owned),
            client_certificate: settings.get(CERTIFICATE).map(str::to_owned),
            client_key: settings.get(KEY).map(Secret::new),
        }
    }
}

fn value<'a>(settings: &'a Settings, name: &str) -> &'a str {
    let default = OPTIONS.iter().find(|o| o.name == name).and_then(|o| o.default);
    settings.get(name).or(default).unwrap_or_default()
}

fn seconds(settings: &Settings, name: &str) -> Duration {
    let seconds = value(settings, name).parse().unwrap_or_default();
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lakeflow_core::Options;

    const DEFAULTS: Policy = Policy {
        connect_timeout: Duration::from_secs(10),
        request_timeout: Duration::from_secs(20),
        total_timeout: Duration::from_secs(300),
        max_retries: 5,
        max_wait: Duration::from_secs(900),
        requests_per_second: None,
        allow_insecure_http: false,
        proxy: None,
        ca_bundle: None,
        client_certificate: None,
        client_key: None,
    };

    #[test]
    fn undeclared_and_absent_options_have_the_documented_defaults() {
        let none = Settings::resolve(&Options::new(), [], &[]).unwrap();
        let declared = Settings::resolve(&Options::new(), OPTIONS, &[]).unwrap();

        assert_eq!(Policy::of(&none), DEFAULTS);
        assert_eq!(Policy::of(&declared), DEFAULTS);
    }

    #[test]
    fn given_options_are_taken() {
        let options =
            [("maxretries", "0"), ("totalTimeoutSeconds", "1.5"), ("requestsPerSecond", "0.5")];
        let options = options.into_iter().collect();
        let settings = Settings::resolve(&options, OPTIONS, &[]).unwrap();

        let expected = Policy {
            max_retries: 0,
            total_timeout: Duration::from_millis(1500),
            requests_per_second: Some(0.5),
            ..DEFAULTS
        };
        assert_eq!(Policy::of(&settings), expected);
    }
}
