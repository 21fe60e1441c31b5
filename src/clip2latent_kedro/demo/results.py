"""What the service returns to a page."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from clip2latent_kedro.demo.sessions import Drawing


@dataclass(frozen=True)
class Progress:
    """What has come of a request so far.

    Attributes:
        drawing: The pictures that are there.
        total: How many there will be.
        seconds: Since the request began.
        is_done: Whether these are all.
        words: What is being done.
    """

    drawing: Drawing
    total: int
    seconds: float
    is_done: bool
    words: str = ""


@dataclass(frozen=True)
class Edited:
    """A picture before and after.

    Attributes:
        before: uint8 [h, w, 3].
        after: The same; equal to `before` where nothing is changed.
        score_before: Cosine with what it should show; None where it is not known.
        score_after: Likewise, with that moved as the texts of the edits lead.
        record: All that the picture after depends on, as plain JSON.
        original: The picture that was inverted; None of others.
        words: What was changed, in a few words; empty for nothing.
    """

    before: np.ndarray
    after: np.ndarray
    score_before: float | None
    score_after: float | None
    record: dict[str, Any]
    original: np.ndarray | None
    words: str
