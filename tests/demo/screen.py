"""What the demo prints: job logs as they arrive, and the summary. Colours only on a terminal."""

from __future__ import annotations

import os
import re
import sys
import threading

MARKER = re.compile(rb"section_(?:start|end):\d+:[A-Za-z0-9_.-]+(?:\[[^\]]*\])?\r\x1b\[0K")
COLOUR = re.compile(rb"\x1b\[[0-9;]*[mK]")
BOLD, DIM, GREEN, RED, CYAN, RESET = "1", "2", "32", "31", "36", "0"


class Screen:
    """One writer for all; lines of jobs that run side by side carry the job's name."""

    def __init__(self, out=None) -> None:
        self.out = out or sys.stdout
        self.colours = self.out.isatty() and "NO_COLOR" not in os.environ
        self._lock = threading.Lock()

    def paint(self, text: str, *codes: str) -> str:
        return f"\x1b[{';'.join(codes)}m{text}\x1b[{RESET}m" if self.colours and codes else text

    def say(self, text: str = "", *codes: str) -> None:
        with self._lock:
            self.out.write(self.paint(text, *codes) + "\n")
            self.out.flush()

    def title(self, text: str) -> None:
        self.say()
        self.say(f"== {text} " + "=" * max(0, 90 - len(text)), BOLD)

    def raw(self, data: bytes) -> None:
        """A log as a terminal shows it; without a terminal markers and colours are left out."""
        if not self.colours:
            data = COLOUR.sub(b"", MARKER.sub(b"", data))
        with self._lock:
            self.out.flush()
            getattr(self.out, "buffer", None).write(data)
            self.out.flush()

    def table(self, rows: list[list[str]]) -> None:
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        for number, row in enumerate(rows):
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
            self.say("  " + line, *([DIM] if number == 0 else []))


class Tail:
    """Follows one job's log at DataOps and shows it while it grows."""

    def __init__(self, screen: Screen, dataops, job_id: int, prefix: str = "") -> None:
        self.screen, self.dataops, self.job_id, self.prefix = screen, dataops, job_id, prefix
        self.data = b""
        self._shown = 0

    def follow(self, deadline: float, clock) -> str:
        """Until the job has its final state or the time is up; gives the state."""
        while True:
            more, state = self.dataops.trace(self.job_id, len(self.data), 2)
            self.data += more
            final = state in ("success", "failed", "canceled", "skipped")
            self._show(final and not more)
            if (final and not more) or clock() > deadline:
                return state

    def _show(self, all_of_it: bool) -> None:
        if not self.prefix:
            piece = self.data[self._shown:]
            hold = b"" if all_of_it else self._unfinished(piece)
            piece = piece[:len(piece) - len(hold)]
        else:
            end = len(self.data) if all_of_it else self.data.rfind(b"\n") + 1
            piece = self.data[self._shown:end]
        self._shown += len(piece)
        if self.prefix and piece:
            text = COLOUR.sub(b"", MARKER.sub(b"", piece))
            head = self.screen.paint(self.prefix, CYAN).encode()
            piece = b"".join(head + line.rsplit(b"\r", 1)[-1] + b"\n" for line in text.splitlines() if line.strip())
        if piece:
            self.screen.raw(piece)

    @staticmethod
    def _unfinished(piece: bytes) -> bytes:
        """A marker or a colour that has come only in part waits for its rest."""
        found = re.search(rb"(section_(?:start|end):[^\r]*\r?(?:\x1b\[?0?)?|\x1b\[?[0-9;]*|sect?i?o?n?_?)$", piece)
        return found[0] if found and not MARKER.search(found[0]) else b""
