"""What is kept of each visitor, within bounds.

A session is found by a name that nobody else knows. What it keeps is replaced as a
whole, never changed, so that what one request reads stays as it was.
"""

import itertools
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor

from clip2latent_kedro.demo.limits import Limits
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import Source

_numbers = itertools.count(1)


def next_number() -> int:
    """Return a number that no drawing of this process has had."""
    return next(_numbers)


@dataclass(frozen=True)
class Drawing:
    """Pictures of one request, those that have come so far.

    Attributes:
        number: Differs from that of every other drawing.
        source: Latents of n pictures, and what they were drawn from.
        direction: What they should show in the encoder's space, [clip_dim]; None of a
            picture that was inverted.
        images: uint8 [h, w, 3] each, in the order in which they are shown.
        samples: Of each, its row in `source`: the number of the sample.
        scores: Of each; None where there is nothing to score by.
        record: All that the pictures depend on, as plain JSON (see `records`).
        original: The picture that was inverted, uint8 [h, w, 3]; None of others.
    """

    number: int
    source: Source
    direction: Tensor | None
    images: Sequence[np.ndarray]
    samples: Sequence[int]
    scores: Sequence[float] | None
    record: Mapping[str, Any]
    original: np.ndarray | None = None

    @property
    def num_bytes(self) -> int:
        """Memory that it takes."""
        tensors = (
            self.source.latents.w,
            self.source.latents.style_offset,
            self.source.condition,
            self.source.x_T,
            self.direction,
        )
        of_tensors = sum(t.nbytes for t in tensors if t is not None)
        original = 0 if self.original is None else self.original.nbytes
        return of_tensors + original + sum(image.nbytes for image in self.images)


@dataclass(frozen=True)
class Session:
    """What is kept of one visitor.

    Attributes:
        drawing: The last one; None before the first.
        picture: What was brought, uint8 [side, side, 3]; None for nothing.
        digest: SHA-256 (hex) of the file that it came in.
    """

    drawing: Drawing | None = None
    picture: np.ndarray | None = None
    digest: str = ""

    @property
    def num_bytes(self) -> int:
        """Memory that it takes."""
        of_drawing = 0 if self.drawing is None else self.drawing.num_bytes
        return of_drawing + (0 if self.picture is None else self.picture.nbytes)


class Sessions:
    """Sessions by name; the one that has been away longest is forgotten first."""

    def __init__(self, limits: Limits) -> None:
        """Start with none."""
        self._limits = limits
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Session] = OrderedDict()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._kept)

    @property
    def num_bytes(self) -> int:
        """Memory that all of them take."""
        with self._lock:
            return sum(session.num_bytes for session in self._kept.values())

    def find(self, name: str) -> Session:
        """Return a session, an empty one if it is not known."""
        with self._lock:
            if name not in self._kept:
                return Session()
            self._kept.move_to_end(name)
            return self._kept[name]

    def store(self, name: str, **changes: Any) -> None:
        """Change a session, and forget others if that is too much to keep."""
        with self._lock:
            session = replace(self._kept.get(name, Session()), **changes)
            self._kept[name] = session
            self._kept.move_to_end(name)
            total = sum(each.num_bytes for each in self._kept.values())
            while len(self._kept) > 1 and (
                len(self._kept) > self._limits.sessions
                or total > self._limits.session_bytes
            ):
                _, forgotten = self._kept.popitem(last=False)
                total -= forgotten.num_bytes

    def forget(self, name: str) -> None:
        """Forget a session, if it is known."""
        with self._lock:
            self._kept.pop(name, None)

    def find_drawing(self, name: str, number: int) -> Drawing:
        """Return the drawing of a session by its number.

        Raises:
            InputError: If it is not, or no longer, the session's.
        """
        drawing = self.find(name).drawing
        if drawing is None or drawing.number != number:
            msg = (
                "These pictures are no longer kept here. Draw them again: the same "
                "seed gives the same ones."
            )
            raise InputError(msg)
        return drawing
