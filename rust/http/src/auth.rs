//! How a client shows who it is.

use crate::oauth::OAuth;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lakeflow_core::{Error, Result, Secret};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};

/// Credentials of a client; they go to its origin only.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// None.
    None,
    /// `Authorization: Basic`, RFC 7617.
    Basic {
        /// User name; holds no colon.
        username: String,
        /// Password, or a token in its place.
        password: Secret,
    },
    /// `Authorization: Bearer`, RFC 6750.
    Bearer(Secret),
    /// A key in a header of the service's own.
    Header {
        /// Name of the header, in lower case.
        name: &'static str,
        /// What stands before the key, its blank included; usually nothing.
        prefix: &'static str,
        /// The key.
        value: Secret,
    },
    /// A token that expires and is renewed.
    OAuth(Box<OAuth>),
}

impl Auth {
    /// A key in the header `name`.
    pub fn header(name: &'static str, value: Secret) -> Self {
        Self::Header { name, prefix: "", value }
    }

    /// The header that shows the credential, its value marked as sensitive; none for tokens that
    /// are renewed, which every request has its own of.
    ///
    /// # Errors
    /// `ConfigInvalid` if the credentials cannot be written into a header.
    pub(crate) fn line(&self) -> Result<Option<(HeaderName, HeaderValue)>> {
        let (name, text) = match self {
            Self::None | Self::OAuth(_) => return Ok(None),
            Self::Basic { username, .. } if username.contains(':') => {
                return Err(Error::config("the user name must hold no colon"));
            }
            Self::Basic { username, password } => {
                let pair = Self::pair(username, password);
                (AUTHORIZATION, Secret::new(format!("Basic {}", pair.expose())))
            }
            Self::Bearer(token) => {
                (AUTHORIZATION, Secret::new(format!("Bearer {}", token.expose())))
            }
            Self::Header { name, prefix, value } => {
                let name = HeaderName::from_bytes(name.as_bytes());
                let name = name.map_err(|_| Error::internal("the key's header has no name"))?;
                (name, Secret::new(format!("{prefix}{}", value.expose())))
            }
        };

        Ok(Some((name, value(&text)?)))
    }

    /// What stays the same for as long as the credential does.
    pub(crate) fn identity(&self) -> Self {
        match self {
            Self::OAuth(oauth) => Self::OAuth(Box::new(oauth.identity())),
            other => other.clone(),
        }
    }

    /// Every text that shows the credential.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        match self {
            Self::None => Vec::new(),
            Self::Basic { username, password } => {
                vec![password.clone(), Self::pair(username, password)]
            }
            Self::Bearer(token) => vec![token.clone()],
            Self::Header { value, .. } => vec![value.clone()],
            Self::OAuth(oauth) => oauth.secrets(),
        }
    }

    fn pair(username: &str, password: &Secret) -> Secret {
        let pair = Secret::new(format!("{username}:{}", password.expose()));
        Secret::new(STANDARD.encode(pair.expose()))
    }
}

/// `text` as the value of a header, marked as sensitive.
///
/// # Errors
/// `ConfigInvalid` if it cannot be one.
pub(crate) fn value(text: &Secret) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_bytes(text.expose().as_bytes())
        .map_err(|_| Error::config("the credential holds control characters"))?;
    value.set_sensitive(true);

    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(auth: &Auth) -> Option<String> {
        let (name, value) = auth.line().unwrap()?;
        assert!(value.is_sensitive());
        Some(format!("{name}: {}", value.to_str().unwrap()))
    }

    #[test]
    fn header_values_follow_their_rfcs() {
        let basic =
            Auth::Basic { username: "Aladdin".into(), password: Secret::new("open sesame") };

        assert_eq!(text(&Auth::None), None);
        let bearer = text(&Auth::Bearer(Secret::new("t")));
        assert_eq!(bearer.as_deref(), Some("authorization: Bearer t"));
        let expected = "authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
        assert_eq!(text(&basic).as_deref(), Some(expected));
        let key = Auth::header("x-api-key", Secret::new("k"));
        assert_eq!(text(&key).as_deref(), Some("x-api-key: k"));
        let key = Auth::Header { name: "x-api-key", prefix: "Key ", value: Secret::new("k") };
        assert_eq!(text(&key).as_deref(), Some("x-api-key: Key k"));
    }

    #[test]
    fn unsendable_credentials_are_refused_without_being_shown() {
        let cases = [
            (Auth::Bearer(Secret::new("a\nb")), "the credential holds control characters"),
            (
                Auth::Basic { username: "a:b".into(), password: Secret::new("p") },
                "the user name must hold no colon",
            ),
        ];
        for (auth, expected) in cases {
            assert_eq!(auth.line().unwrap_err().to_string(), expected);
        }
    }
}
