"""Holds the table "Demands" of each page in docs/connectors against the tests of the tree.

Run by `bin/docs`. A page has a section `## Demands` with a table `| demand | state | by |`. The
state is `met`, and then the last column names tests; `refuted`, and then it gives the source; or
`deferred`, and then the reason. Tests are written as `name` or `path/of/file.rs::name`.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STATES = ("met", "refuted", "deferred")
SECTION = re.compile(r"^## Demands\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
HEAD = ["demand", "state", "by"]
NAME = re.compile(r"`((?:[\w./-]+::)?\w+)`")

# By the end of a file's name: how it declares a test.
TESTS = {
    ".rs": re.compile(
        r"#\[(?:tokio::)?test(?:\([^)]*\))?\]\s*(?:#\[[^\]]*\]\s*)*(?:async )?fn (\w+)"
        # A check of the conformance suite, which runs for every table.
        r"|^pub async fn (\w+)\(bench: Bench\)",
        re.MULTILINE,
    ),
    ".py": re.compile(r"^\s*def (test_\w+)", re.MULTILINE),
    ".java": re.compile(r"@Test\s+(?:@\w+(?:\([^)]*\))?\s+)*(?:public )?void (\w+)"),
}
FOLDERS = ("rust", "jvm/src/test", "tests", "bin/lib")


def names_in(text: str, suffix: str) -> set[str]:
    """Names of the tests that a file declares."""
    return {next(filter(None, match.groups())) for match in TESTS[suffix].finditer(text)}


def tests_below(root: Path) -> dict[str, set[str]]:
    """The files that declare a test, by its name."""
    found: dict[str, set[str]] = {}
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in TESTS and path.is_file():
                for name in names_in(path.read_text(), path.suffix):
                    found.setdefault(name, set()).add(path.relative_to(root).as_posix())

    return found


def rows(page: str) -> list[list[str]] | None:
    """Cells of the table "Demands", its head first; none if the page has no such section."""
    if not (section := SECTION.search(page)):
        return None
    lines = [line for line in section[1].splitlines() if line.startswith("|")]
    cells = [re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in lines]

    return [[cell.strip() for cell in row] for row in cells]


def problems(page: str, tests: dict[str, set[str]]) -> list[str]:
    """What is wrong with the demands of a page."""
    table = rows(page)
    if not table or table[0] != HEAD or len(table) < 3:
        return ["lacks a section '## Demands' with a table | demand | state | by |"]
    found = []
    for row in table[2:]:
        if len(row) != 3 or not all(row):
            found.append(f"a row without three cells: {' | '.join(row)}")
            continue
        demand, state, by = row
        named = NAME.findall(by)
        if state not in STATES:
            found.append(f"'{demand}': the state is one of {', '.join(STATES)}, not '{state}'")
        elif state == "met" and not named:
            found.append(f"'{demand}': no test is named")
        elif state == "met":
            missing = [name for name in named if not exists(name, tests)]
            found += [f"'{demand}': there is no test '{name}'" for name in missing]

    return found


def exists(named: str, tests: dict[str, set[str]]) -> bool:
    path, _, name = named.rpartition("::")

    return path in tests.get(name, set()) if path else name in tests


def main() -> None:
    tests = tests_below(ROOT)
    pages = sorted((ROOT / "docs/connectors").glob("*.md"))
    found = [
        f"docs/connectors/{page.name}: {p}"
        for page in pages
        for p in problems(page.read_text(), tests)
    ]
    if found:
        sys.exit("\n".join(found))
    print(f"the tests that {len(pages)} pages of connectors name exist")


if __name__ == "__main__":
    main()
