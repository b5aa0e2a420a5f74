//! The connection pool: certificates, proxy, addresses.

use crate::client::Inner;
use crate::guard::GuardedResolver;
use crate::options::{CA, CERTIFICATE, KEY, PROXY, Policy};
use lakeflow_core::{Error, Result, Secret};
use reqwest::{Certificate, Identity, Proxy};
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
        let Trust { authorities, identity, proxy } = &self.trust;
        if let Some(proxy) = proxy {
            builder = builder.proxy(proxy.clone());
        } else if self.base.loopback {
            // A proxy would take what is meant to stay on this machine.
            builder = builder.no_proxy();
        }
        builder = match (self.base.https, identity) {
            // Spares reading the machine's certificates, and needs none to be installed.
            (false, _) => builder.tls_certs_only([]),
            (true, None) => builder.tls_certs_merge(authorities.clone()),
            (true, Some(identity)) => {
                builder.tls_certs_merge(authorities.clone()).identity(identity.clone())
            }
        };
        let built = builder.build();

        built.map_err(|e| {
            Error::config(format!(
                "the HTTP client cannot be set up: check options '{CA}', '{CERTIFICATE}' and \
                 '{KEY}', and that CA certificates are installed"
            ))
            .source(self.redactor.cause(&e))
        })
    }
}

/// Whom the client trusts, how it shows who it is, and whom it goes through.
#[derive(Clone, Default)]
pub(crate) struct Trust {
    authorities: Vec<Certificate>,
    identity: Option<Identity>,
    proxy: Option<Proxy>,
}

impl Trust {
    /// What options say of it; reads the files that they name.
    ///
    /// # Errors
    /// [`ErrorKind::ConfigInvalid`](lakeflow_core::ErrorKind::ConfigInvalid), naming the option.
    pub(crate) fn of(policy: &Policy) -> Result<Self> {
        let proxy = policy.proxy.as_ref().map(proxy).transpose()?;
        let authorities = policy.ca_bundle.as_deref().map(authorities).transpose()?;
        let identity = match (&policy.client_certificate, &policy.client_key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(identity(certificate, key)?),
            _ => {
                return Err(Error::config(format!(
                    "options '{CERTIFICATE}' and '{KEY}' are given together or not at all"
                )));
            }
        };

        Ok(Self { authorities: authorities.unwrap_or_default(), identity, proxy })
    }
}

fn authorities(bundle: &str) -> Result<Vec<Certificate>> {
    let found = Certificate::from_pem_bundle(pem(CA, bundle)?.expose().as_bytes());

    found
        .ok()
        .filter(|found| !found.is_empty())
        .ok_or_else(|| Error::config(format!("option '{CA}' holds no PEM certificate")))
}

fn identity(certificate: &str, key: &Secret) -> Result<Identity> {
    let mut both = pem(KEY, key.expose())?.expose().to_owned();
    both.push('\n');
    both.push_str(pem(CERTIFICATE, certificate)?.expose());
    let both = Secret::new(both);

    Identity::from_pem(both.expose().as_bytes()).map_err(|_| {
        Error::config(format!(
            "options '{CERTIFICATE}' and '{KEY}' must hold a PEM certificate and its unencrypted \
             PEM key"
        ))
    })
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
