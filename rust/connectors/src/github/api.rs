//! Requests to GitHub and what its answers mean.

use lakeflow_core::{
    Context, ErrorKind, Instant, Page, PageStream, ReadRequest, Records, Result, Step,
};
use lakeflow_http::paginate::{LinkHeader, Parsed, pages};
use lakeflow_http::{Auth, Client, ErrorReply, Request, Verdict, Wait, envelope, path};
use serde_json::json;
use std::time::Duration;

/// Pause after a secondary rate limit that names none.
const SECONDARY_LIMIT_PAUSE: Duration = Duration::from_secs(60);

pub(super) struct Api {
    client: Client,
}

impl Api {
    pub(super) fn new(context: &Context) -> Result<Self> {
        let client = Client::builder(context, context.settings.text("base_url")?)?
            .auth(Auth::Bearer(context.settings.secret("token")?))
            .header("accept", "application/vnd.github+json")
            .header("x-github-api-version", "2022-11-28")
            .errors(verdict)
            .build()?;

        Ok(Self { client })
    }

    pub(super) fn issues(&self, read: &ReadRequest) -> Result<PageStream> {
        let owner = read.options.text("owner")?;
        let repo = read.options.text("repo")?;
        let first = Request::get(path(&["repos", owner, repo, "issues"])?)
            .query("state", read.options.text("state")?)
            .query("sort", "updated")
            .query("direction", "asc")
            .query("per_page", per_page(read));
        let first = match since(read) {
            Some(since) => first.query("since", since),
            None => first,
        };
        let owner = json!(owner).to_string();
        let repo = json!(repo).to_string();

        Ok(pages(self.client.clone(), first, LinkHeader::new(), move |response| {
            let records = Records::array(envelope::array(&response.body)?)
                .with("repository_owner", owner.clone())
                .with("repository_name", repo.clone());
            Ok(Parsed::from(Page::of(records)))
        }))
    }
}

/// The smaller of option `per_page` and what the reader has use for.
fn per_page(read: &ReadRequest) -> u64 {
    let option = read.options.integer("per_page").unwrap_or(100).unsigned_abs();
    read.page_rows.unwrap_or(option).clamp(1, option.max(1))
}

/// The inclusive lower bound in whole seconds.
fn since(read: &ReadRequest) -> Option<String> {
    let after = read.after.as_ref()?.moved(Step::SECOND, 1);
    after.instant().map(|i| i.to_rfc3339(0))
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
