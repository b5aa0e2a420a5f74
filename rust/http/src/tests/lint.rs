//! A connector is never special: what all share knows none of them by name.

use std::fs;
use std::path::{Path, PathBuf};

/// Program folders that all connectors share, from the folder of the crates.
const SHARED: [&str; 5] = ["http/src", "engine/src", "core/src", "arrow/src", "simulator/src"];

/// The service that exists to be an example.
const EXAMPLE: &str = "example";

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name != "tests" {
            files(&path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            found.push(path);
        }
    }
}

/// The program without comments and unit tests.
fn program(text: &str) -> impl Iterator<Item = &str> {
    let text = text.split("#[cfg(test)]").next().unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

#[test]
fn no_shared_part_names_a_service() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folders = fs::read_dir(crates.join("connectors/src")).unwrap().map(|e| e.unwrap().path());
    let services: Vec<String> = folders
        .filter(|path| path.is_dir())
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != EXAMPLE)
        .collect();
    assert!(!services.is_empty());
    let mut shared = Vec::new();
    SHARED.iter().for_each(|folder| files(&crates.join(folder), &mut shared));
    assert!(shared.len() > 40, "{}", shared.len());

    let mut named = Vec::new();
    for path in shared {
        let text = fs::read_to_string(&path).unwrap();
        for line in program(&text).map(str::to_lowercase) {
            if let Some(service) = services.iter().find(|service| line.contains(*service)) {
                named.push(format!("{}: {service}: {}", path.display(), line.trim()));
            }
        }
    }
    assert_eq!(named, Vec::<String>::new());
}
