"""Reading a job's log: sections, markers, colours, and what a script printed between its marks."""

from __future__ import annotations

import re

MARKER = re.compile(rb"section_(start|end):(\d+):([A-Za-z0-9_.-]+)(\[[^\]]*\])?\r\x1b\[0K")
COLOUR = re.compile(rb"\x1b\[[0-9;]*[mK]")
ECHO = re.compile(rb"(?m)^\x1b\[32;1m\$ .*?\x1b\[0;m\n")

# A script line that puts `command`'s output between marks; the echo of the line does not hold the marks themselves.
BEGIN, END = b"@@BEGIN@@\n", b"@@END@@\n"


def marked(command: str) -> str:
    return f"printf '@@%s@@\\n' BEGIN; {command}; printf '@@%s@@\\n' END"


def between(trace: bytes) -> bytes:
    """What stands between the marks, byte for byte."""
    first = trace.find(BEGIN)
    last = trace.rfind(END)
    if first < 0 or last < 0:
        raise AssertionError(f"the marks are not in the log: {trace[-2000:]!r}")
    return trace[first + len(BEGIN):last]


def markers(trace: bytes) -> list[tuple[str, str, int]]:
    """(start or end, name, seconds) in order."""
    return [(m[1].decode(), m[3].decode(), int(m[2])) for m in MARKER.finditer(trace)]


def sections(trace: bytes) -> list[str]:
    return [name for kind, name, _ in markers(trace) if kind == "start"]


def section(trace: bytes, name: str) -> bytes:
    """A section's text without its title line; b"" when there is no such section."""
    start = re.search(rb"section_start:\d+:" + re.escape(name.encode()) + rb"(\[[^\]]*\])?\r\x1b\[0K", trace)
    if start is None:
        return b""
    end = re.compile(rb"section_end:\d+:" + re.escape(name.encode()) + rb"\r\x1b\[0K").search(trace, start.end())
    body = trace[start.end():end.start() if end else len(trace)]
    return body.partition(b"\n")[2]


def plain(trace: bytes) -> str:
    """As a person reads it: no markers, no colours."""
    return COLOUR.sub(b"", MARKER.sub(b"", trace)).decode(errors="replace")


def script_output(trace: bytes) -> str:
    """What the script printed: its section without echoed commands."""
    return COLOUR.sub(b"", ECHO.sub(b"", section(trace, "step_script"))).decode(errors="replace")


def comparable(trace: bytes) -> bytes:
    """Times of sections and of lines replaced by fixed ones: two runs may be compared."""
    trace = re.sub(rb"(section_(?:start|end):)\d+:", rb"\g<1>0:", trace)
    return re.sub(rb"(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z ", b"0000-00-00T00:00:00.000000Z ", trace)
