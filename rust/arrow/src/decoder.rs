//! Rows in, record batches out.

use crate::fail::{Fail, path_text};
use crate::node::{Body, Node, StructBody, arrow_error};
use crate::parse::{Parser, compact};
use crate::read::{Note, Reading, finish_object, read_object};
use crate::scan::RowScan;
use crate::schema::arrow_schema;
use crate::time::Zone;
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType as Arrow, Field, Schema, SchemaRef};
use lakeflow_core::{Column, DataType, Error, FieldPath, Records, Result, TableSchema};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Names of unknown fields that a report holds.
const MAX_NAMES: usize = 100;

/// What becomes of a value that does not fit its column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// The read fails.
    #[default]
    Fail,
    /// The smallest enclosing value that may be null becomes null, and is counted.
    Null,
}

/// How values are coerced.
#[derive(Clone, Debug)]
pub struct CoercionOptions {
    /// What becomes of a value that does not fit its column.
    pub on_error: OnError,
    /// Name of an added text column that holds what was left out of a row: a JSON object of path
    /// and raw value, or null.
    pub rescued_column: Option<String>,
    /// Zone of timestamps that state none.
    pub timestamp_zone: Zone,
    /// Whether errors show up to 80 characters of the value.
    pub excerpts: bool,
}

impl Default for CoercionOptions {
    fn default() -> Self {
        Self {
            on_error: OnError::Fail,
            rescued_column: None,
            timestamp_zone: Zone::UTC,
            excerpts: true,
        }
    }
}

/// What was left out or changed, over the life of a decoder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoercionReport {
    /// Values that became null because they did not fit.
    pub nulled: u64,
    /// Fields that the schema does not know.
    pub unknown_fields: u64,
    /// Their paths and how often each came, up to 100 paths; `labels[].color`, and `*` for names
    /// past the first thousand of one kind of object.
    pub unknown_names: BTreeMap<String, u64>,
    /// Fields that came again in one object; the last one was taken.
    pub duplicate_keys: u64,
    /// Characters replaced by U+FFFD: lone surrogates and invalid UTF-8.
    pub replaced_characters: u64,
}

/// Coerces raw rows into the columns of a table.
///
/// ```
/// use lakeflow_arrow::{CoercionOptions, Decoder, scan_rows};
/// use lakeflow_core::{Column, DataType, Records, TableSchema};
///
/// let schema = TableSchema::new(vec![Column::new("id", DataType::Long).required()]);
/// let mut decoder = Decoder::new("issues", &schema, &[], CoercionOptions::default())?;
/// let records = Records::array(r#"[{"id": 1}, {"id": "2"}]"#.into());
/// let scan = scan_rows(&records.rows, &[])?;
/// decoder.append(&records, &scan, &[0, 1], 0)?;
/// assert_eq!(decoder.finish()?.num_rows(), 2);
/// # Ok::<(), lakeflow_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    table: Arc<str>,
    schema: SchemaRef,
    body: StructBody,
    rescued: Option<Node>,
    cx: Reading,
    rows: usize,
    report: CoercionReport,
}

impl Decoder {
    /// A decoder for `schema`; `table` is the name in errors.
    ///
    /// `strict` are paths of columns, such as key and cursor, in which a bad value is an error
    /// whatever the options say.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](lakeflow_core::ErrorKind::Internal) for a schema or a format that
    /// nobody may declare; [`ErrorKind::ConfigInvalid`](lakeflow_core::ErrorKind::ConfigInvalid)
    /// if the rescued column has the name of another one.
    pub fn new(
        table: &str,
        schema: &TableSchema,
        strict: &[FieldPath],
        options: CoercionOptions,
    ) -> Result<Self> {
        let mut fields = arrow_schema(schema).map_err(|e| e.table(table))?.fields().to_vec();
        let strict: Vec<Vec<&str>> = strict.iter().map(|p| p.segments().collect()).collect();
        let body = StructBody::new(&schema.columns, &strict).map_err(|e| e.table(table))?;
        let rescued = match &options.rescued_column {
            None => None,
            Some(name) if schema.column(name).is_some() => {
                return Err(Error::config(format!(
                    "the rescued data column cannot be called '{name}': the table has such a column"
                ))
                .table(table));
            }
            Some(name) => {
                fields.push(Arc::new(Field::new(name, Arrow::Utf8, true)));
                Some(Node::new(&Column::new(name, DataType::String), true, &[])?)
            }
        };

        Ok(Self {
            table: table.into(),
            schema: Arc::new(Schema::new(fields)),
            body,
            cx: Reading {
                lenient: options.on_error == OnError::Null,
                rescue: rescued.is_some(),
                excerpts: options.excerpts,
                zone: options.timestamp_zone,
                ..Reading::default()
            },
            rescued,
            rows: 0,
            report: CoercionReport::default(),
        })
    }

