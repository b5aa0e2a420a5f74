//! One attempt: send, follow redirects, read the body, judge the status.

use crate::body::{self, BodyError, MAX_BODY_BYTES};
use crate::client::{Inner, Prepared};
use crate::envelope;
use crate::guard::RefusedAddress;
use crate::limits::Headers;
use crate::options::{CA, CERTIFICATE, PROXY};
use crate::reply::{ErrorReply, Verdict, Wait};
use crate::response::Response;
use crate::retry;
use bytes::Bytes;
use lakeflow_core::{Error, ErrorKind, Instant, Result, Retry};
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use std::time::Duration;
use url::Url;

/// Redirects that are followed for one request.
const MAX_REDIRECTS: usize = 5;

/// Part of an error response's body that is read.
const MAX_ERROR_BODY: usize = 64 * 1024;

impl Inner {
    /// Sends the request once; the retry class of an error says whether to repeat it.
    pub(crate) async fn attempt(&self, prepared: &Prepared) -> Result<Response> {
        let http = self.http()?;
        let mut url = prepared.url.clone();
        let mut method = prepared.method.clone();
        let mut body = prepared.request.body.clone();
        let mut seen = Vec::new();
        loop {
            let mut builder =
                http.request(method.clone(), url.clone()).headers(prepared.headers.clone());
            if let Some(body) = &body {
                builder = builder.body(body.clone());
            }
            self.metrics.requests(1);
            let reply = builder.send().await.map_err(|e| self.transport_error(e))?;
            self.learn(reply.headers());
            let Some(next) = self.redirect(&reply, &url)? else {
                return self.read(prepared, reply, url).await;
            };
            seen.push(url);
            if seen.contains(&next) {
                return Err(Error::bad_response("the service redirects in a circle")
                    .context("redirect", self.redactor.describe("GET", &next)));
            }
            if seen.len() > MAX_REDIRECTS {
                return Err(Error::bad_response(format!(
                    "the service redirects more than {MAX_REDIRECTS} times"
                )));
            }
            if !matches!(reply.status().as_u16(), 307 | 308) && method != Method::HEAD {
                method = Method::GET;
                body = None;
            }
            url = next;
        }
    }

    /// Where a redirect leads to.
    fn redirect(&self, reply: &reqwest::Response, url: &Url) -> Result<Option<Url>> {
        if !matches!(reply.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(None);
        }
        let Some(location) = reply.headers().get(LOCATION) else { return Ok(None) };
        let next = std::str::from_utf8(location.as_bytes()).ok().and_then(|l| url.join(l).ok());
        let Some(mut next) = next else {
            return Err(Error::bad_response("the address of a redirect cannot be read"));
        };
        next.set_fragment(None);
        self.base.origin.check(&next, "a redirect")?;

        Ok(Some(next))
    }

    async fn read(
        &self,
        prepared: &Prepared,
        mut reply: reqwest::Response,
        url: Url,
    ) -> Result<Response> {
        let status = reply.status();
        let accepted = prepared.request.accepted.contains(&status.as_u16());
        let received = |bytes| self.metrics.bytes(bytes);
        if !status.is_success() && !accepted {
            // The status says enough: a broken or long body does not change it.
            let body = body::start(&mut reply, MAX_ERROR_BODY, received).await;
            return Err(self.refusal(prepared, status, reply.headers(), &body, &url));
        }
        let body = body::collect(&mut reply, MAX_BODY_BYTES, received).await;
        let body = body.map_err(|e| self.body_error(e))?;
        if status.is_success() && prepared.request.expects_json {
            self.check_json(prepared, reply.headers(), &body)?;
            envelope::check_depth(&body)?;
        }
        let date = date_of(reply.headers());
        let headers = std::mem::take(reply.headers_mut());

        let about = prepared.about.clone();
        Ok(Response { status: status.as_u16(), body, date, url, headers, about })
    }

    /// The error that an error response stands for.
    fn refusal(
        &self,
        prepared: &Prepared,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        url: &Url,
    ) -> Error {
        let reply = ErrorReply { status: status.as_u16(), path: url.path(), body, headers };
        let verdict = (self.mapping)(&reply);
        let retry = verdict.class(reply.status, self.asked_pause(&reply, &verdict));
        let message = verdict.message.unwrap_or_else(|| format!("the service answered {status}"));
        let error = Error::new(verdict.kind, message)
            .retry(retry)
            .context("status", status.as_str().to_owned());

        self.quote(prepared, error, body)
    }

    /// `error` with the start of the body, if that may be shown.
    fn quote(&self, prepared: &Prepared, error: Error, body: &[u8]) -> Error {
        if prepared.request.confidential {
            return error;
        }
        let excerpt = self.redactor.excerpt(body);

        if excerpt.is_empty() { error } else { error.context("response", excerpt) }
    }

