import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.stylegan2 import (
    StyleGAN2,
    StyleGAN2Config,
    fir_filter,
    upsample,
    upsampling_convolution,
)

CONFORMANCE = Path(__file__).parents[3] / "shared" / "conformance"
needs_golden = pytest.mark.skipif(
    not CONFORMANCE.is_dir(), reason="the conformance files are not beside the project"
)


class _TensorsOnly(pickle.Unpickler):
    """Reads a network snapshot, with nothing that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            "_reconstruct_persistent_obj": lambda meta: meta["state"],
            "_load_from_bytes": lambda blob: torch.load(
                io.BytesIO(blob), weights_only=True
            ),
            "_rebuild_tensor_v2": torch._utils._rebuild_tensor_v2,
            "_rebuild_parameter": torch._utils._rebuild_parameter,
            "OrderedDict": OrderedDict,
            "EasyDict": dict,
            "set": set,
            "dtype": np.dtype,
            "scalar": np._core.multiarray.scalar,
        }
        return allowed[name]


def _flatten(state: dict[str, Any], prefix: str = "") -> dict[str, torch.Tensor]:
    own = {**state["_parameters"], **state["_buffers"]}
    tensors = {prefix + name: value.detach() for name, value in own.items()}
    for name, child in state["_modules"].items():
        tensors |= _flatten(child, f"{prefix}{name}.")
    return tensors


@pytest.fixture(scope="module")
def snapshot() -> dict[str, torch.Tensor]:
    with (CONFORMANCE / "sg2_small.stripped.pkl").open("rb") as file:
        return _flatten(_TensorsOnly(file).load()["G_ema"])


@pytest.fixture(scope="module")
def network(snapshot) -> StyleGAN2:
    config = StyleGAN2Config(
        z_dim=64,
        w_dim=64,
        resolution=32,
        channel_base=512,
        channel_max=32,
        mapping_layers=4,
    )
    network = StyleGAN2(config).eval()
    network.load_state_dict(snapshot, strict=True)
    return network


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    arrays = np.load(CONFORMANCE / "sg2_small.golden.npz", allow_pickle=False)
    return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


@needs_golden
@torch.inference_mode()
def test_mapping_matches_the_original(network, golden):
    cutoff = int(golden["truncation_cutoff"]) if "truncation_cutoff" in golden else None
    z = golden["z"]
    exact = {"rtol": 0, "atol": 1e-5}
    torch.testing.assert_close(network.mapping(z), golden["w_psi1"], **exact)
    torch.testing.assert_close(network.mapping(z, 0.7), golden["w_psi07"], **exact)
    if cutoff is not None:
        cut = network.mapping(z, 0.7, cutoff)
        torch.testing.assert_close(cut, golden["w_psi07_cut"], **exact)


@needs_golden
@torch.inference_mode()
@pytest.mark.parametrize(
    ("latents", "noise_mode", "image"),
    [
        ("w_psi07_cut", "const", "img_const"),
        ("w_psi07_cut", "none", "img_none"),
        ("wplus", "const", "img_wplus_const"),
    ],
)
def test_synthesis_matches_the_original(network, golden, latents, noise_mode, image):
    made = network.synthesis(golden[latents], noise_mode)
    torch.testing.assert_close(made, golden[image], rtol=0, atol=1e-4)


def test_upsampling_convolution_is_zero_insertion_then_both_kernels():
    """The definition, on zero-inserted input, without transposed convolutions."""
    random = torch.Generator().manual_seed(0)
    x = torch.randn(2, 5, 6, 6, generator=random, dtype=torch.float64)
    weight = torch.randn(4, 5, 3, 3, generator=random, dtype=torch.float64)
    filter_ = fir_filter().double()

    inserted = x.new_zeros(2, 5, 12, 12)
    inserted[:, :, ::2, ::2] = x
    wide = F.conv2d(F.pad(inserted, (2, 1, 2, 1)), weight.flip(2, 3))
    expected = F.conv2d(
        F.pad(wide, (1, 1, 1, 1)), 4 * filter_.expand(4, 1, 4, 4), groups=4
    )
    made = upsampling_convolution(x, weight, filter_)
    torch.testing.assert_close(made, expected)


def test_upsampling_keeps_a_constant_image():
    flat = torch.full((1, 3, 8, 8), 0.7)
    made = upsample(flat, fir_filter())
    torch.testing.assert_close(made[:, :, 1:-1, 1:-1], torch.full((1, 3, 14, 14), 0.7))


@pytest.mark.parametrize(("resolution", "num_ws"), [(64, 10), (256, 14), (1024, 18)])
def test_number_of_ws_is_that_of_the_paper(resolution, num_ws):
    config = StyleGAN2Config(64, 64, resolution, channel_base=64, channel_max=8)
    assert config.num_ws == num_ws


def test_random_noise_changes_the_picture_and_no_noise_repeats():
    torch.manual_seed(0)
    network = StyleGAN2(StyleGAN2Config(8, 8, 16, 64, 16, mapping_layers=2))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("noise_strength"):
                parameter.fill_(1.0)
        w = network.mapping(torch.randn(2, 8))
        noisy = [network.synthesis(w, "random") for _ in range(2)]
        quiet = [network.synthesis(w, "none") for _ in range(2)]
    assert not torch.allclose(*noisy)
    torch.testing.assert_close(*quiet, rtol=0, atol=0)


def test_an_early_stop_gives_the_image_of_that_resolution():
    network = StyleGAN2(StyleGAN2Config(8, 8, 32, 128, 16, mapping_layers=2))
    w = network.mapping(torch.randn(2, 8))
    assert network.synthesis(w, "none", last=16).shape == (2, 3, 16, 16)


def test_a_block_without_channels_is_refused():
    config = StyleGAN2Config(8, 8, 64, channel_base=32, channel_max=8)
    with pytest.raises(InputError, match=r"channel_base must be .*\(64\) or more"):
        StyleGAN2(config)


def test_a_label_is_given_if_and_only_if_the_generator_knows_labels():
    plain = StyleGAN2(StyleGAN2Config(8, 8, 8, 64, 8))
    labelled = StyleGAN2(StyleGAN2Config(8, 8, 8, 64, 8, c_dim=3))
    z, c = torch.randn(2, 8), torch.eye(3)[:2]
    with pytest.raises(InputError, match=r"label c of 3 channels .* got none"):
        labelled.mapping(z)
    with pytest.raises(InputError, match=r"label c of 0 channels .* got \[2, 3\]"):
        plain.mapping(z, c=c)
    same_z = z[:1].expand(2, -1)
    assert not torch.allclose(*labelled.mapping(same_z, c=c))
