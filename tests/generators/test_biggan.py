import json
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators import load_generator
from clip2latent_kedro.generators.biggan import truncated_normal
from clip2latent_kedro.generators.biggan_layers import (
    BigGan,
    BigGanConfig,
    BlockConfig,
    ConditionedNorm,
    SelfAttention,
)
from clip2latent_kedro.interfaces import Generator

Z_DIM, NUM_CLASSES, WIDTH, NUM_STATISTICS = 8, 5, 8, 51
# (doubles the resolution, channels before, channels after), over WIDTH
LAYERS = [(False, 4, 4), (True, 4, 4), (False, 4, 4), (True, 4, 2), (False, 2, 2)]
LAYERS += [(True, 2, 1)]
ATTENTION = 4


def normed(module):
    """A module as torch's own spectral norm stores it, singular vectors converged."""
    module = nn.utils.spectral_norm(module)
    for _ in range(30):
        module.train()(
            torch.zeros(1, module.weight.shape[1], *[3] * (module.weight_orig.ndim - 2))
        )
    return module.eval()


def make_state(seed=0):
    """A state dict with the names of pytorch-pretrained-BigGAN, and random values.

    `reference` reads it by these names. Its picture has more channels than are seen.
    """
    torch.manual_seed(seed)
    blocks = tuple(
        BlockConfig(before * WIDTH, after * WIDTH, before * WIDTH // 4, up)
        for up, before, after in LAYERS
    )
    network = BigGan(BigGanConfig(Z_DIM, NUM_CLASSES, blocks, ATTENTION, 1e-4))
    network.conv_to_rgb = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
    state = {"embeddings.weight": torch.randn(Z_DIM, NUM_CLASSES)}
    for path, module in network.named_modules():
        name = f"generator.{path}"
        if isinstance(module, nn.Linear | nn.Conv2d):
            stored = normed(module).state_dict()
            state |= {f"{name}.{key}": value for key, value in stored.items()}
            state[f"{name}.weight_orig"] *= 3  # not of norm 1
        elif isinstance(module, ConditionedNorm | nn.BatchNorm2d):
            shape = NUM_STATISTICS, len(next(module.buffers()))
            state[f"{name}.running_means"] = torch.randn(shape) / 3
            state[f"{name}.running_vars"] = 0.5 + torch.rand(shape)
        elif isinstance(module, SelfAttention):
            state[f"{name}.gamma"] = torch.tensor([0.7])
    state["generator.bn.weight"] = 1 + torch.randn(WIDTH) / 3
    state["generator.bn.bias"] = torch.randn(WIDTH) / 3
    return state


def reference(state, w, truncation):
    """The network written out, op by op, from the stored tensors."""

    def weight(name):
        stored = state[f"{name}.weight_orig"]
        matrix = stored.flatten(1)
        sigma = state[f"{name}.weight_u"] @ matrix @ state[f"{name}.weight_v"]
        return stored / sigma

    def convolve(x, name, padding=0):
        return F.conv2d(x, weight(name), state.get(f"{name}.bias"), padding=padding)

    def statistics(name):
        place = truncation * (NUM_STATISTICS - 1)
        low, high = math.floor(place + 1e-9), math.ceil(place - 1e-9)
        share = place - low
        return [
            (1 - share) * state[f"{name}.{kind}"][low]
            + share * state[f"{name}.{kind}"][high]
            for kind in ("running_means", "running_vars")
        ]

    def norm(x, name):
        mean, var = (rows[None, :, None, None] for rows in statistics(name))
        x = (x - mean) / torch.sqrt(var + 1e-4)
        scale = 1 + w @ weight(f"{name}.scale").T
        offset = w @ weight(f"{name}.offset").T
        return torch.relu(x * scale[..., None, None] + offset[..., None, None])

    def attend(x, name):
        n, channels, h, _ = x.shape
        pooled = [
            F.max_pool2d(convolve(x, f"{name}.snconv1x1_{part}"), 2).flatten(2)
            for part in ("phi", "g")
        ]
        query = convolve(x, f"{name}.snconv1x1_theta").flatten(2)
        share = torch.softmax(query.transpose(1, 2) @ pooled[0], dim=-1)
        seen = (pooled[1] @ share.transpose(1, 2)).view(n, channels // 2, h, h)
        return x + state[f"{name}.gamma"] * convolve(seen, f"{name}.snconv1x1_o_conv")

    def double(x):
        return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)

    gen_z = w @ weight("generator.gen_z").T + state["generator.gen_z.bias"]
    x = gen_z.view(len(w), 4, 4, -1).permute(0, 3, 1, 2)
    place = 0
    for index, (up, _, after) in enumerate(LAYERS):
        if index == ATTENTION:
            x = attend(x, f"generator.layers.{place}")
            place += 1
        name = f"generator.layers.{place}"
        skip = x[:, : after * WIDTH]
        x = convolve(norm(x, f"{name}.bn_0"), f"{name}.conv_0")
        x = norm(x, f"{name}.bn_1")
        if up:
            x, skip = double(x), double(skip)
        x = norm(convolve(x, f"{name}.conv_1", 1), f"{name}.bn_2")
        x = norm(convolve(x, f"{name}.conv_2", 1), f"{name}.bn_3")
        x = skip + convolve(x, f"{name}.conv_3")
        place += 1
    mean, var = (rows[:, None, None] for rows in statistics("generator.bn"))
    gain, shift = state["generator.bn.weight"], state["generator.bn.bias"]
    x = (x - mean) / torch.sqrt(var + 1e-4) * gain[:, None, None] + shift[:, None, None]
    x = convolve(torch.relu(x), "generator.conv_to_rgb", 1)
    return torch.tanh(x[:, :3])


@pytest.fixture(scope="module")
def state():
    return make_state()


@pytest.fixture
def path(state, tmp_path):
    torch.save(state, tmp_path / "pytorch_model.bin")
    return tmp_path / "pytorch_model.bin"


@pytest.mark.parametrize("truncation", [1.0, 0.4, 0.7, 0.55, 0.013])
def test_it_draws_what_the_stored_tensors_say(state, path, truncation):
    generator = load_generator("biggan", path, {"truncation": truncation})
    assert isinstance(generator, Generator)
    assert (generator.z_dim, generator.w_dim) == (Z_DIM + NUM_CLASSES, 2 * Z_DIM)
    assert (generator.num_ws, generator.resolution) == (1, 32)
    w = generator.mapping(torch.randn(6, generator.z_dim))
    made = generator.synthesis(w)
    expected = reference(state, w[:, 0], truncation)
    assert expected.std() > 0.05
    torch.testing.assert_close(made, expected, atol=2e-5, rtol=1e-4)


def test_noise_is_a_normal_cut_off_at_two():
    """Its distribution is Phi between -2 and 2, in the order of z."""
    z = torch.randn(40_000, generator=torch.Generator().manual_seed(0)).sort().values
    noise = truncated_normal(z)
    assert bool((noise.diff() >= 0).all())
    assert noise.abs().max() <= 2
    bounds = torch.tensor([-2.0, 2.0, -1.0, 0.5]).double()
    low, high, *inside = torch.special.ndtr(bounds)
    for x, share in zip((-1.0, 0.5), inside, strict=True):
        expected = float((share - low) / (high - low))
        assert (noise <= x).double().mean().item() == pytest.approx(expected, abs=0.01)


def test_the_class_is_the_largest_number_and_psi_shrinks_the_noise(state, path):
    generator = load_generator("biggan", path, {"truncation": 0.5})
    z = torch.randn(64, generator.z_dim)
    w = generator.mapping(z)[:, 0]
    classes = z[:, Z_DIM:].argmax(dim=1)
    assert set(classes.tolist()) == set(range(NUM_CLASSES))
    torch.testing.assert_close(w[:, Z_DIM:], state["embeddings.weight"].T[classes])
    torch.testing.assert_close(w[:, :Z_DIM], 0.5 * truncated_normal(z[:, :Z_DIM]))
    half = generator.mapping(z, psi=0.5)[:, 0]
    torch.testing.assert_close(half[:, :Z_DIM], 0.5 * w[:, :Z_DIM])
    torch.testing.assert_close(half[:, Z_DIM:], w[:, Z_DIM:])


def test_a_class_label_draws_that_class(state, path):
    generator = load_generator("biggan", path, {"class_label": 3})
    assert generator.z_dim == Z_DIM + NUM_CLASSES
    w = generator.mapping(torch.randn(7, generator.z_dim))[:, 0]
    own = state["embeddings.weight"][:, 3]
    torch.testing.assert_close(w[:, Z_DIM:], own.expand(7, -1))
    torch.testing.assert_close(generator.w_avg, torch.cat([torch.zeros(Z_DIM), own]))
    any_class = load_generator("biggan", path)
    mean = torch.cat([torch.zeros(Z_DIM), state["embeddings.weight"].mean(dim=1)])
    torch.testing.assert_close(any_class.w_avg, mean)
    assert generator.identity.name == "biggan-deep-32/truncation-1/class-3"
    assert generator.identity.digest == any_class.identity.digest
    assert generator.identity != any_class.identity


def test_a_file_without_right_singular_vectors_finds_them(state, path, tmp_path):
    """Files of PyTorch before 1.1 have u alone, converged enough for v."""
    kept = {name: v for name, v in state.items() if not name.endswith("weight_v")}
    torch.save(kept, tmp_path / "old.bin")
    w = torch.randn(2, 1, 2 * Z_DIM)
    torch.testing.assert_close(
        load_generator("biggan", tmp_path / "old.bin").synthesis(w),
        load_generator("biggan", path).synthesis(w),
        atol=1e-3,
        rtol=1e-3,
    )


def test_the_config_says_where_the_resolution_doubles(state, path, tmp_path):
    layers = [[False, *sizes] for _, *sizes in LAYERS]
    layers[-1][0] = True
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"layers": layers, "output_dim": 8}))
    assert load_generator("biggan", path).resolution == 8
    config.write_text(json.dumps({"layers": layers, "output_dim": 16}))
    with pytest.raises(InputError, match=r"draws 8 pixels, its config says 16"):
        load_generator("biggan", path)
    config.write_text(json.dumps({"layers": layers[1:]}))
    with pytest.raises(InputError, match=r"config has 5 blocks, the file 6"):
        load_generator("biggan", path)
    config.write_text("[]")
    with pytest.raises(InputError, match=r"config\.json must be BigGAN's config"):
        load_generator("biggan", path)
    config.unlink()
    with pytest.raises(InputError, match=r"elsewhere\.json must be BigGAN's config"):
        load_generator("biggan", path, {"config": str(tmp_path / "elsewhere.json")})


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"class_label": 5}, "class_label must be a whole number from 0 to 4, got 5"),
        ({"truncation": 0}, "truncation must be a number, above 0 and at"),
        (
            {"classes": 1},
            "classes is not a parameter. Did you mean op",
        ),
    ],
)
def test_options_that_do_not_suit_are_refused(path, options, reason):
    with pytest.raises(InputError, match=reason):
        load_generator("biggan", path, options)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"embeddings.weight": None}, "lacks 'embeddings.weight'"),
        ({"generator.gen_z.weight_u": None}, "lacks 'generator.gen_z.weight_u'"),
        ({"generator.layers.2.conv_1.bias": None}, r"Missing key.*2\.conv_1\.bias"),
        ({"generator.extra": torch.ones(1)}, "Unexpected key.*extra"),
        ({"generator.gen_z.bias": torch.ones(3)}, "size mismatch for gen_z.bias"),
    ],
)
def test_a_file_that_lacks_something_is_refused(state, change, reason, tmp_path):
    changed = {k: v for k, v in {**state, **change}.items() if v is not None}
    torch.save(changed, tmp_path / "changed.bin")
    with pytest.raises(InputError, match=reason):
        load_generator("biggan", tmp_path / "changed.bin")