    /// Notes what the headers say of further requests.
    fn learn(&self, headers: &HeaderMap) {
        let Some(allowance) = self.learn.as_ref().and_then(|learn| learn(&Headers(headers))) else {
            return;
        };
        self.limits.learn(allowance, |reset| match reset {
            Wait::For(pause) => pause,
            Wait::Until(then) => {
                retry::until(then, date_of(headers).unwrap_or_else(|| self.clock.now()))
            }
        });
    }

    /// The pause that the service asks for, by its own clock where it shows that.
    fn asked_pause(&self, reply: &ErrorReply<'_>, verdict: &Verdict) -> Option<Duration> {
        let now = || date_of(reply.headers).unwrap_or_else(|| self.clock.now());
        match verdict.wait {
            Some(Wait::For(pause)) => Some(pause),
            Some(Wait::Until(then)) => Some(retry::until(then, now())),
            None => retry::retry_after(reply.header(RETRY_AFTER.as_str())?, now()),
        }
    }

    /// Fails if a body that should be JSON is a web page, or was cut off.
    fn check_json(&self, prepared: &Prepared, headers: &HeaderMap, body: &Bytes) -> Result<()> {
        let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
        let message = match (text.first(), text.last()) {
            (Some(b'<'), _) => {
                let given = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
                let given = given.and_then(|v| v.split(';').next()).unwrap_or("none");
                format!("unexpected content type: {} where JSON was expected", given.trim())
            }
            (Some(b'{'), Some(b'}')) | (Some(b'['), Some(b']')) => return Ok(()),
            (Some(b'{' | b'['), _) => "the JSON response was cut off".to_owned(),
            _ => return Ok(()),
        };

        Err(self.quote(prepared, Error::bad_response(message).retry(Retry::Backoff), body))
    }

    fn body_error(&self, error: BodyError) -> Error {
        let message = error.to_string();
        match error {
            BodyError::Transport(cause) => self.transport_error(cause),
            BodyError::TooLarge(_) | BodyError::Bomb | BodyError::Encoding(_) => {
                Error::bad_response(message)
            }
            BodyError::Corrupt(cause) => Error::bad_response(message)
                .retry(Retry::Backoff)
                .source(self.redactor.cause(&cause)),
        }
    }

    fn transport_error(&self, error: reqwest::Error) -> Error {
        let error = error.without_url();
        if let Some(refused) = find::<RefusedAddress>(&error) {
            return Error::config(refused.to_string());
        }
        let (message, retry) = if let Some(tls) = find::<rustls::Error>(&error) {
            let hint = tls_hint(tls);
            (format!("no secure connection to {}: {tls}{hint}", self.base.origin), Retry::Never)
        } else if error.is_builder() {
            return Error::internal("a request cannot be built")
                .source(self.redactor.cause(&error));
        } else if error.is_connect() && error.is_timeout() {
            let seconds = self.policy.connect_timeout.as_secs_f64();
            let limit = format!("within {seconds} s (option 'connectTimeoutSeconds')");
            (format!("no connection to {} {limit}", self.base.origin), Retry::Backoff)
        } else if error.is_dns() {
            (format!("the host of {} is not known", self.base.origin), Retry::Backoff)
        } else if error.is_connect() && self.policy.proxy.is_some() {
            let cause = self.redactor.cause(&error).to_string();
            if cause.contains("proxy authorization required") {
                return Error::config(format!(
                    "the proxy wants other credentials: check option '{PROXY}'"
                ));
            }
            let through = format!("through the proxy of option '{PROXY}'");
            (format!("no connection to {} {through}", self.base.origin), Retry::Backoff)
        } else if error.is_connect() {
            (format!("no connection to {}", self.base.origin), Retry::Backoff)
        } else {
            ("the connection broke before the answer was complete".to_owned(), Retry::Backoff)
        };

        Error::new(ErrorKind::SourceUnavailable, message)
            .retry(retry)
            .source(self.redactor.cause(&error))
    }
}

/// Which option may help.
fn tls_hint(error: &rustls::Error) -> String {
    use rustls::{AlertDescription, CertificateError, Error};
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            format!("; option '{CA}' adds certificate authorities")
        }
        Error::AlertReceived(
            AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure,
        ) => format!("; option '{CERTIFICATE}' shows a certificate to the service"),
        _ => String::new(),
    }
}

fn date_of(headers: &HeaderMap) -> Option<Instant> {
    retry::http_date(headers.get(DATE)?.to_str().ok()?)
}

/// The first cause of type `T`; looks into I/O errors, which hide what they wrap.
fn find<'a, T: std::error::Error + 'static>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref::<T>() {
            return Some(found);
        }
        let inner = cause.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref());
        next = match inner {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }

    None
}
