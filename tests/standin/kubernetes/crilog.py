"""A container's log file as containerd writes it and the kubelet rotates it.

One line of the file: `TIME STREAM TAG CONTENT`. TAG is F for a whole line and P for
a piece of one: lines over 16384 bytes are cut, an unterminated last line stays a P.
A CR before the LF is eaten. A line is written when its LF came, not before.
"""

import os
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

PIECE_BYTES = 16384
ROTATED_FILES_KEPT = 4


class Clock:
    """Times as containerd prints them: RFC 3339, nanoseconds without trailing zeros."""

    def __init__(self, offset_minutes=0):
        self._zone = timezone(timedelta(minutes=offset_minutes))
        sign = "-" if offset_minutes < 0 else "+"
        hours, minutes = divmod(abs(offset_minutes), 60)
        self._suffix = f"{sign}{hours:02}:{minutes:02}" if offset_minutes else "Z"
        self._second, self._text = None, ""

    def text(self, nanoseconds=None):
        nanoseconds = time.time_ns() if nanoseconds is None else nanoseconds
        second, rest = divmod(nanoseconds, 1_000_000_000)
        if second != self._second:
            when = datetime.fromtimestamp(second, self._zone)
            self._second, self._text = second, when.strftime("%Y-%m-%dT%H:%M:%S")
        fraction = f"{rest:09d}".rstrip("0")
        dot = "." if fraction else ""
        return f"{self._text}{dot}{fraction}{self._suffix}"


class Splitter:
    """Cuts one stream into the contents of log lines."""

    def __init__(self):
        self._held = b""

    def feed(self, data):
        """Yield (tag, content) for everything that is complete now."""
        lines = (self._held + data).split(b"\n")
        self._held = lines.pop()
        out = []
        for line in lines:
            if line.endswith(b"\r"):
                line = line[:-1]
            while len(line) > PIECE_BYTES:
                out.append((b"P", line[:PIECE_BYTES]))
                line = line[PIECE_BYTES:]
            out.append((b"F", line))
        while len(self._held) > PIECE_BYTES:
            out.append((b"P", self._held[:PIECE_BYTES]))
            self._held = self._held[PIECE_BYTES:]
        return out

    def finish(self):
        held, self._held = self._held, b""
        return [(b"P", held)] if held else []


class ContainerLog:
    """The log of one container instance.

    `listeners` are called with "write" or "create" when the newest file grew or a
    new one took its place. `damage`, when set, is asked about every chunk of output
    before it is cut into lines, `line_filter` about every line before it is written.
    """

    def __init__(self, folder, instance, clock):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / f"{instance}.log"
        self.listeners = []
        self.damage = None
        self.line_filter = None
        self.rotations = 0
        self.written_bytes = 0
        self.writing = True
        self._clock = clock
        self._splitters = {}
        self._fd = self._open()

    def _open(self):
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC,
                       0o640)

    def notify(self, what):
        for listener in list(self.listeners):
            listener(what)

    def feed(self, stream, data):
        if self.damage:
            data = self.damage.apply(data)
        splitter = self._splitters.setdefault(stream, Splitter())
        self._write(stream, splitter.feed(data))

    def finish(self, stream):
        splitter = self._splitters.pop(stream, None)
        if splitter:
            self._write(stream, splitter.finish())

    def _write(self, stream, pieces):
        if not pieces or self._fd is None:
            return
        name = stream.encode()
        lines = []
        for tag, content in pieces:
            prefix = self._clock.text().encode()
            line = b"%s %s %s %s\n" % (prefix, name, tag, content)
            if self.line_filter is None or self.line_filter.keeps(line):
                lines.append(line)
        if not lines:
            return
        text = b"".join(lines)
        view = memoryview(text)
        while view:
            view = view[os.write(self._fd, view):]
        self.written_bytes += len(text)
        self.notify("write")

    def size(self):
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def rename_away(self):
        """First half of a rotation: what is written now still goes to the old file."""
        suffix = datetime.now().strftime("%Y%m%d-%H%M%S") + f".{self.rotations}"
        self.path.rename(self.path.with_name(f"{self.path.name}.{suffix}"))
        self.rotations += 1

    def reopen(self):
        """Second half: the newest file begins empty."""
        if self._fd is None:
            return
        old, self._fd = self._fd, self._open()
        os.close(old)
        self._remove_old()
        self.notify("create")

    def rotate(self):
        self.rename_away()
        self.reopen()

    def _remove_old(self):
        rotated = sorted(self.folder.glob(f"{self.path.name}.*"))
        for path in rotated[:-ROTATED_FILES_KEPT]:
            path.unlink()

    def close(self):
        """No more output will come."""
        for stream in list(self._splitters):
            self.finish(stream)
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        self.writing = False
        self.notify("write")
