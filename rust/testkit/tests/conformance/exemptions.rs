//! Checks that a table need not pass, with the reason, from `conformance/exemptions.yaml`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Exemptions of a source that need no page in `docs/decisions/`.
const FREE: usize = 2;

const FIELDS: &[&str] = &["source", "table", "check", "about", "reason", "decision"];

/// A problem of one check on one table that is known and accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exemption {
    pub source: String,
    pub table: String,
    pub check: String,
    /// How the problem's text begins; empty: every problem of the check.
    pub about: String,
    pub reason: String,
    /// Page in `docs/decisions/`.
    pub decision: Option<String>,
}

/// All exemptions, and which of them were needed.
pub struct Exemptions {
    all: Vec<Exemption>,
    used: Mutex<BTreeSet<usize>>,
}

impl Exemptions {
    /// # Panics
    /// If the file is not of the form that it describes.
    pub fn read() -> Self {
        let path = root().join("rust/testkit/conformance/exemptions.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        let all = parse(&text).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));

        Self { all, used: Mutex::default() }
    }

    /// The problems that no exemption covers.
    pub fn left(
        &self,
        source: &str,
        table: &str,
        check: &str,
        problems: Vec<String>,
    ) -> Vec<String> {
        let covers = |e: &Exemption, problem: &str| {
            (e.source.as_str(), e.table.as_str(), e.check.as_str()) == (source, table, check)
                && problem.starts_with(&e.about)
        };
        let uncovered = |problem: &String| match self.all.iter().position(|e| covers(e, problem)) {
            Some(i) => {
                self.used.lock().unwrap().insert(i);
                false
            }
            None => true,
        };

        problems.into_iter().filter(uncovered).collect()
    }

    /// Exemptions of the checks that were run which covered nothing.
    pub fn unused(&self, source: &str, run: impl Fn(&str) -> bool) -> Vec<String> {
        let used = self.used.lock().unwrap();
        let idle =
            |(i, e): &(usize, &Exemption)| e.source == source && run(&e.check) && !used.contains(i);
        let name = |(_, e): (usize, &Exemption)| format!("this exemption is not needed: {e:?}");

        self.all.iter().enumerate().filter(idle).map(name).collect()
    }
}

/// Reads a list of mappings from name to text, one `name: text` per line, `- ` before the first of
/// each; a text goes on in lines that are indented deeper.
fn parse(text: &str) -> Result<Vec<Exemption>, String> {
    let mut items: Vec<BTreeMap<String, String>> = Vec::new();
    let mut last = None;
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        if line == "[]" {
            continue;
        }
        let field = match line.strip_prefix("- ") {
            Some(field) => {
                items.push(BTreeMap::new());
                field
            }
            None => line.strip_prefix("  ").ok_or_else(|| format!("'{line}' is not indented"))?,
        };
        let item = items.last_mut().ok_or("the list begins with '- '")?;
        if let (Some(more), Some(name)) = (field.strip_prefix("  "), &last) {
            let text: &mut String = item.entry(String::clone(name)).or_default();
            *text = format!("{text} {}", more.trim()).trim().to_owned();
            continue;
        }
        let (name, value) = field.split_once(':').ok_or_else(|| format!("'{line}' has no name"))?;
        if !FIELDS.contains(&name) {
            return Err(format!("'{name}' is none of {}", FIELDS.join(", ")));
        }
        item.insert(name.to_owned(), value.trim().trim_matches('"').to_owned());
        last = Some(name.to_owned());
    }

    items.into_iter().map(exemption).collect()
}

fn exemption(mut item: BTreeMap<String, String>) -> Result<Exemption, String> {
    let shown = format!("{item:?}");
    let mut take = |name: &str| {
        let text = item.remove(name).filter(|text| !text.is_empty());
        text.ok_or_else(|| format!("{shown} lacks '{name}'"))
    };

    Ok(Exemption {
        source: take("source")?,
        table: take("table")?,
        check: take("check")?,
        reason: take("reason")?,
        about: take("about").unwrap_or_default(),
        decision: take("decision").ok(),
    })
}

