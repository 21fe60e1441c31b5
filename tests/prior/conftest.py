from pathlib import Path

import numpy as np
import pytest
import torch

from .toy import train

CONFORMANCE = Path(__file__).parents[3] / "shared" / "conformance"


@pytest.fixture(scope="session")
def golden():
    """Outputs of the original prior, as tensors."""
    path = CONFORMANCE / "prior_small64.golden.npz"
    if not path.is_file():
        pytest.skip("needs the conformance files")
    with np.load(path) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


@pytest.fixture(scope="session")
def published():
    """State dict of a checkpoint in the published format."""
    path = CONFORMANCE / "prior_small64.ckpt"
    if not path.is_file():
        pytest.skip("needs the conformance files")
    return torch.load(path, weights_only=True)["state_dict"]


@pytest.fixture(scope="session")
def finished():
    """The last checkpoint of the toy run."""
    return list(train())[-1]
