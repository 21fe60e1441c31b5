"""Batches that become smaller where memory does not hold them."""

import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from clip2latent_kedro.runtime import is_out_of_memory

Result = TypeVar("Result")

logger = logging.getLogger(__name__)


def map_batches(
    call: Callable[[Tensor], Result], rows: Tensor, batch_size: int, *, setting: str
) -> Iterator[Result]:
    """Yield what a function returns of each batch, in order.

    If memory runs out the batch is halved, down to one row, and so are those that
    follow; a warning says so once for each halving. What is computed of a row depends
    on the size of its batch by rounding at most.

    Args:
        call: Of a batch; what it has done when memory runs out must not matter.
        rows: [n, ...], split along the first axis.
        batch_size: Rows of a batch, 1 or more.
        setting: The setting that says so, for the warning.

    Raises:
        Exception: What the function raises, out of memory included if a single row
            does not fit.
    """
    first = 0
    while first < len(rows):
        batch = rows[first : first + batch_size]
        try:
            result = call(batch)
        except (RuntimeError, MemoryError) as error:
            if len(batch) == 1 or not is_out_of_memory(error):
                raise
        else:
            yield result
            first += len(batch)
            continue
        # Here, where the failure and all that it holds are gone.
        batch_size = len(batch) // 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        logger.warning(
            "Memory ran out: going on with %d at a time. Lower %s to begin there.",
            batch_size,
            setting,
        )
