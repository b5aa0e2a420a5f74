use super::*;

const DAY: i128 = 24 * 60 * 60 * 1_000_000_000;

struct Folder {
    folder: tempfile::TempDir,
    store: SliceStore,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SliceStore::open(folder.path(), &owner()).unwrap();

        Self { folder, store }
    }

    fn write(&self, id: &str, start: &str) {
        let mut writer = self.store.write(id, start, r#"{"type":"struct"}"#).unwrap();
        for (chunk, rows) in [("schema", 0), ("first", 2), ("second", 3)] {
            writer.write(chunk.as_bytes(), rows).unwrap();
        }
        assert_eq!(writer.complete().unwrap(), 5);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn files(&self, folder: &str) -> Vec<String> {
        let files = fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<_> =
            files.map(|f| f.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

fn owner() -> SliceOwner {
    SliceOwner::of("github", "issues")
}

fn text(slice: &str, state: &str) -> String {
    format!(r#"{{"slice": "{slice}", "state": "{state}", "v": 1}}"#)
}

fn offset(slice: &str, state: &str) -> StreamOffset {
    StreamOffset::parse(&text(slice, state)).unwrap()
}

fn beginning() -> StreamOffset {
    StreamOffset::parse("{}").unwrap()
}

/// The same file is what `SliceStoreTest` of the Java door writes.
#[test]
fn a_file_has_the_bytes_that_the_java_door_writes() {
    let folder = Folder::new();
    folder.write("a", "{}");

    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/slice.arrow");
    assert_eq!(fs::read(folder.path("slices/a.arrow")).unwrap(), fs::read(golden).unwrap());
}

#[test]
fn a_slice_is_there_once_it_is_complete_and_whole() {
    let folder = Folder::new();
    let mut writer = folder.store.write("a", "{}", "{}").unwrap();
    writer.write(b"schema", 0).unwrap();
    assert!(folder.store.slice(&offset("a", "s")).unwrap().is_none());
    drop(writer);
    assert_eq!(folder.files("slices"), Vec::<String>::new());

    folder.write("b", "{}");
    let footer = folder.store.slice(&offset("b", "s")).unwrap().unwrap().footer;
    assert_eq!((footer.start.as_str(), footer.rows, footer.bytes), ("{}", 5, 8 + 6 + 5 + 6));
    let whole = fs::read(folder.path("slices/b.arrow")).unwrap();
    for length in 0..whole.len() {
        fs::write(folder.path("slices/b.arrow"), &whole[..length]).unwrap();
        assert!(folder.store.slice(&offset("b", "s")).unwrap().is_none(), "{length}");
    }
}

#[test]
fn a_slice_is_written_once() {
    let folder = Folder::new();
    folder.write("a", "{}");

    let again = folder.store.write("a", "{}", "{}").map(drop).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::ConfigInvalid);
}

#[test]
fn a_chain_is_whole_or_none() {
    let folder = Folder::new();
    folder.write("a", "{}");
    folder.write("b", &text("a", "sa"));
    folder.write("c", &text("b", "sb"));
    let chain = |start: &StreamOffset, end: &StreamOffset| {
        let chain = folder.store.chain(start, end).unwrap()?;
        let name = |s: &StoredSlice| s.path.file_stem().unwrap().to_string_lossy().into_owned();
        Some(chain.iter().map(name).collect::<Vec<_>>())
    };

    assert_eq!(chain(&beginning(), &offset("c", "sc")).unwrap(), ["a", "b", "c"]);
    assert_eq!(chain(&offset("a", "sa"), &offset("b", "sb")).unwrap(), ["b"]);
    assert_eq!(chain(&offset("c", "sc"), &offset("c", "sc")).unwrap(), Vec::<String>::new());
    assert_eq!(chain(&offset("x", "sx"), &offset("c", "sc")), None);
    fs::remove_file(folder.path("slices/b.arrow")).unwrap();
    assert_eq!(chain(&beginning(), &offset("c", "sc")), None);
}

#[test]
fn what_was_committed_goes_and_the_state_of_the_place_stays() {
    let mut folder = Folder::new();
    folder.write("a", "{}");
    folder.write("b", &text("a", "sa"));
    folder.write("c", &text("b", "sb"));
    for state in ["sa", "sb", "sc"] {
        folder.store.write_state(state, b"remembered").unwrap();
    }
    fs::write(folder.path("slices/.a.arrow.crc"), "Hadoop's").unwrap();

    folder.store.drop_before(&offset("b", "sb"), Instant::from_nanos(0)).unwrap();

    assert_eq!(folder.files("slices"), ["c.arrow"]);
    assert_eq!(folder.files("state"), ["sb", "sc"]);
    assert_eq!(folder.store.read_state(&offset("b", "sb")).unwrap().unwrap(), b"remembered");
    assert_eq!(folder.store.read_state(&offset("a", "sa")).unwrap(), None);
}

#[test]
fn orphans_go_after_a_day() {
    let mut folder = Folder::new();
    folder.write("orphan", "{}");
    folder.store.write_state("orphan", b"old").unwrap();
    folder.store.write_state("kept", b"old").unwrap();
    let here = offset("gone", "kept");
    let modified = fs::metadata(folder.path("slices/orphan.arrow")).unwrap().modified().unwrap();
    let now = nanos(modified.duration_since(UNIX_EPOCH).unwrap());

    folder
        .store
        .drop_before(&here, Instant::from_nanos(now + DAY - nanos(SWEEP_INTERVAL)))
        .unwrap();
    assert_eq!(folder.files("slices"), ["orphan.arrow"]);
    folder.store.drop_before(&here, Instant::from_nanos(now + 2 * DAY)).unwrap();
    assert_eq!(folder.files("slices"), Vec::<String>::new());
    assert_eq!(folder.files("state"), ["kept"]);
}

#[test]
fn a_state_that_was_cut_off_is_written_again() {
    let mut folder = Folder::new();
    fs::write(folder.path("state/s"), "remem").unwrap();

    folder.store.write_state("s", b"remembered").unwrap();

    assert_eq!(fs::read(folder.path("state/s")).unwrap(), b"remembered");
}

#[test]
fn a_folder_belongs_to_one_table() {
    let folder = Folder::new();
    let path = folder.folder.path();
    let marked = fs::read_to_string(folder.path("owner.json")).unwrap();
    assert_eq!(marked, r#"{"source":"github","table":"issues","stream":"any"}"#);
    let other = SliceOwner::of("github", "commits");

    let error = SliceStore::open(path, &other).map(drop).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the slice store {} belongs to a stream of github.issues, this is a stream of \
             github.commits; use a new checkpoint and another folder in option 'sliceStore'",
            path.display()
        )
    );

    let by_java = r#"{"source":"github","table":"issues","stream":"checkpoint"}"#;
    fs::write(folder.path("owner.json"), by_java).unwrap();
    SliceStore::open(path, &owner()).unwrap();
    fs::write(folder.path("owner.json"), &by_java[..20]).unwrap();
    SliceStore::open(path, &owner()).unwrap();
    assert_eq!(fs::read_to_string(folder.path("owner.json")).unwrap(), marked);
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let folder = Folder::new();
    for name in ["", "../a", "a/b", "a.b", &"x".repeat(129)] {
        let error = folder.store.slice(&offset(name, "s")).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OffsetInvalid);
        let error = folder.store.read_state(&offset("a", name)).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OffsetInvalid);
    }
}

#[cfg(unix)]
#[test]
fn others_can_read_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let mut folder = Folder::new();
    folder.write("a", "{}");
    folder.store.write_state("s", b"remembered").unwrap();
    let mode = |name: &str| fs::metadata(folder.path(name)).unwrap().permissions().mode() & 0o777;

    assert_eq!(["slices", "state"].map(mode), [0o700; 2]);
    assert_eq!(["owner.json", "slices/a.arrow", "state/s"].map(mode), [0o600; 3]);
}
