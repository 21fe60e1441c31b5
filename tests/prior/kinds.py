"""The kinds of network, for tests that hold for each of them."""

from importlib.util import find_spec

import pytest

from clip2latent_kedro.prior.network import NETWORKS

needs_dalle2 = pytest.mark.skipif(
    find_spec("dalle2_pytorch") is None, reason="needs dalle2-pytorch"
)
KINDS = [
    pytest.param(kind, marks=needs_dalle2 if kind == "dalle2" else ())
    for kind in NETWORKS
]
