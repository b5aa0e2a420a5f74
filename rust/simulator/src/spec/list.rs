//! What a route that answers with records accepts: filters, order, pages, fields, children.

use super::Reply;
use crate::template::{OrderedMap, Template};
use serde::Deserialize;

/// A list by query parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListSpec {
    pub(crate) collection: Template,
    #[serde(default)]
    pub(crate) filters: Vec<FilterSpec>,
    pub(crate) sort: SortSpec,
    pub(crate) paging: PagingSpec,
    /// Records whose sort field is younger than this are not shown yet.
    #[serde(default)]
    pub(crate) settle_seconds: i64,
    #[serde(default)]
    pub(crate) shape: ShapeSpec,
    /// Parameters that the real API knows and this description does not: answered with 501, so
    /// that nobody takes an ignored filter for a working one.
    #[serde(default)]
    pub(crate) unsupported: Vec<String>,
    /// `${rows}`, `${count}`, `${total}` and those of the paging style.
    pub(crate) body: Template,
    /// The answer when the scope has no record at all; absent: a list without rows.
    pub(crate) empty: Option<Reply>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilterSpec {
    /// Absent: the filter always has its default value.
    pub(crate) param: Option<String>,
    pub(crate) field: String,
    pub(crate) op: Op,
    /// How the parameter is written.
    #[serde(default)]
    pub(crate) unit: Unit,
    pub(crate) default: Option<Template>,
    /// The value that filters nothing.
    pub(crate) any: Option<String>,
    /// The values it takes besides `any`; empty: every one that compares.
    #[serde(default)]
    pub(crate) allowed: Vec<String>,
    /// What the field holds for a value, where that is another text.
    #[serde(default)]
    pub(crate) means: OrderedMap<String>,
    /// Values that stand for whether indexed fields are set: value to field to that.
    #[serde(default)]
    pub(crate) cases: OrderedMap<OrderedMap<bool>>,
    /// Whether a request without it is refused.
    #[serde(default)]
    pub(crate) required: bool,
    /// The greatest number of values of `op: among`.
    pub(crate) max: Option<usize>,
    /// A time younger than this is refused.
    pub(crate) min_age_seconds: Option<i64>,
    /// Refusal of a value; absent: `errors.invalid_parameter`. `${parameter}`, `${value}`.
    pub(crate) invalid: Option<Reply>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Op {
    Equal,
    After,
    AtOrAfter,
    Before,
    AtOrBefore,
    /// One of a list separated by commas.
    Among,
}

/// How a point in time is written in a parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// As the field.
    #[default]
    Field,
    EpochSeconds,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SortSpec {
    /// Query parameter; absent: the order is fixed.
    pub(crate) param: Option<String>,
    pub(crate) direction_param: Option<String>,
    /// Name used when the parameter is absent.
    pub(crate) default: String,
    #[serde(default)]
    pub(crate) descending: bool,
    /// Names that sort the other way unless the request says how.
    #[serde(default)]
    pub(crate) reversed: Vec<String>,
    /// Value of the parameter to indexed field; empty: `default` is the field.
    #[serde(default)]
    pub(crate) fields: OrderedMap<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PagingSpec {
    #[serde(default)]
    pub(crate) style: Style,
    /// The parameter that holds the page number, the offset, the token or the start time.
    pub(crate) page_param: String,
    /// What a page number or size that is none gets; a token that is none is always refused.
    #[serde(default)]
    pub(crate) invalid: Invalid,
    pub(crate) size_param: Option<String>,
    pub(crate) size: usize,
    pub(crate) max_size: usize,
    /// What a size beyond the greatest gets.
    #[serde(default)]
    pub(crate) oversize: Oversize,
    /// How many records can be reached at all, and what a page beyond gets.
    pub(crate) reach: Option<ReachSpec>,
    /// The parameters that may stand beside a token; the token itself keeps the others. Absent:
    /// all are repeated.
    pub(crate) beside_token: Option<Vec<String>>,
    /// Path of `Link` header URLs; absent: no such header.
    pub(crate) link_path: Option<Template>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Style {
    /// Numbers from 1: `${page}`, `${next_page}`.
    #[default]
    Page,
    /// Records to skip: `${offset}`, `${next_offset}`.
    Offset,
    /// Signed opaque tokens: `${next_token}`, `${last_token}` (also on the last page),
    /// `${previous_token}`.
    Cursor,
    /// The time of the last record, in whole seconds, starts the next page: `${end_time}`. Records
    /// of one time are not parted, so a page may be larger than asked for.
    Time,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Invalid {
    #[default]
    Error,
    Default,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Oversize {
    #[default]
    Cap,
    Error,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReachSpec {
    pub(crate) rows: usize,
    pub(crate) beyond: Reply,
}

/// How the records of an answer differ from those that are stored.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ShapeSpec {
    pub(crate) select: Option<SelectSpec>,
    pub(crate) embed: Vec<EmbedSpec>,
    /// Dotted paths that are not shown.
    pub(crate) hide: Vec<String>,
    /// Parameters that choose parts of the whole body by dotted path.
    pub(crate) body_fields: Option<BodyFieldsSpec>,
}

impl ShapeSpec {
    /// The parameters it reads.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &str> {
        let select = self.select.iter().map(|select| select.param.as_str());
        let embed = self.embed.iter().filter_map(|embed| embed.param.as_deref());
        let body = self.body_fields.iter().flat_map(|body| [&*body.include, &*body.exclude]);
        select.chain(embed).chain(body)
    }
}

/// A parameter that lists the fields to show, separated by commas.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SelectSpec {
    pub(crate) param: String,
    /// The object they are fields of; absent: the record.
    pub(crate) within: Option<String>,
    /// Fields shown always.
    #[serde(default)]
    pub(crate) always: Vec<String>,
    /// Fields shown when the parameter is absent; absent: all.
    pub(crate) default: Option<Vec<String>>,
    /// Where the names of fields are records: a known one that a record lacks is shown as null.
    pub(crate) known: Option<PlaceSpec>,
}

/// A collection, its scope, and the unique field that is looked up.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlaceSpec {
    pub(crate) collection: Template,
    #[serde(default)]
    pub(crate) scope: Template,
    pub(crate) field: String,
}

/// Records of another collection inside each record of the answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EmbedSpec {
    /// The parameter that lists what to embed, separated by commas, each known as `${name}`;
    /// absent: always, once, without a name.
    pub(crate) param: Option<String>,
    /// The names it takes; empty: all.
    #[serde(default)]
    pub(crate) allowed: Vec<String>,
    /// The field of the record: a list, or an object with one field per name.
    pub(crate) into: String,
    pub(crate) children: ChildrenSpec,
    /// With a parameter, the value below each name: `${children}`, `${next_token}`.
    #[serde(default)]
    pub(crate) body: Template,
}

/// The records of a collection whose indexed `field` reads `value`, which may name `${row.field}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChildrenSpec {
    pub(crate) collection: String,
    #[serde(default)]
    pub(crate) scope: Template,
    pub(crate) field: String,
    pub(crate) value: Template,
    pub(crate) max: usize,
    /// What is shown of each, with `${child.field}`; absent: all of it.
    pub(crate) show: Option<Template>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BodyFieldsSpec {
    pub(crate) include: String,
    pub(crate) exclude: String,
}

/// A list by a JSON body: `filterGroups` of `filters` (every one of a group, any group), `sorts`,
/// `properties`, `limit`, `after` (a number of records as text).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchSpec {
    pub(crate) collection: Template,
    /// Conditions that hold always: indexed field to value.
    #[serde(default)]
    pub(crate) only: OrderedMap<String>,
    /// The object that property names belong to.
    pub(crate) within: String,
    /// Indexed field that orders what `sorts` does not.
    pub(crate) order: String,
    pub(crate) size: usize,
    pub(crate) max_size: usize,
    /// The number of records that can be reached.
    pub(crate) reach: usize,
    pub(crate) max_groups: usize,
    pub(crate) max_filters: usize,
    pub(crate) max_total_filters: usize,
    pub(crate) max_sorts: usize,
    pub(crate) max_body_bytes: usize,
    #[serde(default)]
    pub(crate) shape: ShapeSpec,
    /// Every refusal, with `${message}`.
    pub(crate) refused: Reply,
    /// `${rows}`, `${total}`, `${next_offset}`.
    pub(crate) body: Template,
}

/// Records, or the children of records, by the ids in a JSON body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchSpec {
    /// The list in the body, and the field of its items that holds an id.
    pub(crate) items: String,
    pub(crate) id: String,
    pub(crate) max: usize,
    /// Every refusal, with `${message}`.
    pub(crate) refused: Reply,
    pub(crate) read: BatchRead,
    /// One record; `${children}`, `${next_token}`, `${id}` and the record's own `${row.field}`.
    #[serde(default)]
    pub(crate) row: Template,
    /// What tells of one that is missing, with `${id}`.
    #[serde(default)]
    pub(crate) lack: Template,
    /// When each was found: `${rows}`.
    pub(crate) complete: Reply,
    /// Otherwise, with `${missing}`, a list of ids, `${missing_count}` and `${lacks}`.
    pub(crate) partial: Reply,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BatchRead {
    /// The records with these keys.
    Records {
        collection: Template,
        field: String,
        /// Conditions on top-level fields, as text: others are missing.
        #[serde(default)]
        only: OrderedMap<String>,
        #[serde(default)]
        shape: Box<ShapeSpec>,
    },
    /// Their children, `${id}` in the value; the item's field `after` holds the token of a page.
    Children(ChildrenSpec),
}
