"""Checks what a native library asks of a machine: `library.py LIBRARY GLIBC`.

Prints the shared libraries and the glibc that it needs. Fails where it needs a glibc newer than
GLIBC, or a library outside glibc: the jar then would not load on every machine with that glibc.
"""

import re
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

#: The parts of glibc, which every machine of the platform has.
OF_GLIBC = re.compile(r"^(libc|libm|libdl|libpthread|librt|ld-linux-[a-z0-9_-]+)\.so\.\d+$")

_DYNAMIC, _VERSION_NEEDED = 6, 0x6FFFFFFE
_DT_NULL, _DT_NEEDED = 0, 1


@dataclass(frozen=True)
class Section:
    """One section header of an ELF file: only what is used here."""

    kind: int
    offset: int
    size: int
    link: int


class Elf:
    """A 64-bit little-endian ELF file."""

    def __init__(self, data: bytes):
        if data[:6] != b"\x7fELF\x02\x01":
            raise ValueError("not a 64-bit little-endian ELF file")
        self.data = data
        (table,) = struct.unpack_from("<Q", data, 0x28)
        size, count = struct.unpack_from("<HH", data, 0x3A)
        self.sections = [self._section(table + index * size) for index in range(count)]

    def _section(self, at: int) -> Section:
        _, kind, _, _, offset, size, link = struct.unpack_from("<IIQQQQI", self.data, at)

        return Section(kind, offset, size, link)

    def _text(self, table: Section, at: int) -> str:
        start = table.offset + at

        return self.data[start : self.data.index(b"\0", start)].decode()

    def needed_libraries(self) -> list[str]:
        """The libraries that the loader looks for, in their order."""
        found = []
        for section in (s for s in self.sections if s.kind == _DYNAMIC):
            for at in range(section.offset, section.offset + section.size, 16):
                tag, value = struct.unpack_from("<QQ", self.data, at)
                if tag == _DT_NULL:
                    break
                if tag == _DT_NEEDED:
                    found.append(self._text(self.sections[section.link], value))

        return found

    def needed_versions(self) -> list[str]:
        """The symbol versions, such as `GLIBC_2.17`, that these libraries must have; sorted."""
        found = set()
        for section in (s for s in self.sections if s.kind == _VERSION_NEEDED):
            strings, at = self.sections[section.link], section.offset
            while True:
                _, count, _, first, following = struct.unpack_from("<HHIII", self.data, at)
                entry = at + first
                for _ in range(count):
                    _, _, _, name, step = struct.unpack_from("<IHHII", self.data, entry)
                    found.add(self._text(strings, name))
                    entry += step
                if not following:
                    break
                at += following

        return sorted(found)


def newest_glibc(versions: list[str]) -> tuple[int, ...]:
    """The newest glibc among the symbol versions."""
    numbers = [v.removeprefix("GLIBC_") for v in versions if re.match(r"^GLIBC_[\d.]+$", v)]

    return max((tuple(map(int, number.split("."))) for number in numbers), default=(0,))


def main(path: str, limit: str) -> None:
    elf = Elf(Path(path).read_bytes())
    libraries, newest = elf.needed_libraries(), newest_glibc(elf.needed_versions())
    text = ".".join(map(str, newest))
    foreign = [name for name in libraries if not OF_GLIBC.match(name)]
    if foreign:
        sys.exit(f"{path} needs libraries outside glibc: {', '.join(foreign)}")
    if newest > tuple(map(int, limit.split("."))):
        sys.exit(f"{path} needs glibc {text}, at most {limit} is allowed")
    print(f"native library: needs glibc {text} ({', '.join(libraries)})")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
