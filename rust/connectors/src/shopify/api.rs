//! Requests to Shopify and what its answers mean.

use lakeflow_core::{
    Context, Cursor, CursorKind, Error, ErrorKind, Page, ReadRequest, Records, Result, Resume, Rows,
};
use lakeflow_http::paginate::Parsed;
use lakeflow_http::{Allowance, Auth, Client, ErrorReply, Headers, Response, Verdict, envelope};
use serde::Deserialize;
use serde_json::value::RawValue;

/// A client for the shop that the options name.
pub(super) fn client(context: &Context) -> Result<Client> {
    let shop = context.settings.text("shop")?;
    if shop.is_empty() || !shop.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-')) {
        return Err(Error::config(format!(
            "option 'shop' must be the label before .myshopify.com, of a-z, 0-9 and -, got \"{shop}\""
        )));
    }
    let version = context.settings.text("api_version")?;
    if !is_version(version) {
        return Err(Error::config(format!(
            "option 'api_version' must be a quarter's version such as 2026-04, got \"{version}\""
        )));
    }
    let own = format!("https://{shop}.myshopify.com");
    let token = context.settings.secret("access_token")?;

    Client::builder(context, context.settings.get("base_url").unwrap_or(&own))?
        .auth(Auth::header("x-shopify-access-token", token))
        .allowance(bucket)
        .errors(verdict)
        .build()
}

fn is_version(text: &str) -> bool {
    let year = |year: &str| year.len() == 4 && year.chars().all(|c| c.is_ascii_digit());
    let parts = text.split_once('-');

    parts.is_some_and(|(y, month)| year(y) && matches!(month, "01" | "04" | "07" | "10"))
}

/// How full the bucket of requests is, `32/40`; whatever its size, it drains within 20 seconds.
fn bucket(headers: &Headers<'_>) -> Option<Allowance> {
    let (used, size) = headers.text("x-shopify-shop-api-call-limit")?.split_once('/')?;
    let (used, size): (f64, f64) = (used.parse().ok()?, size.parse().ok()?);

    Some(Allowance::Bucket { used, size, per_second: size / 20.0 })
}

/// What an error answer of Shopify means.
fn verdict(reply: &ErrorReply<'_>) -> Verdict {
    let verdict = Verdict::of_status(reply.status);
    match reply.status {
        401 => verdict.message(
            "Shopify rejected the token: set option 'access_token' to the Admin API token of an \
             app that is installed in the shop",
        ),
        402 => Verdict::new(ErrorKind::PermissionDenied)
            .message("the shop is frozen until its owner pays the outstanding balance"),
        403 => verdict.message(format!(
            "the app lacks an access scope: grant it {} and install it again",
            scope(reply.path)
        )),
        404 => Verdict::new(ErrorKind::ConfigInvalid).message(
            "there is no such shop or API version: check options 'shop', 'api_version' and \
             'base_url'",
        ),
        423 => Verdict::new(ErrorKind::PermissionDenied)
            .message("the shop is locked: its owner has to contact Shopify's support"),
        _ => verdict,
    }
}

/// The scope that a path needs.
fn scope(path: &str) -> &'static str {
    let scopes = [
        ("products", "read_products"),
        ("customers", "read_customers"),
        ("orders", "read_orders (and read_all_orders for those older than 60 days)"),
        ("inventory_levels", "read_inventory"),
        ("locations", "read_locations"),
    ];
    let found = scopes.iter().find(|(resource, _)| path.ends_with(&format!("/{resource}.json")));

    found.map_or("the scope of this resource", |(_, scope)| scope)
}

/// The refunds inside a page of orders.
pub(super) fn refunds(response: &Response, _read: &ReadRequest) -> Result<Parsed> {
    inside_orders(response, |order| order.refunds)
}

/// The fulfillments inside a page of orders.
pub(super) fn fulfillments(response: &Response, _read: &ReadRequest) -> Result<Parsed> {
    inside_orders(response, |order| order.fulfillments)
}

/// An order with what was made for it.
#[derive(Deserialize)]
struct Order<'a> {
    updated_at: String,
    #[serde(borrow, default)]
    refunds: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    fulfillments: Vec<&'a RawValue>,
}

/// The records that `of` finds in the orders of a page; it reaches up to the last order's change.
fn inside_orders(
    response: &Response,
    of: for<'a> fn(Order<'a>) -> Vec<&'a RawValue>,
) -> Result<Parsed> {
    let array = envelope::object(&response.body)?.array("orders")?;
    let orders: Vec<Order<'_>> = serde_json::from_slice(&array)
        .map_err(|e| Error::bad_response("the orders have not the documented form").source(e))?;
    let (mut rows, mut reached) = (Vec::new(), None);
    for order in orders {
        let changed = Cursor::parse(CursorKind::Instant, &order.updated_at)?;
        reached = reached.max(Some(changed));
        let raw = |record: &RawValue| array.slice_ref(record.get().as_bytes());
        rows.extend(of(order).into_iter().map(raw));
    }
    let mut page = Page::of(Records { rows: Rows::Each(rows), ..Records::default() });
    page.resume = Resume::From(reached);

    Ok(Parsed::from(page))
}
