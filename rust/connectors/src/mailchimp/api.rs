//! Requests to Mailchimp and what its answers mean.

use lakeflow_core::{Context, Error, ErrorKind, Result, Settings};
use lakeflow_http::{Auth, Client, ErrorReply, Verdict};

/// A client for the data centre that the options name.
pub(super) fn client(context: &Context) -> Result<Client> {
    let settings = &context.settings;
    let base_url = match settings.get("base_url") {
        Some(base_url) => base_url.to_owned(),
        None => format!("https://{}.api.mailchimp.com/3.0", data_centre(settings)?),
    };

    Client::builder(context, &base_url)?
        .auth(Auth::Basic {
            username: "lakeflow".to_owned(),
            password: settings.secret("api_key")?,
        })
        .at_once(10)
        .errors(verdict)
        .build()
}

/// What follows the key's last hyphen, else option `server_prefix`.
fn data_centre(settings: &Settings) -> Result<&str> {
    let suffix = settings.text("api_key")?.rsplit_once('-').map(|(_, suffix)| suffix);
    let (name, from) = match (suffix, settings.get("server_prefix")) {
        (Some(suffix), _) => (suffix, "the key of option 'api_key' must end in"),
        (None, Some(prefix)) => (prefix, "option 'server_prefix' must be"),
        (None, None) => {
            return Err(Error::config(
                "option 'server_prefix' is required where the key of option 'api_key' does not end \
                 in its data centre, such as -us21",
            ));
        }
    };
    let letters = name.bytes().take_while(u8::is_ascii_lowercase).count();
    let digits = name.bytes().skip(letters);
    if letters != 2 || name.len() == letters || !digits.into_iter().all(|b| b.is_ascii_digit()) {
        return Err(Error::config(format!(
            "{from} a data centre: two letters and a number, such as us21"
        )));
    }

    Ok(name)
}

/// What an error answer of Mailchimp means.
fn verdict(reply: &ErrorReply<'_>) -> Verdict {
    let verdict = Verdict::of_status(reply.status);
    match reply.status {
        401 => verdict.message("Mailchimp rejected the key: renew option 'api_key'"),
        403 => verdict.message(
            "the key may not read this, or belongs to another data centre: check the key of option \
             'api_key', its user's role and option 'server_prefix'",
        ),
        404 if reply.path.ends_with("/members") => {
            Verdict::new(ErrorKind::ParentGone).message("the audience is gone")
        }
        404 if reply.path.contains("/lists/") => Verdict::new(ErrorKind::ConfigInvalid)
            .message("there is no such audience: check option 'list_id'"),
        429 => verdict.message("more than 10 requests at once: other programs use the same key"),
        _ => verdict,
    }
}
