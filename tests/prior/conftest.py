import pytest
import torch
from conformance import conformance_file, read_golden

from .toy import train


@pytest.fixture(scope="session")
def golden():
    """Outputs of the original prior, as tensors."""
    return read_golden("prior_small64.golden.npz")


@pytest.fixture(scope="session")
def published():
    """State dict of a checkpoint in the published format."""
    path = conformance_file("prior_small64.ckpt")
    return torch.load(path, weights_only=True)["state_dict"]


@pytest.fixture(scope="session")
def finished():
    """The last checkpoint of the toy run."""
    return list(train())[-1]
