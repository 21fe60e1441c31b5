import resource
import time

import pytest
import torch

SECONDS = 5
BYTES = 200 << 20


@pytest.fixture
def nothing_happens(tmp_path, monkeypatch):
    """Fail a test that ran the call in its file, or used up time or memory."""
    monkeypatch.chdir(tmp_path)
    with torch.device("meta"):
        torch.ones(1) / 2  # imports what the first sketch of a process imports
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    yield
    assert time.process_time() - start < SECONDS
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert (after - before) * 1024 < BYTES
    assert not (tmp_path / "hacked").exists()
