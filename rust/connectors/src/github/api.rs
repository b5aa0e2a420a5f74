//! Requests to GitHub and what its answers mean.

use lakeflow_core::{
    Context, Cursor, CursorKind, Error, ErrorKind, Instant, ReadRequest, Result, Rows,
};
use lakeflow_http::paginate::{LinkHeader, pages};
use lakeflow_http::rest::Table;
use lakeflow_http::{
    Allowance, Auth, Client, ErrorReply, Request, Response, Verdict, Wait, envelope,
};
use serde_json::Value;
use std::time::Duration;

/// Pause after a secondary rate limit that names none.
const SECONDARY_LIMIT_PAUSE: Duration = Duration::from_secs(60);

/// Status of an empty repository's list of commits.
pub(super) const EMPTY_REPOSITORY: u16 = 409;

/// A client for the API that the options name.
pub(super) fn client(context: &Context) -> Result<Client> {
    Client::builder(context, context.settings.text("base_url")?)?
        .auth(Auth::Bearer(context.settings.secret("token")?))
        .header("accept", "application/vnd.github+json")
        .header("x-github-api-version", "2022-11-28")
        .at_once(100)
        .allowance(|headers| {
            Allowance::epoch_seconds(headers, "x-ratelimit-remaining", "x-ratelimit-reset")
        })
        .errors(verdict)
        .build()
}

/// The lowest committer date at the end of `commits`, where the list has the oldest; `None` for an
/// empty repository.
pub(super) async fn oldest_commit(
    client: &Client,
    commits: &Table,
    read: &ReadRequest,
) -> Result<Option<Cursor>> {
    let all = ReadRequest { after: None, upto: None, page_rows: None, ..read.clone() };
    let page = client.send(commits.request(&all)?).await?;
    if page.status == EMPTY_REPOSITORY {
        return Ok(None);
    }
    let end = match page.link("last")? {
        Some(last) => Request::get(last),
        None if page.link("next")?.is_some() => {
            return Err(Error::config(
                "option 'start_timestamp' is required: the service does not say where the list \
                 of commits ends",
            ));
        }
        None => commits.request(&all)?,
    };
    // What is pushed meanwhile would move the oldest commits beyond the last page.
    let end = match page.date {
        Some(date) => end.query("until", date.to_rfc3339(0)),
        None => end,
    };
    let table = *commits;
    let parse = move |response: &Response| table.parse(response, &all);
    let mut pages = pages(client.clone(), end, LinkHeader::new(), parse);
    let mut oldest: Option<Cursor> = None;
    while let Some(page) = pages.next().await? {
        let Rows::Array(rows) = page.upserts.rows else { continue };
        for commit in envelope::elements(&rows)? {
            let commit: Value = serde_json::from_slice(&commit)
                .map_err(|e| Error::bad_response("a commit is no JSON").source(e))?;
            if let Some(date) = commit.pointer("/commit/committer/date").and_then(Value::as_str) {
                let date = Cursor::parse(CursorKind::Instant, date)?;
                oldest = Some(oldest.map_or(date.clone(), |oldest| oldest.min(date)));
            }
        }
    }

    Ok(oldest)
}

/// Whether `login` is the user whose token this is; tokens of apps are nobody's.
pub(super) async fn is_token_of(client: &Client, login: &str) -> Result<bool> {
    match client.send(Request::get("user")).await {
        Ok(response) => {
            let user: Value = response.json()?;
            Ok(user["login"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(login)))
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(false),
        Err(error) => Err(error),
    }
}

/// What an error answer of GitHub means.
fn verdict(reply: &ErrorReply<'_>) -> Verdict {
    if let Some(limited) = rate_limit(reply) {
        return limited;
    }
    match reply.status {
        401 => Verdict::of_status(401).message("GitHub rejected the token: renew option 'token'"),
        403 => Verdict::of_status(403).message(forbidden(reply)),
        404 => not_found(reply.path),
        410 => {
            Verdict::new(ErrorKind::Unsupported).message("issues are disabled in the repository")
        }
        status => Verdict::of_status(status),
    }
}

/// A used-up rate limit is answered with 403 or 429: the primary one with
/// `x-ratelimit-remaining: 0`, the secondary one with `retry-after` or only in words.
fn rate_limit(reply: &ErrorReply<'_>) -> Option<Verdict> {
    if !matches!(reply.status, 403 | 429) {
        return None;
    }
    let limited = Verdict::new(ErrorKind::RateLimited);
    if reply.header("retry-after").is_some() {
        return Some(limited);
    }
    if reply.number("x-ratelimit-remaining") == Some(0) {
        return Some(match reply.number("x-ratelimit-reset") {
            Some(reset) => limited.wait(Wait::Until(Instant::from_parts(reset, 0))),
            None => limited,
        });
    }
    let secondary = reply.status == 429 || reply.text().contains("secondary rate limit");

    secondary.then(|| limited.wait(Wait::For(SECONDARY_LIMIT_PAUSE)))
}

/// Names what the token lacks, which GitHub says in headers.
fn forbidden(reply: &ErrorReply<'_>) -> String {
    if reply.header("x-github-sso").is_some_and(|sso| sso.starts_with("required")) {
        return "authorize the token of option 'token' for the organization's single sign-on"
            .to_owned();
    }
    let what = match (
        reply.header("x-accepted-oauth-scopes").filter(|scopes| !scopes.is_empty()),
        reply.header("x-accepted-github-permissions"),
    ) {
        (Some(scopes), _) => format!("one of the scopes {scopes}"),
        (None, Some(permissions)) => format!("the permission {permissions}"),
        (None, None) => "more rights, for collaborators write access".to_owned(),
    };

    format!("the token of option 'token' may not read this: it needs {what}")
}

/// GitHub hides what a token may not see behind a 404.
fn not_found(path: &str) -> Verdict {
    let mut segments = path.rsplit('/');
    let (last, number, list) = (segments.next(), segments.next(), segments.next());
    if last == Some("reviews") && list == Some("pulls") {
        return Verdict::new(ErrorKind::ParentGone)
            .message(format!("pull request {} is gone", number.unwrap_or_default()));
    }
    let message = if path.contains("/orgs/") {
        "GitHub knows no such organization or team, or the token may not read it: check option \
         'org' and the token's access"
    } else if path.contains("/users/") {
        "GitHub knows no such user: check option 'owner'"
    } else if number == Some("pulls") {
        "GitHub knows no such pull request, or the token may not read it: check options 'owner', \
         'repo' and 'pull_number' and the token's access"
    } else {
        "GitHub knows no such repository, or the token may not read it: check options 'owner' and \
         'repo' and the token's access"
    };

    Verdict::new(ErrorKind::PermissionDenied).message(message)
}