    /// Passes in silence over the columns of `schema` that this decoder does not read: with a
    /// projected schema they are known, and neither counted nor rescued.
    pub fn ignore(&mut self, schema: &TableSchema) {
        for column in &schema.columns {
            let path = schema.place_of(&FieldPath::field(column.name.as_str()));
            self.body.keys.ignore(&path.segments().collect::<Vec<_>>());
        }
    }

    /// The schema of the batches; a rescued column is the last one.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Decodes the rows `selection` of a scanned page, in that order.
    ///
    /// Added columns of `records` win over fields of the same name; those that the schema lacks
    /// are passed over. In errors the row numbered `i` in the page is record `first_record + i`.
    ///
    /// # Errors
    /// [`ErrorKind::DataInvalid`](lakeflow_core::ErrorKind::DataInvalid), naming table, column and
    /// record, for a value that does not fit; [`ErrorKind::BadResponse`](lakeflow_core::ErrorKind::BadResponse)
    /// for malformed JSON; [`ErrorKind::Internal`](lakeflow_core::ErrorKind::Internal) for an added
    /// column that has not one value a row. The rows before the failed one stay buffered, nothing of the failed one
    /// does.
    pub fn append(
        &mut self,
        records: &Records,
        scan: &RowScan,
        selection: &[usize],
        first_record: u64,
    ) -> Result<()> {
        for (name, values) in &records.per_row {
            if values.len() != scan.len() {
                let (values, rows) = (values.len(), scan.len());
                return Err(Error::internal(format!(
                    "added column '{name}' has {values} values for {rows} rows"
                ))
                .table(&*self.table));
            }
        }
        let added = self.added(records);
        let result = selection.iter().try_for_each(|&row| {
            self.append_row(records, &added, scan.raw(row), row).map_err(|fail| {
                let record = first_record.saturating_add(row as u64);
                self.body.truncate(self.rows);
                if let Some(rescued) = &mut self.rescued {
                    rescued.truncate(self.rows);
                }
                fail.into_error(&self.table, record, self.cx.excerpts)
            })
        });
        for field in &mut self.body.fields {
            field.fixed = false;
        }
        self.update_report();

        result
    }

    /// Number of buffered rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Approximate size of the buffered rows as Arrow buffers.
    pub fn bytes(&self) -> usize {
        self.body.size() + self.rescued.as_ref().map_or(0, Node::size)
    }

