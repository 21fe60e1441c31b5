"""The progress bar of everything that takes long."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(
    description: str, *, total: int, completed: int = 0, unit: str = "it"
) -> Iterator[Callable[..., None]]:
    """Show how far something is, its speed and the time left.

    Args:
        description: What is being done.
        total: Number of units in all.
        completed: Number that is done already.
        unit: What is counted, in the plural for whole things ("pairs").

    Yields:
        A function `advance(count=1, loss=nan)`; a loss that is finite is shown.
    """
    # Rich comes with Kedro, not with torch: a bare machine does without the bar.
    try:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )
    except ImportError:
        yield lambda count=1, loss=math.nan: None
        return

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}{task.fields[loss]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as bar:
        task = bar.add_task(
            description, total=total, completed=completed, rate="", loss=""
        )

        def advance(count: int = 1, loss: float = math.nan) -> None:
            speed = bar.tasks[task].speed
            rate = "" if speed is None else f"{speed:.1f} {unit}/s"
            bar.update(task, advance=count, rate=rate)
            if math.isfinite(loss):
                bar.update(task, loss=f", loss {loss:.4f}")

        yield advance
