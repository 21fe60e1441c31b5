import json
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators import load_generator
from clip2latent_kedro.generators.biggan import at_truncation, truncated_normal
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
    """A state dict with the names of pytorch-pretrained-BigGAN, and random values."""
    torch.manual_seed(seed)
    w_dim, modules, extra = 2 * Z_DIM, {}, {}

    def norm(name, channels, conditional=True):
        extra[f"{name}.running_means"] = torch.randn(NUM_STATISTICS, channels) / 3
        extra[f"{name}.running_vars"] = 0.5 + torch.rand(NUM_STATISTICS, channels)
        if conditional:
            modules[f"{name}.scale"] = nn.Linear(w_dim, channels, bias=False)
            modules[f"{name}.offset"] = nn.Linear(w_dim, channels, bias=False)
        else:
            extra[f"{name}.weight"] = 1 + torch.randn(channels) / 3
            extra[f"{name}.bias"] = torch.randn(channels) / 3

    first = LAYERS[0][1] * WIDTH
    modules["generator.gen_z"] = nn.Linear(w_dim, 16 * first)
    place = 0
    for index, (_, before, after) in enumerate(LAYERS):
        if index == ATTENTION:
            name, channels = f"generator.layers.{place}", before * WIDTH
            for part, size in (("theta", 8), ("phi", 8), ("g", 2)):
                convolution = nn.Conv2d(channels, channels // size, 1, bias=False)
                modules[f"{name}.snconv1x1_{part}"] = convolution
            convolution = nn.Conv2d(channels // 2, channels, 1, bias=False)
            modules[f"{name}.snconv1x1_o_conv"] = convolution
            extra[f"{name}.gamma"] = torch.tensor([0.7])
            place += 1
        name, middle = f"generator.layers.{place}", before * WIDTH // 4
        sizes = [before * WIDTH, middle, middle, middle, after * WIDTH]
        for n, kernel in enumerate((1, 3, 3, 1)):
            norm(f"{name}.bn_{n}", sizes[n])
            convolution = nn.Conv2d(sizes[n], sizes[n + 1], kernel, padding=kernel // 2)
            modules[f"{name}.conv_{n}"] = convolution
        place += 1
    norm("generator.bn", WIDTH, conditional=False)
    modules["generator.conv_to_rgb"] = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
    state = {"embeddings.weight": torch.randn(Z_DIM, NUM_CLASSES), **extra}
    for name, module in modules.items():
        stored = normed(module).state_dict()
        state |= {f"{name}.{key}": value for key, value in stored.items()}
        state[f"{name}.weight_orig"] = state[f"{name}.weight_orig"] * 3  # not of norm 1
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


def test_statistics_are_linear_between_those_stored():
    stored = torch.arange(51.0)[:, None].square().double()
    for number in range(51):
        torch.testing.assert_close(at_truncation(stored, number / 50), stored[number])
    between = at_truncation(stored, 0.345)  # a quarter of the way from 17 to 18
    torch.testing.assert_close(between, 0.75 * stored[17] + 0.25 * stored[18])


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


def test_w_avg_is_no_noise_and_the_mean_class(state, path):
    embeddings = state["embeddings.weight"]
    w_avg = load_generator("biggan", path).w_avg
    torch.testing.assert_close(w_avg[:Z_DIM], torch.zeros(Z_DIM))
    torch.testing.assert_close(w_avg[Z_DIM:], embeddings.mean(dim=1))


def test_a_class_label_draws_that_class(state, path):
    generator = load_generator("biggan", path, {"class_label": 3})
    assert generator.z_dim == Z_DIM + NUM_CLASSES
    w = generator.mapping(torch.randn(7, generator.z_dim))[:, 0]
    own = state["embeddings.weight"][:, 3]
    torch.testing.assert_close(w[:, Z_DIM:], own.expand(7, -1))
    torch.testing.assert_close(generator.w_avg[Z_DIM:], own)
    any_class = load_generator("biggan", path)
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
