//! The connection pool: certificates, proxy, addresses.

use crate::client::Inner;
use crate::guard::GuardedResolver;
use crate::options::{CA, CERTIFICATE, KEY, PROXY};
use lakeflow_core::{Error, Result, Secret};
use reqwest::{Certificate, ClientBuilder, Identity, Proxy};
use std::sync::Arc;
use url::Url;

/// How a PEM text is told from the path of a file that holds one.
const PEM_MARK: &str = "-----BEGIN";

impl Inner {
    /// The connection pool, made at the first request.
    pub(crate) fn http(&self) -> Result<&reqwest::Client> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let http = self.pool().map_err(|e| self.redactor.error(e))?;

        Ok(self.http.get_or_init(|| http))
    }

    fn pool(&self) -> Result<reqwest::Client> {
        // Fails only if the process has a provider already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .connect_timeout(self.policy.connect_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .tcp_nodelay(true)
            .min_tls_version(reqwest::tls::Version::TLS_1_2)
            .dns_resolver(Arc::new(GuardedResolver {
                loopback_only: !self.base.https && !self.policy.allow_insecure_http,
            }));
        if let Some(address) = &self.policy.proxy {
            builder = builder.proxy(proxy(address)?);
        } else if self.base.loopback {
            // A proxy would take what is meant to stay on this machine.
            builder = builder.no_proxy();
        }
        builder = self.trust(builder)?;
        let built = builder.build();

        built.map_err(|e| {
            Error::config(format!(
                "the HTTP client cannot be set up: check options '{CA}', '{CERTIFICATE}' and \
                 '{KEY}', and that CA certificates are installed"
            ))
            .source(self.redactor.cause(&e))
        })
    }

    /// Whom the client trusts, and how it shows who it is.
    fn trust(&self, builder: ClientBuilder) -> Result<ClientBuilder> {
        if !self.base.https {
            // Spares reading the machine's certificates, and needs none to be installed.
            return Ok(builder.tls_certs_only([]));
        }
        let mut builder = builder;
        if let Some(bundle) = &self.policy.ca_bundle {
            let found = Certificate::from_pem_bundle(pem(CA, bundle)?.expose().as_bytes());
            let found = found.unwrap_or_default();
            if found.is_empty() {
                return Err(Error::config(format!("option '{CA}' holds no PEM certificate")));
            }
            builder = builder.tls_certs_merge(found);
        }
        match (&self.policy.client_certificate, &self.policy.client_key) {
            (None, None) => Ok(builder),
            (Some(certificate), Some(key)) => {
                let mut both = pem(KEY, key.expose())?.expose().to_owned();
                both.push('\n');
                both.push_str(pem(CERTIFICATE, certificate)?.expose());
                let both = Secret::new(both);
                let identity = Identity::from_pem(both.expose().as_bytes()).map_err(|_| {
                    Error::config(format!(
                        "options '{CERTIFICATE}' and '{KEY}' must hold a PEM certificate and its \
                         unencrypted PEM key"
                    ))
                })?;
                Ok(builder.identity(identity))
            }
            _ => Err(Error::config(format!(
                "options '{CERTIFICATE}' and '{KEY}' are given together or not at all"
            ))),
        }
    }
}

/// The proxy at `address`, which may hold a user name and a password.
fn proxy(address: &Secret) -> Result<Proxy> {
    Proxy::all(address.expose()).map_err(|_| {
        Error::config(format!(
            "option '{PROXY}' must be an address like http://user:password@host:port"
        ))
    })
}

/// Texts in the address of a proxy that must not be shown.
pub(crate) fn proxy_secrets(address: &Secret) -> Vec<Secret> {
    let Ok(url) = Url::parse(address.expose()) else { return Vec::new() };
    let decoded = url.password().map(|p| {
        let pair = format!("p={}", p.replace('+', "%2B"));
        let first = url::form_urlencoded::parse(pair.as_bytes()).next();
        first.map_or_else(String::new, |(_, value)| value.into_owned())
    });

    decoded.into_iter().chain(url.password().map(str::to_owned)).map(Secret::new).collect()
}

/// The PEM text that the option `name` is, or that is in the file it names.
fn pem(name: &str, value: &str) -> Result<Secret> {
    if value.contains(PEM_MARK) {
        return Ok(Secret::new(value));
    }
    std::fs::read_to_string(value).map(Secret::new).map_err(|e| {
        Error::config(format!("option '{name}' is neither PEM text nor a file that can be read"))
            .source(e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_of_a_proxy_is_a_secret_in_every_spelling() {
        let secrets = proxy_secrets(&Secret::new("http://me:p%40ss+w@proxy.example:3128"));
        let texts: Vec<_> = secrets.iter().map(Secret::expose).collect();
        assert_eq!(texts, ["p@ss+w", "p%40ss+w"]);
        assert_eq!(proxy_secrets(&Secret::new("http://proxy.example")), []);
        assert_eq!(proxy_secrets(&Secret::new("proxy")), []);
    }
}
