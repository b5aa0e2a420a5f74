//! Options that the framework takes for every source.

use crate::changes;
use lakeflow_core::{OptionKind, OptionSpec};

/// Records per micro-batch unless the user says otherwise.
const DEFAULT_CAP: &str = "10000";

/// Option that names a connection.
pub(crate) const CONNECTION: &str = "connection";

/// Options of the framework, the same for every source.
pub static FRAMEWORK_OPTIONS: &[OptionSpec] = &[
    OptionSpec::new("sourceName", OptionKind::Text, "Source to read, by the name of its page."),
    OptionSpec::new("tableName", OptionKind::Text, "Table of the source."),
    OptionSpec::new(
        CONNECTION,
        OptionKind::Text,
        "Named connection whose options the read takes, see [credentials](credentials.md).",
    )
    .aliases(&["databricks.connection"]),
    OptionSpec::new(
        "isDeleteFlow",
        OptionKind::Bool,
        "Read the deletes of a `cdc_with_deletes` table instead of its rows.",
    )
    .default("false"),
    OptionSpec::new(
        changes::OPTION,
        OptionKind::Bool,
        "Read upserts and deletes of a `cdc_with_deletes` table as one stream, see \
         [reading](reading.md#changes).",
    )
    .default("false"),
    OptionSpec::new(
        "max_records_per_batch",
        OptionKind::Integer { min: 1, max: i64::MAX },
        "Records after which a micro-batch ends; a page is never cut, so a batch may exceed this \
         by less than one page.",
    )
    .aliases(&["maxRowsPerTrigger"])
    .default(DEFAULT_CAP),
    OptionSpec::new(
        "maxBytesPerTrigger",
        OptionKind::Bytes,
        "Uncompressed Arrow bytes after which a micro-batch ends, unless `max_records_per_batch` \
         ends it before.",
    ),
    OptionSpec::new(
        "minPollInterval",
        OptionKind::Duration,
        "Time within which a stream that has caught up does not look at the service again; never \
         delays `availableNow`.",
    ),
    OptionSpec::new(
        "prefetch",
        OptionKind::Bool,
        "Whether a stream reads the next micro-batch of a backlog while Spark works on the last one.",
    )
    .default("true"),
    OptionSpec::new(
        "maxPrefetchBytes",
        OptionKind::Bytes,
        "Uncompressed Arrow bytes after which `prefetch` pauses until its micro-batch is asked for; \
         the driver holds them in memory.",
    )
    .default("32m"),
    OptionSpec::new(
        "start_timestamp",
        OptionKind::Timestamp,
        "First instant to read, inclusive, where there is no offset yet; a bare date is midnight UTC.",
    )
    .aliases(&["startingTimestamp", "start_date"]),
    OptionSpec::new(
        "onCoercionError",
        OptionKind::Choice(&["fail", "null"]),
        "What to do with a value that does not fit its column: fail the read, or make it null.",
    )
    .default("fail"),
    OptionSpec::new(
        "rescuedDataColumn",
        OptionKind::Text,
        "Name of an extra string column that keeps, as JSON text, values that were made null and \
         fields that the schema does not know.",
    ),
    OptionSpec::new(
        "timestampZone",
        OptionKind::Text,
        "Zone of timestamps that the service writes without one.",
    )
    .default("UTC"),
    OptionSpec::new(
        "errorExcerpts",
        OptionKind::Bool,
        "Whether errors show the first 80 characters of a value that does not fit.",
    )
    .default("true"),
    OptionSpec::new(
        "failOnDataLoss",
        OptionKind::Bool,
        "Whether to fail when stored state of a stream is missing; else read again with a warning.",
    )
    .default("true"),
    OptionSpec::new(
        "maxConcurrentRequests",
        OptionKind::Integer { min: 1, max: 64 },
        "Parents whose children are read at the same time.",
    )
    .default("4"),
    OptionSpec::new(
        "numPartitions",
        OptionKind::Integer { min: 1, max: 10_000 },
        "Tasks that read a batch, see [reads by executors](reading.md#reads-by-executors); 1 \
         reads it in one piece. Where nothing but the order divides the table and records move in \
         it, changes during the read may be missing.",
    ),
    OptionSpec::new(
        "pushFilters",
        OptionKind::Bool,
        "Whether the Python data source takes filters of a query, from PySpark 4.1 on; Spark fails \
         such a query unless `spark.sql.python.filterPushdown.enabled` is true. The jar always \
         takes them.",
    )
    .default("false"),
    OptionSpec::new(
        "streamReads",
        OptionKind::Choice(&["driver", "executors"]),
        "Who reads a stream: the driver, or the executors as long as it is far behind, see \
         [streams by executors](reading.md#streams-by-executors).",
    )
    .default("driver"),
    OptionSpec::new(
        "sliceStore",
        OptionKind::Text,
        "Folder for the slices of a stream, instead of one under the checkpoint.",
    ),
    OptionSpec::new(
        "progressFile",
        OptionKind::Text,
        "File on the driver, named `lakeflow-progress-…`, that a stream overwrites with its records \
         and requests while it reads; for who watches it. One that does not exist is left alone.",
    ),
    OptionSpec::new(
        "allowChangedOptions",
        OptionKind::List,
        "Names of options that choose rows and may differ from those of the checkpoint.",
    ),
];

/// Options of the virtual tables, which ordinary tables do not know.
pub static VIRTUAL_OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "tableNameList",
        OptionKind::Text,
        "Tables that `_community_table_metadata` describes, as a JSON list.",
    ),
    OptionSpec::new(
        "tableConfigs",
        OptionKind::Text,
        "Options of each listed table, as a JSON object of objects.",
    ),
    OptionSpec::new(
        "withErrors",
        OptionKind::Bool,
        "Whether `_community_table_metadata` has a column `_error` that says why a table could not \
         be described.",
    )
    .default("false"),
    OptionSpec::new(
        "withCursorKinds",
        OptionKind::Bool,
        "Whether `_community_table_metadata` has a column `_cursor_kind`, which is `instant` where the \
         cursor is a point in time, whatever its column's type.",
    )
    .default("false"),
    OptionSpec::new(
        "namespacePrefix",
        OptionKind::Text,
        "Namespace whose children `_community_namespaces` lists, as a JSON list; the root unless \
         set.",
    ),
    OptionSpec::new(
        "namespace",
        OptionKind::Text,
        "Namespace whose tables `_community_tables` lists, as a JSON list; required where the \
         source has namespaces.",
    ),
];

/// Names that platforms add to a read; never unknown, never passed on.
pub static PLATFORM_OPTIONS: &[&str] = &["path", "header", "inferSchema"];