/// Sources with more exemptions than are free whose page is missing, and pages that do not exist.
fn unfounded(all: &[Exemption], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut by_source: BTreeMap<&str, Vec<&Exemption>> = BTreeMap::new();
    for exemption in all {
        by_source.entry(&exemption.source).or_default().push(exemption);
    }
    let mut problems = Vec::new();
    for (source, own) in by_source {
        let bare = own.iter().filter(|e| e.decision.is_none()).count();
        if bare > FREE {
            problems
                .push(format!("{source}: {bare} exemptions without a decision, at most {FREE}"));
        }
        let pages = own.iter().filter_map(|e| e.decision.as_deref());
        let missing = pages.filter(|page| !exists(page));
        problems.extend(missing.map(|page| format!("{source}: docs/decisions/{page} is missing")));
    }

    problems
}

/// The checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn exemptions_are_few_and_name_what_exists() {
    let exemptions = Exemptions::read();
    println!("{} exemptions", exemptions.all.len());
    for e in &exemptions.all {
        println!("{}.{} {} {}: {}", e.source, e.table, e.check, e.about, e.reason);
        let entry = crate::entries::ENTRIES.iter().find(|entry| entry.source.name == e.source);
        let case = entry.and_then(|entry| entry.tables.iter().find(|case| case.name == e.table));
        assert!(case.is_some(), "no such table: {e:?}");
        assert!(
            crate::check::CHECKS.iter().any(|check| check.name == e.check),
            "no such check: {e:?}"
        );
    }
    let decisions = root().join("docs/decisions");
    assert_eq!(unfounded(&exemptions.all, |page| decisions.join(page).exists()), [""; 0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# comment\n\n- source: s\n  table: t\n  check: c\n  about: x.y\n  \
                        reason: because it\n    is so\n- source: s\n  table: u\n  check: c\n  \
                        reason: r\n  decision: page.md\n";

    #[test]
    fn the_file_is_a_list_of_mappings() {
        let all = parse(TEXT).unwrap();
        assert_eq!(all.len(), 2);
        let expected = Exemption {
            source: "s".into(),
            table: "t".into(),
            check: "c".into(),
            about: "x.y".into(),
            reason: "because it is so".into(),
            decision: None,
        };
        assert_eq!(all[0], expected);
        assert_eq!(all[1].decision.as_deref(), Some("page.md"));
        assert!(
            parse("- source: s\n  table: t\n  check: c\n").unwrap_err().contains("lacks 'reason'")
        );
        assert!(parse("- sauce: s\n").unwrap_err().contains("'sauce' is none of"));
    }

    #[test]
    fn an_exemption_covers_what_it_is_about_and_is_missed_if_unused() {
        let exemptions = Exemptions { all: parse(TEXT).unwrap(), used: Mutex::default() };
        let problems = vec!["x.y: null".to_owned(), "z: null".to_owned()];
        assert_eq!(exemptions.left("s", "t", "c", problems), ["z: null"]);
        let unused = exemptions.unused("s", |_| true);
        assert_eq!(unused.len(), 1);
        assert!(unused[0].contains("\"u\""), "{unused:?}");
        assert_eq!(exemptions.unused("s", |_| false), [""; 0]);
    }

    #[test]
    fn more_than_two_without_a_decision_are_too_many() {
        let one = parse(TEXT).unwrap().remove(0);
        let decided = Exemption { decision: Some("page.md".into()), ..one.clone() };
        assert_eq!(unfounded(&vec![one.clone(); 2], |_| true), [""; 0]);
        assert_eq!(unfounded(&[one.clone(), one.clone(), decided.clone()], |_| true), [""; 0]);
        assert_eq!(
            unfounded(&vec![one; 3], |_| true),
            ["s: 3 exemptions without a decision, at most 2"]
        );
        assert_eq!(unfounded(&[decided], |_| false), ["s: docs/decisions/page.md is missing"]);
    }
}
