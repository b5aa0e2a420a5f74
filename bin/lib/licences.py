"""Lists the third-party code in the native libraries with its licences: `licences.py TARGET`.

Fails where a licence is not approved below, where a crate comes from elsewhere than crates.io, or
where no licence text can be given.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

#: What may be part of an Apache-2.0 binary without further duties than keeping the texts.
APPROVED = {
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
}
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"
SHIPPED = ("lakeflow-jni", "lakeflow-python")
TEXT_NAMES = re.compile(r"(?i)^(un)?licen[cs]e|^copying|^notice")

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str) -> str:
    """The standard output of a command that must succeed."""
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def alternatives(expression: str) -> list[str]:
    """Splits an SPDX expression at its outermost OR; the old `A/B` means the same."""
    tokens = re.findall(r"[()]|[^\s()/]+|/", expression)
    parts, depth = [[]], 0
    for token in tokens:
        depth += (token == "(") - (token == ")")
        if depth == 0 and token in ("OR", "/"):
            parts.append([])
        else:
            parts[-1].append(token)

    return [" ".join(part) for part in parts]


def approved(expression: str) -> bool:
    """Whether some choice that `expression` leaves is approved in all its parts."""

    def all_parts(text: str) -> bool:
        depth, terms, words = 0, [], []
        for word in text.split():
            depth += (word == "(") - (word == ")")
            if depth == 0 and word == "AND":
                terms.append(words)
                words = []
            else:
                words.append(word)
        terms.append(words)

        return all(one(term) for term in terms)

    def one(words: list[str]) -> bool:
        if words[:1] == ["("] and words[-1:] == [")"]:
            return approved(" ".join(words[1:-1]))

        return " ".join(words) in APPROVED

    return any(all_parts(choice) for choice in alternatives(expression))


def shipped_packages(metadata: dict) -> list[dict]:
    """The registry's packages that are linked into a library, sorted by name and version.

    Macros run in the compiler and are not linked; build and test dependencies neither.
    """
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    pending = [key for key, package in packages.items() if package["name"] in SHIPPED]
    seen = set()
    while pending:
        key = pending.pop()
        macro = any("proc-macro" in target["kind"] for target in packages[key]["targets"])
        if key in seen or macro:
            continue
        seen.add(key)
        for dependency in nodes[key]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                pending.append(dependency["pkg"])
    found = [packages[key] for key in seen if packages[key]["source"]]

    return sorted(found, key=lambda package: (package["name"], package["version"]))


def texts(folder: Path) -> list[str]:
    """The licence texts that lie in a package's folder."""
    names = sorted(name for name in os.listdir(folder) if TEXT_NAMES.search(name))

    return [
        (folder / name).read_text(errors="replace").strip()
        for name in names
        if (folder / name).is_file()
    ]


def toolchain() -> list[tuple[str, str, list[str]]]:
    """What compiler and linker add: title, licence, texts."""
    version = run("rustc", "--version").split()[1]
    apache = (ROOT / "LICENSE").read_text().strip()
    docs = Path(run("rustc", "--print", "sysroot").strip()) / "share/doc/rust/licenses"
    named = [docs / f"{name}.txt" for name in ("Apache-2.0", "MIT")]
    std = [path.read_text().strip() for path in named if path.is_file()] or [apache]
    added = [(f"Rust standard library {version}", "MIT OR Apache-2.0", std)]
    for path in Path(os.environ["LAKEFLOW_TOOLS"]).glob(
        "lib/python3*/site-packages/ziglang/lib/libunwind/LICENSE.TXT"
    ):
        text = [path.read_text(errors="replace").strip()]
        added.append(("LLVM libunwind", "Apache-2.0 WITH LLVM-exception", text))

    return added


def entries() -> tuple[list[tuple[str, str, list[str]]], list[str]]:
    """Everything linked into the library, and what is wrong with it."""
    host = re.search(r"^host: (.*)$", run("rustc", "-vV"), re.MULTILINE)[1]
    metadata = json.loads(
        run("cargo", "metadata", "--format-version=1", "--locked", f"--filter-platform={host}")
    )
    apache = (ROOT / "LICENSE").read_text().strip()
    listed, problems = [], []
    for package in shipped_packages(metadata):
        title = f"{package['name']} {package['version']}"
        licence = package["license"] or ""
        if package["source"] != REGISTRY:
            problems.append(f"{title} does not come from crates.io but from {package['source']}")
        if not approved(licence):
            problems.append(f"{title} has licence {licence or 'none'!r}, which is not approved")
        found = texts(Path(package["manifest_path"]).parent)
        if not found and "Apache-2.0" in alternatives(licence):
            found = [apache]
        if not found:
            problems.append(f"{title} ({licence}) carries no licence text")
        listed.append((f"{title}  {package['repository'] or ''}".rstrip(), licence, found))

    return toolchain() + listed, problems


def render(listed: list[tuple[str, str, list[str]]]) -> str:
    """The list, then each text once with the names it belongs to."""
    owners: dict[str, list[str]] = {}
    for title, _, found in listed:
        for text in found:
            owners.setdefault(text, []).append(title.split("  ")[0])
    lines = ["The native libraries of lakeflow-connect contain the following software.", ""]
    lines += [f"- {title}\n  {licence}" for title, licence, _ in listed]
    for text, names in owners.items():
        lines += ["", "=" * 80, ", ".join(names), "-" * 80, "", text]

    return "\n".join(lines) + "\n"


def main(target: str) -> None:
    listed, problems = entries()
    if problems:
        sys.exit("\n".join(problems))
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    Path(target).write_text(render(listed))
    print(f"{len(listed)} pieces of third-party software, all licences approved")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
