"""Rows, their budgets, and how they are shown."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field


@dataclass
class Row:
    """One measured quantity. `budget` None: shown, not judged. The median is judged."""

    what: str
    unit: str
    samples: list[float]
    budget: float | None = None
    of: str = ""  # where the budget comes from, when it is no plain number
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def kept(self) -> bool | None:
        return None if self.budget is None else self.median <= self.budget

    def cells(self) -> list[str]:
        low, high = min(self.samples), max(self.samples)
        spread = f"{number(low)} to {number(high)}" if len(self.samples) > 1 else ""
        budget = "-" if self.budget is None else f"{number(self.budget)} {self.unit}" + (f" ({self.of})" if self.of else "")
        verdict = {None: "", True: "kept", False: "MISSED"}[self.kept]
        return [self.what, f"{number(self.median)} {self.unit}", spread, str(len(self.samples)), budget, verdict]


def number(value: float) -> str:
    """Three digits that mean something."""
    if value < 0:
        return "-" + number(-value)
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


HEAD = ["what", "median", "least to most", "n", "budget", ""]


@dataclass
class Table:
    rows: list[Row] = field(default_factory=list)

    def add(self, row: Row) -> None:
        self.rows.append(row)
        print("  " + "  ".join(cell for cell in [*row.cells(), row.note] if cell), flush=True)

    def plain(self) -> str:
        cells = [HEAD, *[row.cells() for row in self.rows]]
        widths = [max(len(line[i]) for line in cells) for i in range(len(HEAD))]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in cells)

    def markdown(self) -> str:
        out = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
        out += ["| " + " | ".join(row.cells()) + " |" for row in self.rows]
        return "\n".join(out)

    def notes(self) -> list[str]:
        return [f"{row.what}: {row.note}" for row in self.rows if row.note]

    def missed(self) -> list[Row]:
        return [row for row in self.rows if row.kept is False]
