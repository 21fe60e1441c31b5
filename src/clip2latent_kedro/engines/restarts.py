"""What both engines do when a worker dies, and how much they give out at a time."""

import logging

from clip2latent_kedro.errors import InputError

logger = logging.getLogger(__name__)


class Restarts:
    """Counts how often a case has been begun again because its worker died."""

    def __init__(self, most: int) -> None:
        """Begin with none; each case may be begun again so often."""
        self._most = most
        self._counts: dict[int, int] = {}

    def count(self, number: int, error: Exception) -> None:
        """Tell that a worker has died.

        Args:
            number: The case that it was at.
            error: What told of it.

        Raises:
            InputError: If the case may not be begun again.
        """
        self._counts[number] = times = self._counts.get(number, 0) + 1
        if times > self._most:
            lines = [line for line in str(error).splitlines() if line.strip()]
            reason = (lines or [type(error).__name__])[-1].strip()[:200]
            msg = (
                f"{times} workers died at the same work, and max_restarts allows "
                f"{self._most} (the last: {reason}). If memory ran out, use fewer "
                f"workers or smaller batches; or raise max_restarts."
            )
            raise InputError(msg) from error
        logger.warning("A worker has died: what it had begun is begun again.")


def most_begun(num_workers: int) -> int:
    """Return how many cases are given out at a time: a worker never waits for one."""
    return num_workers + (num_workers + 1) // 2
