//! A feed whose place the service keeps, in a file that tests append to: each line is a change,
//! and a place is a number of lines.

use async_trait::async_trait;
use futures::stream;
use lakeflow_core::{
    Column, Connector, Context, DataType, Error, Ingestion, JsonScalar, Latest, OptionKind,
    OptionSpec, Page, PageStream, Position, Progress, ReadRequest, Records, Result, Resume,
    Settings, Source, TableSchema, TableSpec,
};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// The source `journal` with the table `changes`: a stream gives the lines that come after it was
/// started, as services do which keep no list of the past.
pub static JOURNAL: Source = Source {
    name: "journal",
    connection_options: &[],
    kit_options: &[],
    table_options: &[OptionSpec::new("file", OptionKind::Text, "Path of the journal.").required()],
    build: |_: &Context| Ok(Arc::new(Journal)),
};

struct Journal;

#[async_trait]
impl Connector for Journal {
    async fn list_tables(&self) -> Result<Vec<String>> {
        Ok(vec!["changes".to_owned()])
    }

    async fn table(&self, table: &str, _: &Settings) -> Result<TableSpec> {
        if table != "changes" {
            return Err(Error::table_not_found(table, &["changes"]));
        }
        let schema = TableSchema::new(vec![
            Column::new("line", DataType::Long).required(),
            Column::new("text", DataType::String),
        ]);
        let rows = Progress::Token { order: None, life: Duration::from_secs(3_600) };

        Ok(TableSpec::new(schema, Ingestion::Append, &["line"], rows))
    }

    fn read_table(&self, read: ReadRequest) -> PageStream {
        PageStream::new(stream::once(async move {
            let from = read.at.as_ref().and_then(|at| at.integer("lines")).unwrap_or(0);
            let lines = lines(&read)?;
            let rows: Vec<_> = (0..)
                .zip(&lines)
                .skip_while(|(line, _)| *line < from)
                .map(|(line, text)| json!({"line": line, "text": text}))
                .collect();
            let rows = serde_json::to_vec(&rows).map_err(|e| Error::internal(e.to_string()))?;

            Ok(Page { resume: Resume::At(place(&lines)), ..Page::of(Records::array(rows.into())) })
        }))
    }

    async fn latest(&self, read: &ReadRequest) -> Result<Latest> {
        Ok(Latest::At(place(&lines(read)?)))
    }
}

fn place(lines: &[String]) -> Position {
    let lines = i64::try_from(lines.len()).unwrap_or(i64::MAX);

    Position::default().with("lines", JsonScalar::Int(lines))
}

fn lines(read: &ReadRequest) -> Result<Vec<String>> {
    let path = read.options.text("file")?;
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error::config(format!("option 'file': cannot read '{path}'")).source(e))?;

    Ok(text.lines().map(str::to_owned).collect())
}
