"""Every format gives the network that was written, and the picture of its program."""

from dataclasses import asdict

import pytest
import torch
from conformance import conformance_file, read_golden
from generators.networks import make_lafite, make_stylegan2, make_stylegan3
from generators.reference import NvidiaReference, rosinality_image, tensorflow_image
from generators.snapshots import (
    rosinality_state,
    tensorflow_variables,
    write_lafite,
    write_nvidia,
    write_rosinality,
    write_stylegan3,
    write_tensorflow,
)

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.files import read_stylegan_file
from clip2latent_kedro.generators.safetensors_files import NETWORKS

VARIANTS = [
    {},
    {"resolution": 32, "channel_base": 128, "channel_max": 4},
    {"resolution": 8, "channel_base": 40, "mapping_layers": 1},
    {"resolution": 4},
    {"architecture": "resnet", "resolution": 32, "conv_clamp": 256},
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
    network, config = NETWORKS[weights.kind]
    network = network(config(**weights.config)).eval()
    network.load_state_dict(weights.tensors, strict=True)
    return network


def assert_same_weights(read, written):
    expected = written.state_dict()
    assert read.state_dict().keys() == expected.keys()
    for name, value in read.state_dict().items():
        if "resample_filter" not in name:
            assert torch.equal(value, expected[name]), name


@torch.inference_mode()
def assert_same_network(read, written):
    """Weights and picture are those that were written, bit for bit."""
    assert_same_weights(read, written)
    w = torch.randn(2, written.config.num_ws, written.config.w_dim)
    expected = written.synthesis(w)
    assert torch.equal(read.synthesis(w), expected)
    assert expected.std() > 0.01


@pytest.mark.parametrize(("number", "changes"), [*enumerate(VARIANTS)])
@torch.inference_mode()
def test_a_snapshot_gives_the_network_and_the_picture(tmp_path, number, changes):
    """In every protocol, with arguments as either of NVIDIA's repositories has them.

    The equations of the picture share no code with the network.
    """
    written = make_stylegan2(**changes)
    protocol, nested = 2 + number % 4, number // 4 % 2 == 0
    path = write_nvidia(written, tmp_path / "g", protocol=protocol, nested=nested)
    network = load(path)
    config = network.config
    assert config == written.config
    assert_same_network(network, written)

    reference = NvidiaReference(written.state_dict(), asdict(config))
    network.double()
    z, c = torch.randn(2, config.z_dim).double(), None
    if config.c_dim:
        c = torch.randn(2, config.c_dim).double()
    w = reference.mapping(z, c)
    torch.testing.assert_close(network.mapping(z, c=c)[:, 0], w)
    mean = written.mapping.w_avg
    half = network.mapping(z, 0.5, cutoff=1, c=c)
    torch.testing.assert_close(half[:, 0], (w + mean) / 2)
    torch.testing.assert_close(half[:, 1], w)
    w = torch.randn(2, config.num_ws, config.w_dim).double()
    exact = {"rtol": 0, "atol": 1e-6}  # resampling filters are kept in float32
    torch.testing.assert_close(network.synthesis(w), reference.synthesis(w), **exact)


def positional(given):
    arguments = given.pop("_init_kwargs")
    given |= {"_init_args": tuple(arguments.values()), "_init_kwargs": {}}


def misleading(given):
    """Channels of the defaults, which contradict the tensors."""
    del given["_init_kwargs"]["synthesis_kwargs"]


def silent(given):
    """As in a file whose class has another filter by default."""
    del given["_init_kwargs"]["synthesis_kwargs"]["resample_filter"]


def talkative(given):
    """What real snapshots say beside the sizes, none of which changes a picture."""
    arguments = given["_init_kwargs"]
    arguments["mapping_kwargs"] |= {
        **dict.fromkeys(("embed_features", "layer_features")),
        "activation": "lrelu",
        "w_avg_beta": 0.998,
        **dict.fromkeys(("freeze_layers", "freeze_embed"), 0),
    }
    arguments.get("synthesis_kwargs", arguments).update(
        num_fp16_res=4,
        fused_modconv_default="inference_only",
        **dict.fromkeys(("fp16_channels_last", "use_fp16"), False),
        kernel_size=3,
        activation="lrelu",
    )


@pytest.mark.parametrize(
    ("change", "nested"),
    [
        *((change, True) for change in (positional, misleading, silent, talkative)),
        (talkative, False),
    ],
)
def test_arguments_are_read_wherever_they_are_or_of_the_tensors(
    tmp_path, change, nested
):
    network = make_stylegan2(resample_filter=(1, 2, 1))

    def change_root(path, given):
        if path == "":
            change(given)

    path = tmp_path / "g.pkl"
    read = load(write_nvidia(network, path, nested=nested, change=change_root))
    assert_same_network(read, network)
    taps = (0.25, 0.5, 0.25) if change in (misleading, silent) else (1, 2, 1)
    assert read.config.resample_filter == taps
    if change is not misleading:
        assert read.config.channel_base == network.config.channel_base


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
    assert_same_network(load(write_nvidia(network, tmp_path / "g.pkl")), expected)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("radial", [False, True], ids=["T", "R"])
@pytest.mark.parametrize("c_dim", [0, 3])
def test_a_snapshot_of_stylegan3(tmp_path, protocol, radial, c_dim):
    network = make_stylegan3(
        c_dim=c_dim, img_resolution=32, num_layers=5, margin_size=6,
        conv_kernel=1 if radial else 3, use_radial_filters=radial,
    )  # fmt: skip
    read = load(write_stylegan3(network, tmp_path / "g.pkl", protocol=protocol))
    assert read.config == network.config
    assert_same_network(read, network)


def test_stylegan3_arguments_left_out_are_read_from_its_modules(tmp_path):
    network = make_stylegan3(margin_size=6, output_scale=0.5, first_cutoff=2.5)
    omit = ("num_layers", "margin_size", "output_scale", "first_cutoff", "conv_clamp")
    read = load(write_stylegan3(network, tmp_path / "g.pkl", omit=omit))
    assert read.config == network.config


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
@pytest.mark.parametrize("taps", [(1, 3, 3, 1), (1, 2, 1), (1, 1), (1, 4, 9, 8, 5, 2)])
@torch.inference_mode()
def test_tensorflow_variables_give_the_picture_of_that_program(
    tmp_path, architecture, taps
):
    network = make_stylegan2(architecture=architecture, resample_filter=taps)
    protocol = 2 + len(taps) % 3
    path = write_tensorflow(
        network, tmp_path / "g", protocol=protocol, resample_kernel=list(taps)
    )
    read = load(path)
    assert_same_network(read, network)
    z = torch.randn(2, network.config.z_dim, dtype=torch.float64)
    variables = tensorflow_variables(network)
    expected = tensorflow_image(variables, z, 16, architecture, taps)
    read = read.double()
    exact = {"rtol": 1e-6, "atol": 1e-6}  # filters are kept in float32
    torch.testing.assert_close(read.synthesis(read.mapping(z)), expected, **exact)


# Arguments of the TensorFlow program at their defaults, which change nothing.
DEFAULTS = {
    "truncation_psi": 0.5,
    "truncation_cutoff": None,
    "dlatent_avg_beta": 0.995,
    **dict.fromkeys(("is_training", "is_validation", "return_dlatents"), False),
    **dict.fromkeys(("is_template_graph", "force_clean_graph"), False),
    **dict.fromkeys(("normalize_latents", "randomize_noise", "use_noise"), True),
    **dict.fromkeys(("mapping_nonlinearity", "nonlinearity"), "lrelu"),
    "style_mixing_prob": 0.9,
    "dtype": "float32",
    "structure": "auto",
    "mapping_fmaps": 10,
    "mapping_lrmul": 0.01,
    "label_fmaps": None,
    **dict.fromkeys(("resolution_w", "resolution_h"), 16),
    "fmap_decay": 1.0,
    "fmap_min": 1,
    "resample_kernel": [1, 3, 3, 1],
    "fused_modconv": True,
    "num_fp16_res": 0,
    "conv_clamp": None,
}


@pytest.mark.parametrize(
    ("changes", "arguments"),
    [
        ({}, DEFAULTS),
        ({"c_dim": 3, "embed_features": 4}, {}),
        ({"mapping_features": 7}, {}),
    ],
)
def test_tensorflow_arguments_without_effect_are_passed_over(
    tmp_path, changes, arguments
):
    network = make_stylegan2(**changes)
    path = write_tensorflow(network, tmp_path / "g.pkl", **arguments)
    assert_same_network(load(path), network)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"nonlinearity": "relu"}, "nonlinearity is not lrelu"),
        ({"use_wavelets": True}, "unknown argument 'use_wavelets'"),
        ({"resolution_w": 32}, "images that are not square"),
        ({"resolution_h": 8, "resolution_w": 16}, "images that are not square"),
    ],
)
def test_tensorflow_arguments_that_change_the_network_are_refused(
    tmp_path, arguments, match
):
    path = write_tensorflow(make_stylegan2(), tmp_path / "a.pkl", **arguments)
    with pytest.raises(InputError, match=match):
        read_stylegan_file(path)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"resolution": 32, "channel_base": 80, "mapping_layers": 5},
        {"resample_filter": (1, 2, 1)},
    ],
)
@torch.inference_mode()
def test_a_checkpoint_of_rosinality_gives_the_picture_of_that_program(
    tmp_path, changes, legacy
):
    network = make_stylegan2(z_dim=10, **changes)
    config = network.config
    read = load(write_rosinality(network, tmp_path / "g.pt", legacy=legacy))
    assert read.config.resample_filter == config.resample_filter
    assert_same_network(read, network)
    z = torch.randn(2, 10, dtype=torch.float64)
    state = rosinality_state(network)
    expected = rosinality_image(state, z, config.mapping_layers)
    read = read.double()
    torch.testing.assert_close(read.synthesis(read.mapping(z)), expected)


