"""The conformance files: what the original programs wrote, and what they computed."""

from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parents[2] / "shared" / "conformance"


def conformance_file(name):
    """Return the path of a file; the test is skipped where the files are not."""
    if not (FOLDER / name).is_file():
        pytest.skip("needs the conformance files")
    return FOLDER / name


def read_golden(name):
    """Return the arrays of a file as tensors."""
    with np.load(conformance_file(name)) as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files}
