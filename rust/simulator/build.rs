//! Embeds every folder of `specs/`, so that adding a source adds data and no Rust.
use std::{env, error::Error, fmt::Write, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let specs = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("specs");
    println!("cargo::rerun-if-changed={}", specs.display());
    let mut sources = Vec::new();
    for entry in fs::read_dir(&specs)? {
        let path = entry?.path();
        if path.is_dir() {
            sources.push(path);
        }
    }
    sources.sort();

    let mut code = String::from("&[\n");
    for path in sources {
        let name = path.file_name().ok_or("a spec folder has a name")?.to_string_lossy();
        let endpoints = path.join("endpoints.yaml");
        let corpus = path.join("corpus.yaml");
        writeln!(code, "    ({name:?}, include_str!({endpoints:?}), include_str!({corpus:?})),")?;
    }
    code.push_str("]\n");
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("specs.rs"), code)?;

    Ok(())
}
