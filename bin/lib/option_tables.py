"""Writes the option tables of docs/ from the declared options, read as JSON from standard input.

With `--check` it writes nothing and fails where a page is stale. An option on no page is an
error either way.
"""

import json
import re
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"(<!-- options: ([a-z_ ]+) -->\n)(.*?)(<!-- end of options -->)", re.DOTALL)


def groups(declared: dict) -> dict[str, list[dict]]:
    """The options by the name that pages use: `framework`, `virtual`, `github table`."""
    named = {part: declared[part] for part in ("framework", "virtual")}
    for source, parts in declared["sources"].items():
        named |= {f"{source} {part}": options for part, options in parts.items()}

    return named


def default(option: dict) -> str:
    if option["required"]:
        return "required"

    return "" if option["default"] is None else f"`{option['default']}`"


def meaning(option: dict) -> str:
    """The sentence for users, with what else is to know."""
    text = option["doc"]
    if option["role"] == "identity":
        text += " *Identity.*"
    if option["role"] == "secret":
        text += " *Secret.*"
    if option["destination"]:
        text += " *Destination.*"
    if option["tables"]:
        text += " Tables: " + ", ".join(f"`{name}`" for name in option["tables"]) + "."
    if option["aliases"]:
        text += " Also: " + ", ".join(f"`{name}`" for name in option["aliases"]) + "."

    return text


def table(options: list[dict]) -> str:
    rows = [
        f"| `{option['name']}` | {option['values']} | {default(option)} | {meaning(option)} |\n"
        for option in options
    ]

    return "".join(["| option | value | default | meaning |\n", "|---|---|---|---|\n", *rows])


def render(page: str, named: dict[str, list[dict]]) -> str:
    """The page with each of its tables written again.

    Raises:
        KeyError: a table of options that do not exist.
    """
    return BLOCK.sub(lambda match: match[1] + table(named[match[2]]) + match[4], page)


def undocumented(named: dict[str, list[dict]], used: set[str]) -> list[str]:
    """Groups that no page shows. The kit's options, equal for several sources, are shown once."""
    shown = [named[name] for name in used]

    return [name for name, options in named.items() if options and options not in shown]


def main(check: bool) -> None:
    declared = json.load(sys.stdin)
    named, used, stale = groups(declared), set(), []
    for path in sorted(DOCS.rglob("*.md")):
        former = path.read_text()
        used |= {match[2] for match in BLOCK.finditer(former)}
        page = render(former, named)
        if page == former:
            continue
        stale.append(str(path.relative_to(DOCS.parent)))
        if not check:
            path.write_text(page)
    if missing := undocumented(named, used):
        sys.exit(f"no page of docs/ shows these options: {', '.join(missing)}")
    if stale and check:
        sys.exit(f"stale, run bin/docs: {', '.join(stale)}")
    print(f"wrote {', '.join(stale)}" if stale else "the option tables are up to date")


if __name__ == "__main__":
    main(check=sys.argv[1:] == ["--check"])
