//! Requests to GitHub and what its answers mean.

use lakeflow_core::{Context, ErrorKind, Instant, Result};
use lakeflow_http::{Auth, Client, ErrorReply, Verdict, Wait};
use std::time::Duration;

/// Pause after a secondary rate limit that names none.
const SECONDARY_LIMIT_PAUSE: Duration = Duration::from_secs(60);

/// A client for the API that the options name.
pub(super) fn client(context: &Context) -> Result<Client> {
    Client::builder(context, context.settings.text("base_url")?)?
        .auth(Auth::Bearer(context.settings.secret("token")?))
        .header("accept", "application/vnd.github+json")
        .header("x-github-api-version", "2022-11-28")
        .errors(verdict)
        .build()
}

/// What an error answer of GitHub means.
///
/// A used-up rate limit is answered with 403 or 429: the primary one with
/// `x-ratelimit-remaining: 0`, the secondary one with `retry-after` or only in words.
fn verdict(reply: &ErrorReply<'_>) -> Verdict {
    let limited = matches!(reply.status, 403 | 429);
    if limited && reply.header("retry-after").is_some() {
        return Verdict::new(ErrorKind::RateLimited);
    }
    if limited && reply.number("x-ratelimit-remaining") == Some(0) {
        let verdict = Verdict::new(ErrorKind::RateLimited);
        return match reply.number("x-ratelimit-reset") {
            Some(reset) => verdict.wait(Wait::Until(Instant::from_parts(reset, 0))),
            None => verdict,
        };
    }
    if reply.status == 429 || (limited && reply.text().contains("secondary rate limit")) {
        return Verdict::new(ErrorKind::RateLimited).wait(Wait::For(SECONDARY_LIMIT_PAUSE));
    }
    match reply.status {
        401 => Verdict::of_status(401).message("GitHub rejected the token: renew option 'token'"),
        404 => Verdict::new(ErrorKind::PermissionDenied).message(
            "GitHub knows no such repository, or the token may not read it: check options 'owner' \
             and 'repo' and the token's access",
        ),
        410 => {
            Verdict::new(ErrorKind::Unsupported).message("issues are disabled in the repository")
        }
        status => Verdict::of_status(status),
    }
}
