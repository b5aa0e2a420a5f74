//! What Java asks for, as JSON.

use lakeflow_door::{OptionMap, Place, Wanted};
use serde::Deserialize;
use serde_json::Value;

/// A read to open; the answer is a handle.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Open {
    /// One chunk: the table's description as JSON.
    Describe {
        /// Options as the user gave them.
        options: OptionMap,
        /// Whether options that the table requires may be missing; they come with the read then.
        #[serde(default)]
        outline: bool,
    },
    /// One chunk: what lies in a namespace, as JSON.
    Contents {
        /// Options as the user gave them.
        options: OptionMap,
        /// The namespace; empty for the root.
        namespace: Vec<String>,
    },
    /// One chunk: `{"splits", "metrics"}`, in which a batch is to be read and what it cost to know.
    Plan {
        /// Options as the user gave them.
        options: OptionMap,
        /// What is wanted.
        wanted: Wanted,
        /// Tasks that run at once.
        slots: usize,
    },
    /// Chunks: the schema, then one record batch each.
    Batch {
        /// Options as the user gave them.
        options: OptionMap,
        /// What is wanted.
        wanted: Wanted,
        /// One of a plan's splits; `null`: the whole read.
        split: Option<Value>,
    },
    /// No chunk: the end says that slices can be opened.
    Stream {
        /// Options as the user gave them.
        options: OptionMap,
    },
    /// One chunk: `{"offset"}`, the end of a micro-batch that tasks are to read, or `null`.
    Leap {
        /// Handle of the stream.
        stream: i64,
        /// Offset text at which it starts.
        start: String,
        /// As for a slice.
        single_drain: bool,
    },
    /// One chunk: `{"splits"}` of such a micro-batch.
    Splits {
        /// Handle of the stream.
        stream: i64,
        /// Offset text at which it starts.
        start: String,
        /// Offset text at which it ends.
        end: String,
        /// Tasks that run at once.
        slots: usize,
    },
    /// Chunks as of a batch; `slice_end` answers once they have ended.
    Slice {
        /// Handle of the stream.
        stream: i64,
        /// Id that the end offset shall carry; the caller names its file by it beforehand.
        id: String,
        /// Offset text to read from, `{}` for the beginning.
        start: String,
        /// Rows after which to stop at the next safe point; `null`: read all.
        limit: Option<u64>,
        /// Whether the stream ends with the first drain.
        single_drain: bool,
        /// Offset text past which nothing is wanted, for a batch whose rows are lost.
        upto: Option<String>,
    },
}

/// A question that is answered at once.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Call {
    /// `{"version"}`: the version of this library.
    Version,
    /// `{"default_limit"}` of an opened stream, in rows.
    Stream {
        /// Handle of the stream.
        handle: i64,
    },
    /// `{}` if a batch of the stream may go from one offset to the other.
    Range {
        /// Handle of the stream.
        handle: i64,
        /// Offset text at which the batch starts.
        start: String,
        /// Offset text at which it ends.
        end: String,
    },
    /// `{"offset", "rows", "state_hash", "state", "lag_ms", "warnings", "metrics"}` of a slice
    /// whose chunks have ended; `state` is base64.
    SliceEnd {
        /// Handle of the slice.
        handle: i64,
    },
    /// Counters of a read, name to value.
    Metrics {
        /// Handle of the read.
        handle: i64,
    },
    /// `{"options"}`: the options to read with, references and connections followed.
    Resolve {
        /// Options as the user gave them.
        options: OptionMap,
        /// Names of those that come from the configuration of `place`.
        configured: Vec<String>,
        /// Which configuration that is.
        place: Place,
    },
    /// `{"open_handles"}`.
    OpenHandles,
    /// Panics, to show that Java survives it.
    #[cfg(feature = "testing")]
    Panic {
        /// What to say.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use lakeflow_door::parse;

    #[test]
    fn options_keep_their_spelling_and_are_not_shown() {
        let json = r#"{"kind": "batch", "options": {"sourceName": "x", "Token": "canary"},
            "wanted": {"columns": null, "limit": null, "filters": []}, "split": null}"#;
        let open: Open = parse(json.as_bytes()).unwrap();
        assert!(!format!("{open:?}").contains("canary"));
        let Open::Batch { options, split: None, .. } = open else { panic!("{open:?}") };
        let options = options.into_options();
        assert_eq!(options.iter().collect::<Vec<_>>(), [("sourceName", "x"), ("Token", "canary")]);
    }

    #[test]
    fn malformed_requests_are_refused_without_their_text() {
        for json in ["", "{}", r#"{"kind": "canary"}"#, r#"{"kind": "describe", "x": "canary"}"#] {
            let error = parse::<Open>(json.as_bytes()).unwrap_err();
            assert!(error.to_string().starts_with("the request is malformed"), "{error}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
    }
}
