"""Every format gives the network that was written, and the picture of its program."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from generators.reference import (
    NvidiaReference,
    rosinality_image,
    tensorflow_image,
)
from generators.renaming import rosinality_state, tensorflow_variables
from generators.snapshots import (
    dump,
    make_lafite,
    make_stylegan2,
    persist,
    randomise,
    snapshot,
    stylegan2_attributes,
    write_lafite,
    write_nvidia,
    write_rosinality,
    write_stylegan3,
    write_tensorflow,
)

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.files import read_stylegan_file
from clip2latent_kedro.generators.lafite import LafiteConfig
from clip2latent_kedro.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from clip2latent_kedro.generators.stylegan3 import StyleGAN3, StyleGAN3Config

CONFORMANCE = Path(__file__).parents[4] / "shared" / "conformance"
EXACT = {"rtol": 0, "atol": 0}
VARIANTS = [
    {},
    {"resolution": 32, "channel_base": 128, "channel_max": 4},
    {"resolution": 8, "channel_base": 40, "mapping_layers": 1},
    {"resolution": 4},
    {"architecture": "resnet", "resolution": 32},
    {"architecture": "orig"},
    {"c_dim": 3, "embed_features": 5, "mapping_features": 7},
    {"c_dim": 2, "architecture": "resnet", "conv_clamp": 0.8},
    {"conv_clamp": 0.5, "mapping_lr": 0.1, "use_noise": False},
    {"resample_filter": (1, 2, 1), "architecture": "resnet"},
    {"resample_filter": (1, 5, 4, 2), "architecture": "resnet"},
    {"resample_filter": (1, 1)},
    {"resample_filter": (1, 4, 9, 8, 5, 2), "architecture": "resnet"},
    {"resample_filter": (1, 7, 21, 35, 35, 21, 7, 1)},
    {"resample_filter": (3, 5, 9, 14, 20, 31, 30, 22, 13, 9, 4, 2)},
    {"img_channels": 1, "z_dim": 10},
]


def load(path):
    weights = read_stylegan_file(path)
    kinds = {
        "stylegan2": (StyleGAN2, StyleGAN2Config),
        "stylegan3": (StyleGAN3, StyleGAN3Config),
    }
    network, config = kinds[weights.kind]
    network = network(config(**weights.config)).eval()
    for name, value in network.state_dict().items():
        if name.endswith(("up_filter", "down_filter")):  # designed as it is built
            torch.testing.assert_close(value, weights.tensors[name])
    network.load_state_dict(weights.tensors, strict=True)
    return network


@torch.inference_mode()
def assert_same_outputs(read, written):
    config = written.config
    random = torch.Generator().manual_seed(0)
    z = torch.randn(2, config.z_dim, generator=random)
    c = torch.randn(2, config.c_dim, generator=random) if config.c_dim else None
    for psi in (1.0, 0.5):
        w = written.mapping(z, psi, c=c)
        torch.testing.assert_close(read.mapping(z, psi, c=c), w, **EXACT)
    expected = written.synthesis(w, "const")
    torch.testing.assert_close(read.synthesis(w, "const"), expected, **EXACT)
    assert expected.std() > 0.01


@pytest.mark.parametrize("changes", VARIANTS)
@torch.inference_mode()
def test_stylegan2_computes_what_the_original_does(changes):
    """The network itself, against equations that share no code with it."""
    network = make_stylegan2(**changes)
    config = network.config
    reference = NvidiaReference(network.state_dict(), asdict(config))
    random = torch.Generator().manual_seed(1)
    z = torch.randn(2, config.z_dim, generator=random)
    c = torch.randn(2, config.c_dim, generator=random) if config.c_dim else None
    network.double()
    w = network.mapping(z.double(), c=c if c is None else c.double())
    torch.testing.assert_close(w[:, 0], reference.mapping(z, c))
    w = torch.randn(2, config.num_ws, config.w_dim, generator=random).double()
    exact = {"rtol": 0, "atol": 1e-6}  # resampling filters are kept in float32
    torch.testing.assert_close(network.synthesis(w), reference.synthesis(w), **exact)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("nested", [True, False], ids=["ada", "stylegan3"])
def test_a_snapshot_of_either_repository_in_any_protocol(tmp_path, protocol, nested):
    network = make_stylegan2(architecture="resnet", conv_clamp=256)
    path = write_nvidia(network, tmp_path / "g.pkl", protocol=protocol, nested=nested)
    read = load(path)
    assert read.config == StyleGAN2Config(**asdict(network.config))
    assert_same_outputs(read, network)


@pytest.mark.parametrize("changes", VARIANTS)
def test_a_snapshot_of_any_architecture(tmp_path, changes):
    network = make_stylegan2(**changes)
    read = load(write_nvidia(network, tmp_path / "g.pkl"))
    assert_same_outputs(read, network)
    assert len(read.config.resample_filter) == len(network.config.resample_filter)


def test_positional_arguments_are_read_as_well(tmp_path):
    network = make_stylegan2()
    attributes = stylegan2_attributes(network.config)

    def positional(path, module):
        given = attributes(path, module)
        if path == "":
            kwargs = given.pop("_init_kwargs")
            given |= {"_init_args": tuple(kwargs.values()), "_init_kwargs": {}}
        return given

    path = dump(snapshot(persist(network, positional)), tmp_path / "g.pkl")
    assert load(path).config.channel_base == network.config.channel_base


def test_channels_that_contradict_the_arguments_are_read_from_the_tensors(tmp_path):
    network = make_stylegan2()
    attributes = stylegan2_attributes(network.config)

    def misleading(path, module):
        given = attributes(path, module)
        if path == "":
            del given["_init_kwargs"]["synthesis_kwargs"]
        return given

    path = dump(snapshot(persist(network, misleading)), tmp_path / "g.pkl")
    assert_same_outputs(load(path), network)


def test_weights_in_half_precision_or_other_memory_order_are_the_same(tmp_path):
    network = make_stylegan2()
    with torch.no_grad():
        for value in network.parameters():
            value.copy_(value.half())
    expected = make_stylegan2()
    expected.load_state_dict(network.state_dict())
    for module in network.modules():
        for name, value in module._parameters.items():
            if value is not None and value.ndim == 4:
                moved = value.half().to(memory_format=torch.channels_last)
                module._parameters[name] = torch.nn.Parameter(moved, False)
    assert_same_outputs(load(write_nvidia(network, tmp_path / "g.pkl")), expected)


def test_a_generator_without_the_mean_of_w_gets_the_mean(tmp_path):
    network = make_stylegan2(mapping_lr=1.0)
    with torch.inference_mode():
        z = torch.randn(20_000, network.config.z_dim)
        mean = network.mapping(z)[:, 0].mean(0)
    del network.mapping._buffers["w_avg"]
    read = load(write_nvidia(network, tmp_path / "g.pkl"))
    torch.testing.assert_close(read.mapping.w_avg, mean, rtol=0, atol=0.1)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("radial", [False, True], ids=["T", "R"])
@pytest.mark.parametrize("c_dim", [0, 3])
def test_a_snapshot_of_stylegan3(tmp_path, protocol, radial, c_dim):
    torch.manual_seed(0)
    config = StyleGAN3Config(
        z_dim=6,
        c_dim=c_dim,
        w_dim=10,
        img_resolution=32,
        mapping_layers=2,
        channel_base=256 * (1 + radial),
        channel_max=8 * (1 + radial),
        num_layers=5,
        margin_size=6,
        conv_kernel=1 if radial else 3,
        use_radial_filters=radial,
    )
    network = randomise(StyleGAN3(config).eval())
    path = write_stylegan3(network, tmp_path / "g.pkl", protocol=protocol)
    read = load(path)
    assert read.config == config
    assert_same_outputs(read, network)


def test_stylegan3_arguments_left_out_are_read_from_its_modules(tmp_path):
    config = StyleGAN3Config(
        z_dim=6, c_dim=0, w_dim=10, img_resolution=32, channel_base=128, channel_max=8,
        num_layers=4, margin_size=6, output_scale=0.5, first_cutoff=2.5,
    )  # fmt: skip
    network = randomise(StyleGAN3(config).eval())
    omit = ("num_layers", "margin_size", "output_scale", "first_cutoff", "conv_clamp")
    read = load(write_stylegan3(network, tmp_path / "g.pkl", omit=omit))
    assert read.config == config


@pytest.mark.parametrize(
    "changes",
    [
        {"conv_clamp": None},
        {"architecture": "resnet", "resolution": 32},
        {"architecture": "orig"},
        {"c_dim": 3, "embed_features": 4},
        {"mapping_features": 7, "resample_filter": (1, 2, 1)},
    ],
)
@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_a_pickle_of_the_tensorflow_program(tmp_path, changes, protocol):
    network = make_stylegan2(**changes)
    kernel = list(network.config.resample_filter)
    path = write_tensorflow(
        network, tmp_path / "g.pkl", protocol=protocol, resample_kernel=kernel
    )
    assert_same_outputs(load(path), network)


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
@pytest.mark.parametrize("taps", [(1, 3, 3, 1), (1, 2, 1), (1, 1), (1, 4, 9, 8, 5, 2)])
@torch.inference_mode()
def test_tensorflow_variables_give_the_picture_of_that_program(
    tmp_path, architecture, taps
):
    network = make_stylegan2(architecture=architecture, resample_filter=taps)
    path = write_tensorflow(network, tmp_path / "g.pkl", resample_kernel=list(taps))
    z = torch.randn(2, network.config.z_dim, dtype=torch.float64)
    variables = tensorflow_variables(network)
    expected = tensorflow_image(variables, z, 16, architecture, taps)
    read = load(path).double()
    exact = {"rtol": 1e-6, "atol": 1e-6}  # filters are kept in float32
    torch.testing.assert_close(read.synthesis(read.mapping(z)), expected, **exact)


def test_tensorflow_arguments_that_change_the_network_are_refused(tmp_path):
    network = make_stylegan2()
    path = write_tensorflow(network, tmp_path / "a.pkl", nonlinearity="relu")
    with pytest.raises(InputError, match="nonlinearity is not lrelu"):
        read_stylegan_file(path)
    path = write_tensorflow(network, tmp_path / "b.pkl", use_wavelets=True)
    with pytest.raises(InputError, match="unknown argument 'use_wavelets'"):
        read_stylegan_file(path)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    "changes",
    [
        {"z_dim": 10},
        {"z_dim": 10, "resolution": 32, "channel_base": 80, "mapping_layers": 5},
        {"z_dim": 10, "resample_filter": (1, 2, 1)},
    ],
)
def test_a_checkpoint_of_rosinality(tmp_path, changes, legacy):
    network = make_stylegan2(**changes)
    path = write_rosinality(network, tmp_path / "g.pt", legacy=legacy)
    read = load(path)
    assert read.config.resample_filter == network.config.resample_filter
    assert_same_outputs(read, network)


@torch.inference_mode()
def test_rosinality_state_gives_the_picture_of_that_program(tmp_path):
    network = make_stylegan2(z_dim=10)
    path = write_rosinality(network, tmp_path / "g.pt")
    z = torch.randn(2, 10, dtype=torch.float64)
    expected = rosinality_image(rosinality_state(network), z, 3)
    read = load(path).double()
    torch.testing.assert_close(read.synthesis(read.mapping(z)), expected)


def test_a_checkpoint_without_its_mean_of_w_gets_the_same_one_each_time(tmp_path):
    network = make_stylegan2(z_dim=10, mapping_lr=0.01)
    path = write_rosinality(network, tmp_path / "g.pt", with_mean=False)
    first, second = load(path), load(path)
    with torch.inference_mode():
        mean = network.mapping(torch.randn(20_000, 10))[:, 0].mean(0)
    torch.testing.assert_close(first.mapping.w_avg, mean, rtol=0, atol=0.1)
    torch.testing.assert_close(first.mapping.w_avg, second.mapping.w_avg, **EXACT)


@pytest.mark.parametrize("taps", [(1, 3, 3, 1), (1, 2, 1)])
def test_lafite_is_recognised_with_its_tensors(tmp_path, taps):
    network = make_lafite(resample_filter=taps)
    weights = read_stylegan_file(write_lafite(network, tmp_path / "l.pkl"))
    assert weights.kind == "lafite"
    assert LafiteConfig(**weights.config) == network.config
    expected = network.state_dict()
    assert weights.tensors.keys() == expected.keys()
    assert "synthesis.b8.conv0.affine_0.weight" in expected
    for name, tensor in weights.tensors.items():
        torch.testing.assert_close(tensor, expected[name], **EXACT)


def test_a_lafite_that_lacks_a_layer_is_refused(tmp_path):
    network = make_lafite()
    del network.synthesis.b16.torgb.affine.scale_layer_1
    match = r"synthesis\.b16\.torgb\.scale_layer_1\.bias"
    with pytest.raises(InputError, match=match):
        read_stylegan_file(write_lafite(network, tmp_path / "l.pkl"))


@pytest.mark.skipif(not CONFORMANCE.is_dir(), reason="no conformance files here")
@pytest.mark.parametrize("name", ["sg2_small", "sg3t_small"])
@torch.inference_mode()
def test_the_conformance_files_give_their_golden_pictures(name):
    network = load(CONFORMANCE / f"{name}.stripped.pkl")
    arrays = np.load(CONFORMANCE / f"{name}.golden.npz", allow_pickle=False)
    golden = {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    cutoff = int(golden["truncation_cutoff"])
    for w, given in (
        ("w_psi1", (1.0, None)),
        ("w_psi07", (0.7, None)),
        ("w_psi07_cut", (0.7, cutoff)),
    ):
        made = network.mapping(golden["z"], *given)
        torch.testing.assert_close(made, golden[w], rtol=0, atol=1e-5)
    for w, mode, image in (
        ("w_psi07_cut", "const", "img_const"),
        ("w_psi07_cut", "none", "img_none"),
        ("wplus", "const", "img_wplus_const"),
    ):
        made, expected = network.synthesis(golden[w], mode), golden[image]
        error = (made - expected).abs().max()
        assert error < 1e-4 * expected.std()
