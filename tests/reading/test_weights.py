"""A file that claims a huge network is compared with its tensors, and nothing built."""

import json

import pytest
import torch
from processes import little_memory
from safetensors.torch import save_file
from torch import nn

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.decoders import load_vae
from clip2latent_kedro.generators.files import cached_stylegan
from clip2latent_kedro.generators.safetensors_files import read_network
from clip2latent_kedro.reading import load_network, parse_weights, read_weights
from clip2latent_kedro.reading.state_dicts import read_state_dict
from clip2latent_kedro.worlds.portraits.judge import load_judge


@pytest.fixture(autouse=True)
def _little_memory():
    with little_memory(1 << 30):
        yield


class Counted(nn.Module):
    """Notes on which devices it is built."""

    built: list[str] = []  # noqa: RUF012

    def __init__(self, width=4, depth=2):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.register_buffer("made", torch.ones(3))
        self.built.append(self.layers[0].weight.device.type)


@pytest.fixture
def weights():
    Counted.built.clear()
    network = Counted()
    Counted.built.clear()
    return network.state_dict()


@pytest.mark.parametrize(
    ("sizes", "match"),
    [
        ({"width": 10**8}, "size mismatch for layers.0.bias: .* instead of"),
        ({"width": 10**30}, ""),
        ({"depth": 10**12}, "far more layers than it holds"),
        ({"depth": 3}, "Missing key layers.2.bias"),
        ({"depth": 1}, "Unexpected key layers.1.bias"),
    ],
)
def test_another_network_is_not_built(sizes, match, weights):
    with pytest.raises((ValueError, RuntimeError, OverflowError, TypeError)) as caught:
        load_network(lambda: Counted(**sizes), weights)
    assert caught.match(match)
    assert "cpu" not in Counted.built


def test_the_right_network_is(weights):
    state = torch.get_rng_state()
    network = load_network(Counted, weights)
    assert Counted.built == ["meta", "cpu"]
    loaded = network.state_dict()
    assert all(torch.equal(loaded[name], weights[name]) for name in weights)
    torch.set_rng_state(state)
    Counted()
    expected = torch.rand(1)
    torch.set_rng_state(state)
    load_network(Counted, weights)
    assert torch.equal(torch.rand(1), expected)  # a sketch draws no random numbers

    del weights["made"]
    with pytest.raises(ValueError, match="Missing key made"):
        load_network(Counted, weights)
    filled = load_network(Counted, weights, is_made=lambda name: name == "made")
    assert torch.equal(filled.made, torch.ones(3))
    weights["layers.0.bias"] = weights["layers.0.bias"].long()
    with pytest.raises(ValueError, match=r"int64 \[4\] instead of float32 \[4\]"):
        load_network(Counted, weights, is_made=lambda name: name == "made")


def test_what_is_made_beside_the_weights_counts():
    """A table that is no weight, as a mask of attention, of 40 gigabytes."""

    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mask", torch.empty(10**5, 10**5), persistent=False)

    with pytest.raises(ValueError, match="describes a network of 40000000000 bytes"):
        load_network(Masked, {})


STYLEGAN2 = {
    "z_dim": 4,
    "w_dim": 4,
    "resolution": 8,
    "channel_base": 32,
    "channel_max": 4,
}
STYLEGAN3 = {
    "z_dim": 4,
    "c_dim": 0,
    "w_dim": 4,
    "img_resolution": 16,
    "use_radial_filters": True,
}
JUDGE = {"width": 4, "steps": 1, "batch_size": 1, "lr": 1, "save_every": 1}
FEW_LAYERS = {"num_layers": 2, "num_critical": 1, "filter_size": 64}
CLAIMS = [
    ("stylegan2", STYLEGAN2, {"z_dim": 10**5, "w_dim": 10**5}),
    ("stylegan2", STYLEGAN2, {"channel_base": 10**9, "channel_max": 10**6}),
    ("stylegan2", STYLEGAN2, {"mapping_layers": 10**10}),
    ("stylegan2", STYLEGAN2, {"mapping_layers": 200, "mapping_features": 10**5}),
    ("stylegan2", STYLEGAN2, {"resolution": 4096}),
    ("stylegan2", STYLEGAN2, {"z_dim": "4"}),
    ("stylegan3", STYLEGAN3, {"img_resolution": 4096, **FEW_LAYERS}),
    ("stylegan3", STYLEGAN3, {"num_layers": 10**9}),
    ("stylegan3", STYLEGAN3, {"filter_size": 10**9}),
    ("stylegan3", STYLEGAN3, {"lrelu_upsampling": 10**9}),
    ("stylegan3", STYLEGAN3, {"img_resolution": 2**40}),
    ("judge", JUDGE, {"width": 80_000}),
]


@pytest.mark.parametrize(
    ("kind", "sizes", "claim"),
    [*CLAIMS, *(("lafite", *rest) for kind, *rest in CLAIMS if kind == "stylegan2")],
)
def test_a_network_that_claims_to_be_huge(kind, sizes, claim, tmp_path):
    path = tmp_path / "network.safetensors"
    config = sizes | claim | ({} if kind == "judge" else {"kind": kind})
    save_file({"x": torch.zeros(1)}, path, {"config": json.dumps(config)})
    message = "must be a safetensors file that fits|must hold a judge"
    with pytest.raises(InputError, match=message):
        load_judge(path, {}) if kind == "judge" else read_network(path)


def test_tensors_that_tell_of_a_huge_network(tmp_path):
    path = tmp_path / "vae.safetensors"
    tensors = {
        "input.weight": torch.zeros(128, 4),
        "blocks.0.conv.weight": torch.zeros(80_000, 1),
        "flow.layers.999999999.norm.weight": torch.zeros(1),
        "flow.input.weight": torch.zeros(80_000, 1),
    }
    save_file(tensors, path)
    with pytest.raises(InputError, match="does not fit the vae"):
        load_vae(path, {})


def test_a_file_is_measured_before_it_is_hashed(tmp_path):
    """A terabyte of nothing would take an hour to hash."""
    path = tmp_path / "huge.pkl"
    with path.open("wb") as file:
        file.write(b"\x80\x02")
        file.truncate(1 << 40)
    for read in (read_state_dict, lambda path: cached_stylegan(path, tmp_path)):
        with pytest.raises(InputError, match="has 1099511627776 bytes, more than"):
            read(path)


def test_complex_numbers_are_no_weights(tmp_path):
    path = tmp_path / "network.safetensors"
    save_file({"weight": torch.ones(2, dtype=torch.complex64)}, path)
    for read in (
        lambda: read_weights(path),
        lambda: parse_weights(path.read_bytes(), "it"),
    ):
        with pytest.raises(InputError, match="weight holds complex numbers"):
            read()
