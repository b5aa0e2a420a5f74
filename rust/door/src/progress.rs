//! How far a stream is, for whoever watches it from another process.

use lakeflow_core::{Metrics, MetricsSnapshot, Options};
use serde_json::json;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Option that names the file.
const OPTION: &str = "progressFile";

/// How the name of such a file begins, so that an option can overwrite no other.
const PREFIX: &str = "lakeflow-progress-";

/// Time between two looks at the counters.
const PAUSE: Duration = Duration::from_millis(500);

/// The file that option `progressFile` names, if there is one to write to.
pub(crate) fn file(options: &Options) -> Option<PathBuf> {
    let path = Path::new(options.get(OPTION)?.trim());
    let named = path.file_name()?.to_str()?.starts_with(PREFIX);

    (named && path.is_file()).then(|| path.to_owned())
}

/// Writes `{"records", "requests", "waiting"}` to `file` as long as that exists: what was delivered
/// and asked so far, and whether requests wait for the service's limit.
pub(crate) async fn tell(metrics: &Metrics, file: Option<&Path>) {
    let Some(file) = file else { return };
    let mut told = String::new();
    loop {
        let MetricsSnapshot { records, requests, .. } = metrics.snapshot();
        let waiting = metrics.is_waiting();
        let now = json!({"records": records, "requests": requests, "waiting": waiting}).to_string();
        if now != told && overwrite(file, &now).is_err() {
            return;
        }
        told = now;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Never makes the file: who watches removes it at the end.
fn overwrite(file: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).truncate(true).open(file)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(path: &Path) -> Option<PathBuf> {
        file(&[(OPTION, path.to_string_lossy())].into_iter().collect())
    }

    #[test]
    fn only_files_that_exist_under_such_a_name_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let (mine, other) = (folder.path().join("lakeflow-progress-1"), folder.path().join("x"));
        std::fs::write(&other, "kept").unwrap();

        assert_eq!(named(&mine), None);
        std::fs::write(&mine, "").unwrap();
        assert_eq!(named(&mine), Some(mine));
        assert_eq!(named(&other), None);
        assert_eq!(named(folder.path()), None);
        assert_eq!(file(&Options::new()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_watches_sees_counts_and_waits_until_the_file_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lakeflow-progress-2");
        std::fs::write(&path, "longer than what comes, so that the rest must go away").unwrap();
        let metrics = Metrics::default();
        let watch = async {
            metrics.requests(3);
            metrics.records(200);
            let waits = metrics.wait();
            tokio::time::sleep(2 * PAUSE).await;
            let first = std::fs::read_to_string(&path).unwrap();
            drop(waits);
            tokio::time::sleep(2 * PAUSE).await;
            let second = std::fs::read_to_string(&path).unwrap();
            std::fs::remove_file(&path).unwrap();
            metrics.requests(1);
            (first, second)
        };
        let ((), (first, second)) = tokio::join!(tell(&metrics, Some(&path)), watch);

        assert_eq!(first, r#"{"records":200,"requests":3,"waiting":true}"#);
        assert_eq!(second, r#"{"records":200,"requests":3,"waiting":false}"#);
        assert!(!path.exists());
    }
}
