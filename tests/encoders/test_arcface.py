"""ArcFace's network, on a file in the published layout whose numbers are random."""

import pytest
import torch
from torch.nn import functional
from world import seeded

from clip2latent_kedro.encoders import load_encoder
from clip2latent_kedro.encoders.arcface import IrSe50, crop_face, load_arcface
from clip2latent_kedro.errors import InputError, MissingError
from clip2latent_kedro.interfaces import Encoder

# Channels, blocks and the number of a stage's first block.
STAGES = [(64, 64, 3), (64, 128, 4), (128, 256, 14), (256, 512, 3)]


def list_blocks():
    """Yield channels before and after, and the stride, of the 24 blocks."""
    for before, after, count in STAGES:
        yield before, after, 2
        yield from [(after, after, 1)] * (count - 1)


def published_shapes():
    """The keys of model_ir_se50.pth and their shapes, as its own code makes them."""
    shapes = {}

    def norm(name, channels):
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{part}"] = (channels,)
        shapes[f"{name}.num_batches_tracked"] = ()

    shapes["input_layer.0.weight"] = (64, 3, 3, 3)
    norm("input_layer.1", 64)
    shapes["input_layer.2.weight"] = (64,)
    for number, (before, after, _) in enumerate(list_blocks()):
        name = f"body.{number}"
        if before != after:
            shapes[f"{name}.shortcut_layer.0.weight"] = (after, before, 1, 1)
            norm(f"{name}.shortcut_layer.1", after)
        norm(f"{name}.res_layer.0", before)
        shapes[f"{name}.res_layer.1.weight"] = (after, before, 3, 3)
        shapes[f"{name}.res_layer.2.weight"] = (after,)
        shapes[f"{name}.res_layer.3.weight"] = (after, after, 3, 3)
        norm(f"{name}.res_layer.4", after)
        shapes[f"{name}.res_layer.5.fc1.weight"] = (after // 16, after, 1, 1)
        shapes[f"{name}.res_layer.5.fc2.weight"] = (after, after // 16, 1, 1)
    norm("output_layer.0", 512)
    shapes["output_layer.3.weight"] = (512, 512 * 7 * 7)
    shapes["output_layer.3.bias"] = (512,)
    norm("output_layer.4", 512)
    return shapes


def make_tensors():
    random, tensors = seeded(), {}
    for name, shape in published_shapes().items():
        if name.endswith("num_batches_tracked"):
            tensors[name] = torch.tensor(7)
        elif name.endswith("running_var"):
            tensors[name] = 0.5 + torch.rand(shape, generator=random)
        elif len(shape) > 1:
            fan_in = torch.Size(shape[1:]).numel()
            tensors[name] = torch.randn(shape, generator=random) / fan_in**0.5
        else:
            tensors[name] = 0.3 + 0.1 * torch.randn(shape, generator=random)
    return tensors


@pytest.fixture(scope="module")
def tensors():
    return make_tensors()


@pytest.fixture(scope="module")
def path(tmp_path_factory, tensors):
    path = tmp_path_factory.mktemp("arcface") / "model_ir_se50.pth"
    torch.save(tensors, path)
    return path


def embed_by_keys(t, x):
    """The network as its published code computes it, from the tensors alone."""

    def norm(x, name):
        parts = ("running_mean", "running_var", "weight", "bias")
        return functional.batch_norm(x, *(t[f"{name}.{part}"] for part in parts))

    x = functional.conv2d(x, t["input_layer.0.weight"], padding=1)
    x = functional.prelu(norm(x, "input_layer.1"), t["input_layer.2.weight"])
    for number, (before, after, stride) in enumerate(list_blocks()):
        name = f"body.{number}"
        if before == after:
            shortcut = functional.max_pool2d(x, 1, stride)
        else:
            weight = t[f"{name}.shortcut_layer.0.weight"]
            shortcut = functional.conv2d(x, weight, stride=stride)
            shortcut = norm(shortcut, f"{name}.shortcut_layer.1")
        y = norm(x, f"{name}.res_layer.0")
        y = functional.conv2d(y, t[f"{name}.res_layer.1.weight"], padding=1)
        y = functional.prelu(y, t[f"{name}.res_layer.2.weight"])
        weight = t[f"{name}.res_layer.3.weight"]
        y = norm(
            functional.conv2d(y, weight, stride=stride, padding=1),
            f"{name}.res_layer.4",
        )
        gate = functional.adaptive_avg_pool2d(y, 1)
        gate = functional.conv2d(gate, t[f"{name}.res_layer.5.fc1.weight"]).relu()
        gate = functional.conv2d(gate, t[f"{name}.res_layer.5.fc2.weight"]).sigmoid()
        x = y * gate + shortcut
    x = norm(x, "output_layer.0").flatten(1)
    x = functional.linear(x, t["output_layer.3.weight"], t["output_layer.3.bias"])
    return norm(x, "output_layer.4")


def test_the_layout_is_the_published_one():
    with torch.device("meta"):
        state = IrSe50().state_dict()
    assert {k: tuple(v.shape) for k, v in state.items()} == published_shapes()


def test_embeddings_are_those_of_the_published_code(path, tensors):
    encoder = load_encoder("arcface", path, {})
    assert isinstance(encoder, Encoder)
    image = 2 * torch.rand(1, 3, 256, 256, generator=seeded(3)) - 1
    face = functional.adaptive_avg_pool2d(image[:, :, 35:223, 32:220], 112)
    with torch.no_grad():
        found = encoder.encode_image(image)
        expected = embed_by_keys(tensors, face)
    assert found.shape == (1, encoder.embed_dim)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    with pytest.raises(InputError, match=r"pictures and no text, got \['a man'\]"):
        encoder.encode_text(["a man"])
    assert encoder.encode_image(image[:0]).shape == (0, 512)


@pytest.mark.parametrize("side", [64, 1024])
def test_other_sizes_are_pooled_first(side):
    image = torch.rand(1, 3, side, side, generator=seeded())
    pooled = functional.adaptive_avg_pool2d(image, 256)
    torch.testing.assert_close(crop_face(image), crop_face(pooled))
    assert crop_face(image).shape == (1, 3, 112, 112)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(MissingError, match=r"model_ir_se50.pth.*expected at .*none"):
        load_arcface(tmp_path / "none", {})
    torch.save({"input_layer.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"Missing key body.0.*Give model_ir_se50"):
        load_arcface(tmp_path / "x.pth", {})
    with pytest.raises(InputError, match="takes no options"):
        load_arcface(tmp_path / "x.pth", {"crop": 1})