@pytest.mark.parametrize("lr", [0.01, 1.0])
def test_a_file_without_the_mean_of_w_gets_the_same_one_each_time(tmp_path, lr):
    network = make_stylegan2(z_dim=10, mapping_lr=lr)
    with torch.inference_mode():
        mean = network.mapping(torch.randn(20_000, 10))[:, 0].mean(0)
    path = tmp_path / "g"
    if lr == 0.01:  # rosinality's programs have no other
        write_rosinality(network, path, with_mean=False)
    else:
        del network.mapping._buffers["w_avg"]
        write_nvidia(network, path)
    first, second = load(path), load(path)
    torch.testing.assert_close(first.mapping.w_avg, mean, rtol=0, atol=0.1)
    assert torch.equal(first.mapping.w_avg, second.mapping.w_avg)


@pytest.mark.parametrize("taps", [(1, 3, 3, 1), (1, 2, 1)])
def test_lafite_is_recognised_with_its_tensors(tmp_path, taps):
    network = make_lafite(resample_filter=taps)
    read = load(write_lafite(network, tmp_path / "l.pkl"))
    assert read.config == network.config
    assert_same_weights(read, network)
    assert "synthesis.b8.conv0.affine_0.weight" in read.state_dict()


def test_a_lafite_that_lacks_a_layer_is_refused(tmp_path):
    network = make_lafite()
    del network.synthesis.b16.torgb.affine.scale_layer_1
    match = r"synthesis\.b16\.torgb\.scale_layer_1\.bias"
    with pytest.raises(InputError, match=match):
        read_stylegan_file(write_lafite(network, tmp_path / "l.pkl"))


@pytest.mark.parametrize("name", ["sg2_small", "sg3t_small"])
@torch.inference_mode()
def test_the_conformance_files_give_their_golden_pictures(name):
    network = load(conformance_file(f"{name}.stripped.pkl"))
    golden = read_golden(f"{name}.golden.npz")
    for w, given in (
        ("w_psi1", (1.0, None)),
        ("w_psi07", (0.7, None)),
        ("w_psi07_cut", (0.7, int(golden["truncation_cutoff"]))),
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
