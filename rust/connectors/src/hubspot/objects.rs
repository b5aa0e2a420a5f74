//! The objects that are tables.

use serde::Deserialize;

/// An object of the CRM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object {
    /// Name of the table.
    pub(super) table: String,
    /// What paths of the API call it: its name, or the id of a custom object's type.
    pub(super) path: String,
    /// Property with the time of its last change, by which searches are ordered.
    pub(super) changed: &'static str,
    /// Objects whose ids its records list.
    pub(super) associations: &'static [&'static str],
    /// Whether the API lists its archived records.
    pub(super) lists_archived: bool,
}

/// A standard object, as data.
pub(super) struct Standard {
    pub(super) table: &'static str,
    changed: &'static str,
    associations: &'static [&'static str],
    lists_archived: bool,
}

const CHANGED: &str = "hs_lastmodifieddate";

const fn standard(table: &'static str, associations: &'static [&'static str]) -> Standard {
    Standard { table, changed: CHANGED, associations, lists_archived: true }
}

const ALL: &[&str] = &["contacts", "companies", "deals", "tickets"];

/// HubSpot refuses to list archived calls and meetings.
pub(super) const STANDARD: &[Standard] = &[
    Standard { changed: "lastmodifieddate", ..standard("contacts", &["companies"]) },
    standard("companies", &["contacts"]),
    standard("deals", &["contacts", "companies", "tickets"]),
    standard("tickets", &["contacts", "companies", "deals"]),
    Standard { lists_archived: false, ..standard("calls", ALL) },
    standard("emails", ALL),
    Standard { lists_archived: false, ..standard("meetings", ALL) },
    standard("tasks", ALL),
    standard("notes", ALL),
];

impl Object {
    /// JSON pointer to the time of the last change in a record.
    pub(super) fn changed_pointer(&self) -> &'static str {
        match self.changed {
            CHANGED => "/properties/hs_lastmodifieddate",
            _ => "/properties/lastmodifieddate",
        }
    }

    /// The standard object of this table.
    pub(super) fn standard(table: &str) -> Option<Self> {
        let object = STANDARD.iter().find(|object| object.table == table)?;

        Some(Self {
            table: object.table.to_owned(),
            path: object.table.to_owned(),
            changed: object.changed,
            associations: object.associations,
            lists_archived: object.lists_archived,
        })
    }
}

/// What the API says of a custom object.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CustomSchema {
    object_type_id: String,
    name: String,
}

impl CustomSchema {
    /// A table named after the object in lower case; `None` for objects that HubSpot defines, whose
    /// ids do not begin with `2-`.
    pub(super) fn into_object(self) -> Option<Object> {
        let custom = self.object_type_id.starts_with("2-") && !self.name.is_empty();

        custom.then(|| Object {
            table: self.name.to_lowercase(),
            path: self.object_type_id,
            changed: CHANGED,
            associations: &[],
            lists_archived: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_objects_of_the_account_are_custom() {
        let object = |id: &str, name: &str| {
            CustomSchema { object_type_id: id.into(), name: name.into() }.into_object()
        };
        let cars = Object {
            table: "cars".into(),
            path: "2-123".into(),
            changed: "hs_lastmodifieddate",
            associations: &[],
            lists_archived: false,
        };

        assert_eq!(object("2-123", "Cars"), Some(cars));
        for id in ["0-1", "0-4", "0-7", "12-3"] {
            assert_eq!(object(id, "cars"), None, "{id}");
        }
        assert_eq!(object("2-123", ""), None);
    }
}
