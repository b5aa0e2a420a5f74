import struct

import pytest
from library import Elf, main, newest_glibc


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        (["GLIBC_2.2.5", "GLIBC_2.17", "GLIBC_2.9"], (2, 17)),
        (["GLIBC_2.34", "GLIBC_PRIVATE", "GCC_3.0"], (2, 34)),
        ([], (0,)),
    ],
)
def test_the_newest_glibc_is_the_largest_number(versions, expected):
    assert newest_glibc(versions) == expected


def _elf(needed: list[str], versions: list[str]) -> bytes:
    """A file with the three sections that say what a library needs."""
    strings, places = b"\0", {}
    for text in (*needed, *versions):
        places[text] = len(strings)
        strings += text.encode() + b"\0"
    dynamic = b"".join(struct.pack("<QQ", 1, places[name]) for name in needed) + bytes(16)
    entries = [
        struct.pack("<IHHII", 0, 0, 0, places[name], 16 if index < len(versions) - 1 else 0)
        for index, name in enumerate(versions)
    ]
    needs = struct.pack("<HHIII", 1, len(versions), 0, 16, 0) + b"".join(entries)

    sections, body, start = [(0, 0, 0, 0)], b"", 64
    for kind, content, link in ((3, strings, 0), (6, dynamic, 1), (0x6FFFFFFE, needs, 1)):
        sections.append((kind, start + len(body), len(content), link))
        body += content
    table = b"".join(
        struct.pack("<IIQQQQIIQQ", 0, kind, 0, 0, offset, size, link, 0, 0, 0)
        for kind, offset, size, link in sections
    )
    header = b"\x7fELF\x02\x01" + bytes(0x28 - 6) + struct.pack("<Q", start + len(body))
    header += bytes(0x3A - len(header)) + struct.pack("<HHH", 64, len(sections), 1)

    return header + body + table


def test_needed_libraries_and_versions_are_read_from_the_file():
    elf = Elf(_elf(["libc.so.6", "libm.so.6"], ["GLIBC_2.17", "GLIBC_2.2.5"]))

    assert elf.needed_libraries() == ["libc.so.6", "libm.so.6"]
    assert elf.needed_versions() == ["GLIBC_2.17", "GLIBC_2.2.5"]


@pytest.mark.parametrize(
    ("needed", "versions", "message"),
    [
        (["libc.so.6"], ["GLIBC_2.32"], "needs glibc 2.32, at most 2.31 is allowed"),
        (["libc.so.6", "libssl.so.3"], ["GLIBC_2.17"], "libraries outside glibc: libssl.so.3"),
    ],
)
def test_a_library_that_does_not_load_everywhere_is_refused(tmp_path, needed, versions, message):
    path = tmp_path / "library.so"
    path.write_bytes(_elf(needed, versions))

    with pytest.raises(SystemExit, match=message):
        main(str(path), "2.31")


def test_a_library_that_loads_everywhere_is_described(tmp_path, capsys):
    path = tmp_path / "library.so"
    path.write_bytes(_elf(["libc.so.6"], ["GLIBC_2.31"]))

    main(str(path), "2.31")

    assert capsys.readouterr().out == "native library: needs glibc 2.31 (libc.so.6)\n"
