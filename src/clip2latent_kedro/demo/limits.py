"""What one request may ask for, and how much is kept of those before."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval

from clip2latent_kedro.checked import Checked, PositiveInt
from clip2latent_kedro.errors import InputError


@dataclass(frozen=True)
class Limits(Checked):
    """Bounds of the demo; the defaults suit a machine of few cores.

    Attributes:
        images: Pictures of one request.
        text: Characters of one text.
        parts: Texts of one weighted prompt.
        steps: Denoising steps.
        evaluations: Steps times pictures of one request.
        upload_bytes: Of a file that is brought.
        upload_pixels: Of the picture in it.
        stored_bytes: Of all files that are brought within ten minutes.
        inversion_steps: Steps from a picture to its w.
        sessions: Visitors whose pictures are kept; the one that has been away longest
            is forgotten first.
        session_bytes: Memory of what is kept of all of them together.
        waiting: Requests that may wait for their turn.
        wait_seconds: That one of them waits at most.
    """

    images: Annotated[int, Interval(ge=1, le=64)] = 16
    text: Annotated[int, Interval(ge=1, le=5000)] = 300
    parts: Annotated[int, Interval(ge=1, le=64)] = 8
    steps: PositiveInt = 1000
    evaluations: PositiveInt = 4000
    upload_bytes: PositiveInt = 8 * 2**20
    upload_pixels: PositiveInt = 16_000_000
    stored_bytes: PositiveInt = 512 * 2**20
    inversion_steps: PositiveInt = 100
    sessions: PositiveInt = 64
    session_bytes: PositiveInt = 512 * 2**20
    waiting: PositiveInt = 32
    wait_seconds: PositiveInt = 60


class Turn:
    """Lets one request compute at a time, and a bounded number wait for it."""

    def __init__(self, limits: Limits) -> None:
        """Take the bounds from the limits."""
        self._limits = limits
        self._places = threading.BoundedSemaphore(limits.waiting + 1)
        self._computing = threading.Lock()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for the turn, and have it until the end of the block.

        Raises:
            InputError: If too many wait already, or it takes too long.
        """
        busy = "The demo is busy with the requests of others. Try again in a moment."
        if not self._places.acquire(blocking=False):
            raise InputError(busy)
        try:
            if not self._computing.acquire(timeout=self._limits.wait_seconds):
                raise InputError(busy)
            try:
                yield
            finally:
                self._computing.release()
        finally:
            self._places.release()
