//! Records as rows.

use super::schema::ARCHIVED_AT;
use bytes::Bytes;
use lakeflow_core::{Error, Records, Result, Rows};
use lakeflow_http::envelope;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Records with their ids.
pub(super) type Found = Vec<(String, Bytes)>;

/// The records of a page with their ids.
pub(super) fn records(records: &Records) -> Result<Found> {
    let elements = match &records.rows {
        Rows::None => Vec::new(),
        Rows::Array(array) => envelope::elements(array)?,
        Rows::Each(rows) => rows.clone(),
    };
    let found = elements.into_iter().map(|record| {
        let id = envelope::object(&record)?.text("id")?;
        Ok((id.ok_or_else(|| Error::bad_response("a record has no id"))?, record))
    });

    found.collect()
}

/// The row of a record: its own fields, and a column of ids for each list of associated records.
pub(super) fn with_associations(
    id: &str,
    record: &Bytes,
    lists: &[(&str, &BTreeMap<String, Vec<String>>)],
) -> Bytes {
    let mut row = b"{".to_vec();
    for (column, ids) in lists {
        let ids = ids.get(id).map_or(&[][..], Vec::as_slice);
        row.extend_from_slice(format!("\"{column}\":{},", Value::from(ids)).as_bytes());
    }
    row.extend_from_slice(record.strip_prefix(b"{").unwrap_or(record));

    row.into()
}

/// Archived records, whose last change is that they were archived.
pub(super) fn archived(page: &Records) -> Result<Records> {
    let rows = records(page)?.into_iter().map(|(_, record)| {
        let time = envelope::object(&record)?.get(ARCHIVED_AT).cloned();
        let Some(time) = time.filter(|time| time.starts_with(b"\"")) else { return Ok(record) };
        // Of two fields with one name the later one counts.
        let mut row = record.strip_suffix(b"}").unwrap_or(&record).to_vec();
        row.extend_from_slice(b",\"updatedAt\":");
        row.extend_from_slice(&time);
        row.push(b'}');

        Ok(Bytes::from(row))
    });

    Ok(Records { rows: Rows::Each(rows.collect::<Result<_>>()?), ..Records::default() })
}

/// An answer with lists of associated records.
#[derive(Deserialize)]
pub(super) struct Associations {
    #[serde(default)]
    results: Vec<Associated>,
    #[serde(default)]
    errors: Vec<Refused>,
}

#[derive(Deserialize)]
struct Associated {
    from: From,
    #[serde(default)]
    to: Vec<To>,
    paging: Option<Paging>,
}

#[derive(Deserialize)]
struct From {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct To {
    to_object_id: u64,
}

#[derive(Deserialize)]
struct Paging {
    next: Option<NextPage>,
}

#[derive(Deserialize)]
struct NextPage {
    after: Option<String>,
}

#[derive(Deserialize)]
struct Refused {
    #[serde(default)]
    category: String,
}

/// Id of a record, ids of those it is associated with, and the token of more of them.
type AssociatedIds = (String, Vec<String>, Option<String>);

impl Associations {
    /// The lists.
    ///
    /// # Errors
    /// `BadResponse` if some are left out for another reason than that they are empty.
    pub(super) fn lists(self) -> Result<Vec<AssociatedIds>> {
        let other = |refused: &&Refused| refused.category != "OBJECT_NOT_FOUND";
        if let Some(refused) = self.errors.iter().find(other) {
            return Err(Error::bad_response("lists of associated records are left out")
                .context("category", refused.category.clone()));
        }
        let list = |list: Associated| {
            let ids = list.to.iter().map(|to| to.to_object_id.to_string()).collect();
            let next = list.paging.and_then(|paging| paging.next).and_then(|next| next.after);

            (list.from.id, ids, next.filter(|next| !next.is_empty()))
        };

        Ok(self.results.into_iter().map(list).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_associations_tell_whether_more_follow_and_others_are_errors() {
        let lists = |body: &str| -> Result<Vec<AssociatedIds>> {
            serde_json::from_str::<Associations>(body).unwrap().lists()
        };
        let body = r#"{
            "status": "COMPLETE",
            "results": [
                {"from": {"id": "1"}, "to": [{"toObjectId": 7, "associationTypes": []}],
                 "paging": {"next": {"after": "x", "link": "y"}}},
                {"from": {"id": "2"}, "to": [{"toObjectId": 8}, {"toObjectId": 9}]}
            ],
            "numErrors": 1,
            "errors": [{"category": "OBJECT_NOT_FOUND", "message": "no company for 3"}]
        }"#;

        assert_eq!(
            lists(body).unwrap(),
            [
                ("1".to_owned(), vec!["7".to_owned()], Some("x".to_owned())),
                ("2".to_owned(), vec!["8".to_owned(), "9".to_owned()], None),
            ]
        );
        let error = lists(r#"{"errors": [{"category": "RATE_LIMITS"}]}"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            "lists of associated records are left out (category: RATE_LIMITS)"
        );
    }

    #[test]
    fn rows_are_records_with_lists_and_archived_ones_have_the_time_of_archiving() {
        let record = Bytes::from_static(br#"{"id":"1","archivedAt":"b","updatedAt":"a"}"#);
        let lists = BTreeMap::from([("1".to_owned(), vec!["7".to_owned(), "8".to_owned()])]);
        let none = BTreeMap::new();

        let row = with_associations("1", &record, &[("deals", &lists), ("tickets", &none)]);
        assert_eq!(
            row,
            r#"{"deals":["7","8"],"tickets":[],"id":"1","archivedAt":"b","updatedAt":"a"}"#
        );
        let page = Records::array(Bytes::from_static(
            br#"[{"id":"1","archivedAt":"b","updatedAt":"a"},{"id":"2","updatedAt":"a"}]"#,
        ));
        let Rows::Each(rows) = archived(&page).unwrap().rows else { unreachable!() };
        assert_eq!(
            rows,
            [
                r#"{"id":"1","archivedAt":"b","updatedAt":"a","updatedAt":"b"}"#,
                r#"{"id":"2","updatedAt":"a"}"#,
            ]
        );
    }
}