    /// The buffered rows; afterwards there are none, and more may be appended.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](lakeflow_core::ErrorKind::Internal) if Arrow refuses what was built.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.rows);
        let fields = self.body.fields.iter_mut().map(|f| &mut f.node);
        let columns =
            fields.chain(self.rescued.as_mut()).map(Node::finish).collect::<Result<Vec<_>>>()?;
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows));

        RecordBatch::try_new_with_options(self.schema(), columns, &options).map_err(arrow_error)
    }

    /// What was left out or changed so far.
    pub fn report(&self) -> &CoercionReport {
        &self.report
    }

    /// Fields that the connector adds: where they go, and which added column they come from.
    fn added(&mut self, records: &Records) -> Vec<(usize, Added)> {
        let names = records.constant.iter().enumerate().map(|(i, c)| (&c.0, Added::Constant(i)));
        let per_row = records.per_row.iter().enumerate().map(|(i, c)| (&c.0, Added::PerRow(i)));
        let mut added: Vec<(usize, Added)> = Vec::new();
        for (name, from) in names.chain(per_row) {
            let Some(number) = self.body.fields.iter().position(|f| *f.name == **name) else {
                continue;
            };
            added.retain(|(other, _)| *other != number);
            added.push((number, from));
            if let Some(field) = self.body.fields.get_mut(number) {
                field.fixed = true;
            }
        }

        added
    }

    fn append_row(
        &mut self,
        records: &Records,
        added: &[(usize, Added)],
        raw: &[u8],
        row: usize,
    ) -> Result<(), Fail> {
        let Self { body: StructBody { fields, keys }, cx, rows, rescued, .. } = self;
        cx.notes.clear();
        for (number, from) in added {
            let Some(field) = fields.get_mut(*number) else { continue };
            let value = match from {
                Added::Constant(i) => records.constant.get(*i).map(|(_, value)| value),
                Added::PerRow(i) => records.per_row.get(*i).and_then(|(_, values)| values.get(row)),
            };
            let mut p = Parser::new(value.map(|v| &**v).unwrap_or(b"null"));
            p.blanks();
            let step = || crate::fail::Step::Field(field.name.to_string());
            field.node.read(&mut p, cx).map_err(|fail| fail.below(step()))?;
            cx.below(0, || crate::fail::Step::Field(field.name.to_string()));
            p.end()?;
        }

        let mut p = Parser::new(raw);
        p.blanks();
        if !p.eat(b'{') {
            return Err(p.error("expected an object").into());
        }
        read_object(fields, keys, *rows, &mut p, cx)?;
        finish_object(fields, *rows)?;
        p.end()?;
        if !cx.notes.is_empty() {
            self.report.nulled += cx.notes.iter().filter(|n| n.nulled).count() as u64;
        }
        if let Some(node) = rescued {
            rescue(node, &mut cx.notes)?;
        }
        *rows += 1;

        Ok(())
    }

    fn update_report(&mut self) {
        let report = &mut self.report;
        report.duplicate_keys += std::mem::take(&mut self.cx.duplicates);
        report.replaced_characters += std::mem::take(&mut self.cx.replaced);
        if !std::mem::take(&mut self.cx.unknown) {
            return;
        }
        drain_struct(&mut self.body, "", &mut |name, count| {
            report.unknown_fields += count;
            if report.unknown_names.len() < MAX_NAMES || report.unknown_names.contains_key(&name) {
                *report.unknown_names.entry(name).or_default() += count;
            }
        });
    }
}

/// An added column by its number.
#[derive(Clone, Copy, Debug)]
enum Added {
    Constant(usize),
    PerRow(usize),
}

fn drain_struct(body: &mut StructBody, prefix: &str, with: &mut impl FnMut(String, u64)) {
    body.keys.drain_unknown(prefix, with);
    for field in &mut body.fields {
        let path = format!("{prefix}{}", crate::fail::quoted(&field.name));
        drain_node(&mut field.node, &path, with);
    }
}

fn drain_node(node: &mut Node, path: &str, with: &mut impl FnMut(String, u64)) {
    match &mut node.body {
        Body::Struct(body) => drain_struct(body, &format!("{path}."), with),
        Body::List { child, .. } => drain_node(child, &format!("{path}[]"), with),
        Body::Map { value, .. } => drain_node(value, &format!("{path}[]"), with),
        _ => {}
    }
}

/// Adds what was left out of a row to the rescued column.
fn rescue(node: &mut Node, notes: &mut Vec<Note>) -> Result<(), Fail> {
    if notes.is_empty() {
        node.push_null();
        return Ok(());
    }
    let mut values: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for mut note in notes.drain(..) {
        note.path.reverse();
        values.insert(path_text(&note.path, true), note.raw);
    }
    let Body::Text(text, _) = &mut node.body else { return Ok(()) };
    for (number, (path, raw)) in values.iter().enumerate() {
        text.data.push(if number == 0 { b'{' } else { b',' });
        text.data.extend_from_slice(serde_json::Value::from(path.as_str()).to_string().as_bytes());
        text.data.push(b':');
        compact(raw, &mut text.data);
    }
    text.data.push(b'}');
    text.end()?;
    node.nulls.append_non_null();

    Ok(())
}
