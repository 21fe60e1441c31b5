"""Tables as values: each cell has its text for people, and the numbers behind it.

Markdown shows the text alone. A page sorts by the value, draws the interval to the
scale of its column, and shows the picture.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from clip2latent_kedro.metrics.bootstrap import Interval

RowName = tuple[str, str]  # the anchor of a table, and the label of one of its rows
LOG_FROM = 50  # ratio of the ends of a scale of positive values that goes in powers
_NUMBER = re.compile(r"[+-]?\d[\d,]*(\.\d+)?(e[+-]?\d+)?(?= s$|$)")


@dataclass(frozen=True)
class Picture:
    """A picture to look at closely.

    Attributes:
        pixels: uint8 [h, w, 3].
        shows: What it shows, in a phrase.
        facts: What is known of it, such as its prompt, seed and scores.
        is_chart: Whether it is a drawing, to be kept sharp at its full size.
    """

    pixels: np.ndarray
    shows: str
    facts: Mapping[str, str] = field(default_factory=dict)
    is_chart: bool = False


@dataclass(frozen=True)
class Cell:
    """One place of a table.

    Attributes:
        text: What it says.
        note: How sure or of what that is: an interval, a spread, a number of runs.
        value: The number that it is sorted by; None for one that is a text.
        low: Lower end of the value's interval; None without one.
        high: Upper end, likewise.
        link: The row of a table that the text is about; None for none.
        picture: Shown in place of the text; None for none.
    """

    text: str = ""
    note: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    link: RowName | None = None
    picture: Picture | None = None

    def __str__(self) -> str:
        """Return text and note in one line."""
        return f"{self.text} {self.note}".strip()


@dataclass(frozen=True)
class Column:
    """What stands above a column.

    Attributes:
        title: Its name, with the unit of what has one.
        meaning: What the numbers are, in a sentence; "" where the title says it.
        has_zero: Whether its scale must reach 0, as that of differences.
    """

    title: str
    meaning: str = ""
    has_zero: bool = False


@dataclass(frozen=True)
class Scale:
    """What all bars of a column are drawn to.

    Attributes:
        low: Its left end.
        high: Its right end, above the other.
        is_log: Whether it goes in powers.
    """

    low: float
    high: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """Return where a value is: 0 at the left end, 1 at the right one or beyond."""
        at, low, high = value, self.low, self.high
        if self.is_log:
            at, low, high = (math.log(max(v, self.low)) for v in (at, low, high))
        return min(1.0, max(0.0, (at - low) / (high - low)))


@dataclass(frozen=True)
class Table:
    """Rows of cells below their columns.

    Attributes:
        caption: What it shows, in a phrase.
        columns: The first names the rows.
        rows: Of as many cells each.
        anchor: What rows are linked by, together with their first cell; "" for a
            table that nothing links to.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    anchor: str = ""

    def __bool__(self) -> bool:
        """Return whether it has a row."""
        return bool(self.rows)

    @property
    def has_pictures(self) -> bool:
        """Whether any cell is a picture."""
        return any(cell.picture is not None for row in self.rows for cell in row)

    def texts(self) -> list[list[str]]:
        """Return the table as text, the header first."""
        header = [column.title for column in self.columns]
        return [header, *([str(cell) for cell in row] for row in self.rows)]

    def find_scale(self, column: int) -> Scale | None:
        """Return what the intervals of a column are drawn to.

        Args:
            column: Its number.

        Returns:
            From the lowest to the highest of all finite values and ends, and to 0
            where the column must have it; None without an interval, or a range.
        """
        cells = [row[column] for row in self.rows]
        if all(cell.low is None for cell in cells):
            return None
        every = [v for cell in cells for v in (cell.value, cell.low, cell.high)]
        ends = [v for v in every if v is not None and math.isfinite(v)]
        if self.columns[column].has_zero:
            ends.append(0.0)
        low, high = min(ends, default=0.0), max(ends, default=0.0)
        if not low < high:
            return None
        return Scale(low, high, is_log=low > 0 and high / low >= LOG_FROM)


def text_table(
    caption: str,
    header: Sequence[str],
    rows: Iterable[Sequence[str | Cell]],
    *,
    anchor: str = "",
) -> Table:
    """Return a table of texts; those that are numbers are sorted as such.

    Args:
        caption: What it shows, in a phrase.
        header: A title for each column.
        rows: Of as many texts or cells each.
        anchor: See `Table`.
    """
    cells = [
        [cell if isinstance(cell, Cell) else read_cell(cell) for cell in row]
        for row in rows
    ]
    return Table(caption, [Column(title) for title in header], cells, anchor)


def read_cell(text: str) -> Cell:
    """Return the cell of a text, with its value if it is a number or seconds."""
    found = _NUMBER.match(text)
    value = float(found.group().replace(",", "")) if found else None
    return Cell(text, value=value)


def number_cell(value: float, spec: str, note: str = "") -> Cell:
    """Return the cell of a number without an interval.

    Args:
        value: The number.
        spec: How it is written, such as `.3f`.
        note: What stands behind it.
    """
    return Cell(f"{value:{spec}}", note, value=float(value))


def interval_cell(interval: Interval, spec: str) -> Cell:
    """Return the cell of a mean with its interval.

    Args:
        interval: Mean and ends.
        spec: How each is written, such as `.3f`.
    """
    mean, low, high = interval.mean, interval.low, interval.high
    note = f"[{low:{spec}}, {high:{spec}}]"
    return Cell(f"{mean:{spec}}", note, float(mean), float(low), float(high))


def markdown_table(table: Table) -> str:
    """Return a table as Markdown, without its caption and pictures."""
    header, *rows = (
        f"| {' | '.join(text.replace('|', '/') for text in row)} |"
        for row in table.texts()
    )
    rule = "|" + " --- |" * len(table.columns)
    return "\n".join([header, rule, *rows]) + "\n"
