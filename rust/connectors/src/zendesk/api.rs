//! Requests to Zendesk and what its answers mean.

use lakeflow_core::{Context, Error, ErrorKind, Result};
use lakeflow_http::{Allowance, Auth, Budget, Client, ErrorReply, Verdict, Wait};
use std::time::Duration;

/// Requests for exports that the usual plans allow in a minute.
const EXPORTS_PER_MINUTE: u32 = 10;

const MINUTE: Duration = Duration::from_secs(60);

/// A client for the account that the options name.
pub(super) fn client(context: &Context) -> Result<Client> {
    let settings = &context.settings;
    let subdomain = settings.text("subdomain")?;
    let label = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if subdomain.is_empty() || !subdomain.chars().all(label) {
        return Err(Error::config(format!(
            "option 'subdomain' must be what stands before .zendesk.com, letters, digits and '-', \
             got \"{}\"",
            subdomain.chars().take(80).collect::<String>()
        )));
    }
    let exports = settings.integer("exports_per_minute").and_then(|n| n.try_into().ok());
    let exports = exports.unwrap_or(EXPORTS_PER_MINUTE);
    let root = format!("https://{subdomain}.zendesk.com");

    Client::builder(context, settings.get("base_url").unwrap_or(&root))?
        .auth(Auth::Basic {
            username: format!("{}/token", settings.text("email")?),
            password: settings.secret("api_token")?,
        })
        .allowance(|headers| {
            Allowance::seconds_left(headers, "ratelimit-remaining", "ratelimit-reset")
        })
        .budget(Budget::new(exports, MINUTE).cost(|path| u32::from(path.contains("/incremental/"))))
        .errors(verdict)
        .build()
}

/// What an error answer of Zendesk means; a 429 names its pause in `Retry-After`.
fn verdict(reply: &ErrorReply<'_>) -> Verdict {
    let guide = ["/help_center/", "/community/"].iter().any(|part| reply.path.contains(part));
    match reply.status {
        // Our clock is ahead of Zendesk's, which wants a start time of a minute ago.
        400 | 422 if reply.text().contains("Too recent start_time") => {
            Verdict::new(ErrorKind::SourceUnavailable).wait(Wait::For(Duration::from_secs(5)))
        }
        401 => Verdict::of_status(401).message(
            "Zendesk rejected options 'email' and 'api_token': renew the token, and check that \
             token access is on in the Admin Center",
        ),
        403 | 404 if guide => Verdict::new(ErrorKind::Unsupported).message(
            "Zendesk offers no articles or topics here: Help Center or Community is off for the \
             account, or the agent of option 'email' may not see it",
        ),
        403 => Verdict::of_status(403).message(
            "the agent of option 'email' may not read this: incremental exports need an admin",
        ),
        404 => Verdict::new(ErrorKind::ConfigInvalid).message(
            "Zendesk knows no such account or list: check option 'subdomain' or 'base_url'",
        ),
        status => Verdict::of_status(status),
    }
}
