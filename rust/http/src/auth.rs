//! How a client shows who it is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lakeflow_core::{Error, Result, Secret};
use reqwest::header::HeaderValue;

/// Credentials of a client; they go to its origin only.
#[non_exhaustive]
#[derive(Clone, Debug)]
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
}

impl Auth {
    /// The value of the `Authorization` header, marked as sensitive.
    ///
    /// # Errors
    /// `ConfigInvalid` if the credentials cannot be written into a header.
    pub(crate) fn header(&self) -> Result<Option<HeaderValue>> {
        let text = match self {
            Self::None => return Ok(None),
            Self::Basic { username, .. } if username.contains(':') => {
                return Err(Error::config("the user name must hold no colon"));
            }
            Self::Basic { username, password } => {
                Secret::new(format!("Basic {}", Self::pair(username, password).expose()))
            }
            Self::Bearer(token) => Secret::new(format!("Bearer {}", token.expose())),
        };
        let mut value = HeaderValue::from_bytes(text.expose().as_bytes())
            .map_err(|_| Error::config("the credential holds control characters"))?;
        value.set_sensitive(true);

        Ok(Some(value))
    }

    /// Every text that shows the credential.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        match self {
            Self::None => Vec::new(),
            Self::Basic { username, password } => {
                vec![password.clone(), Self::pair(username, password)]
            }
            Self::Bearer(token) => vec![token.clone()],
        }
    }

    fn pair(username: &str, password: &Secret) -> Secret {
        let pair = Secret::new(format!("{username}:{}", password.expose()));
        Secret::new(STANDARD.encode(pair.expose()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(auth: &Auth) -> Option<String> {
        let value = auth.header().unwrap()?;
        assert!(value.is_sensitive());
        Some(value.to_str().unwrap().to_owned())
    }

    #[test]
    fn header_values_follow_their_rfcs() {
        let basic =
            Auth::Basic { username: "Aladdin".into(), password: Secret::new("open sesame") };

        assert_eq!(text(&Auth::None), None);
        assert_eq!(text(&Auth::Bearer(Secret::new("t"))).as_deref(), Some("Bearer t"));
        assert_eq!(text(&basic).as_deref(), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
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
            assert_eq!(auth.header().unwrap_err().to_string(), expected);
        }
    }
}
