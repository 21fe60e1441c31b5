"""What a report consists of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from clip2latent_kedro.study.cells import RowName, Table


@dataclass(frozen=True)
class Point:
    """An item of a list.

    Attributes:
        lead: Stands before it in bold.
        text: What it says.
        rows: Rows of tables that it is about.
        verdict: A word for what it comes to, which its colour goes by; "" for none.
    """

    lead: str
    text: str
    rows: Sequence[RowName] = ()
    verdict: str = ""


@dataclass(frozen=True)
class Section:
    """A part of a report under a heading of its own.

    Attributes:
        heading: What it is about.
        paragraphs: To read first.
        points: Of a list.
        charts: By what they show, uint8 [h, w, 3]; Markdown goes without.
        tables: One without rows is passed over, and by Markdown one of pictures.
        code: Text to be copied as it stands; "" for none.
        language: Of the code.
    """

    heading: str
    paragraphs: Sequence[str] = ()
    points: Sequence[Point] = ()
    charts: Mapping[str, np.ndarray] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    code: str = ""
    language: str = ""

    def __bool__(self) -> bool:
        """Return whether there is anything to see but paragraphs."""
        return bool(self.points or self.charts or any(self.tables) or self.code)
