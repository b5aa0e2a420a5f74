//! Comments are events inside the events of tickets.

use bytes::Bytes;
use lakeflow_core::{Page, ReadRequest, Records, Result, Rows};
use lakeflow_http::Response;
use lakeflow_http::envelope::{self, Envelope};
use lakeflow_http::paginate::Parsed;

/// What a comment takes from its event: column, and the event's fields of which the first counts.
/// Events do not change, so the time of their creation is that of their last change.
const FROM_EVENT: &[(&str, &[&str])] = &[
    ("event_id", &["id"]),
    ("ticket_id", &["ticket_id"]),
    ("timestamp", &["timestamp"]),
    ("created_at", &["created_at"]),
    ("updated_at", &["updated_at", "created_at"]),
];

/// One row for each comment among the child events of the ticket events: its own fields, and those
/// of [`FROM_EVENT`] that it lacks.
pub(super) fn rows(response: &Response, _read: &ReadRequest) -> Result<Parsed> {
    let events = envelope::object(&response.body)?.array("ticket_events")?;
    let mut rows = Vec::new();
    let events = envelope::elements(&events)?;
    let sent = events.len() as u64;
    for event in events {
        let event = envelope::object(&event)?;
        let Some(children) = event.get("child_events").filter(|c| c.starts_with(b"[")) else {
            continue;
        };
        for child in envelope::elements(children)? {
            let fields = envelope::object(&child)?;
            let kind = fields.text("event_type")?.or(fields.text("type")?);
            if kind.as_deref() == Some("Comment") {
                rows.push(row(&event, &child));
            }
        }
    }
    let records = Records { rows: Rows::Each(rows), ..Records::default() };

    Ok(Parsed::from(Page::of(records)).rows(sent))
}

/// The comment's object with fields of the event before its own, which count if a name comes twice.
fn row(event: &Envelope, child: &Bytes) -> Bytes {
    let mut row = b"{".to_vec();
    for (column, fields) in FROM_EVENT {
        if let Some(value) = fields.iter().find_map(|field| event.get(field)) {
            row.extend_from_slice(format!("\"{column}\":").as_bytes());
            row.extend_from_slice(value);
            row.push(b',');
        }
    }
    row.extend_from_slice(child.strip_prefix(b"{").unwrap_or(child));

    row.into()
}
