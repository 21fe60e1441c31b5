"""The device of a worker, for models that arrive there."""

_device: str | None = None


def worker_device() -> str | None:
    """Return the device of the worker that this process is; None if it is none."""
    return _device


def be_worker(device: str) -> None:
    """Make this process a worker, before work arrives."""
    global _device
    _device = device
