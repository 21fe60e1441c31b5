"""The encoder from pictures to w: its training, its file, the one that ships."""

import json

import pytest
import torch
from projects import load_parameters
from safetensors.torch import save_file
from shipped import WEIGHTS
from world import ColourGenerator, make_colour_pairs, make_models, seeded

from clip2latent_kedro.checked import read_settings
from clip2latent_kedro.editing.inversion.config import InversionConfig
from clip2latent_kedro.editing.inversion.invert import invert_pictures
from clip2latent_kedro.editing.inversion.inverter import (
    export_inverter,
    load_inverter,
)
from clip2latent_kedro.editing.inversion.inverter_training import (
    InverterTrainingConfig,
    inverter_statistics,
    train_inverter,
)
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.errors import InputError, MissingError
from clip2latent_kedro.generators import load_generator
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.pairs import TrainingPairs
from clip2latent_kedro.training.state import pack_state, unpack_state

CONFIG = InverterTrainingConfig(
    width=8, num_pictures=600, max_it=60, bs=16, lr=0.01, weight_decay=0.0,
    noise=0.0, ema_beta=0.9, val_pairs=20, save_it=20,
)  # fmt: skip


class LargeColours(ColourGenerator):
    """The colour of w, brighter to the right."""

    resolution = 16

    def synthesis(self, w, *, noise_mode="const"):
        ramp = torch.linspace(0.5, 1, 16)
        colour = w.mean(dim=1)[:, :, None, None]
        return (colour * ramp).expand(-1, -1, 16, 16)


def make_pairs(num_pairs=700):
    pairs = make_colour_pairs(num_pairs)
    recipe = {**pairs.recipe, "latent_repeats": [2]}
    return TrainingPairs(pairs.w, pairs.clip_embedding, recipe)


def train(start=None, **changes):
    config = InverterTrainingConfig(**{**vars(CONFIG), **changes})
    states = train_inverter(
        LargeColours(), make_pairs(), config, seed=0, device="cpu", start=start
    )
    return list(states)


@pytest.fixture(scope="module")
def states():
    return train()


@pytest.fixture(scope="module")
def path(states, tmp_path_factory):
    tensors, metadata = export_inverter(
        states[-1].ema, inverter_statistics(make_pairs(), CONFIG), LargeColours(),
        [2], CONFIG.width,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("inverter") / "inverter.safetensors"
    save_file(tensors, path, metadata)
    return path


def test_it_learns_w(states):
    first, *_, last = [row["latent"] for row in states[-1].history]
    assert last < first
    assert last < 0.25  # of a variance of 1
    assert [state.step for state in states] == [20, 40, 60]


def test_resumed_is_uninterrupted(states):
    tensors, strings = pack_state(states[0])
    resumed = train(unpack_state((tensors, strings)))
    assert [state.step for state in resumed] == [40, 60]
    for name, weight in states[-1].ema.items():
        assert torch.equal(resumed[-1].ema[name], weight)
    assert resumed[-1].history == states[-1].history


def test_other_settings_do_not_go_on(states):
    with pytest.raises(InputError, match=r"inverter.lr \(stored 0.01, asked 0.02\)"):
        train(states[0], lr=0.02)
    with pytest.raises(InputError, match="must be 701 or more, of which"):
        train(val_pairs=700)


def test_its_file_gives_w_of_every_layer(path, states):
    inverter = load_inverter(path, {})
    w = torch.randn(5, 1, 3, generator=seeded()) / 4
    w = w.expand(-1, 2, -1)
    found = inverter(LargeColours().synthesis(w))
    assert found.shape == (5, 2, 3)
    assert torch.equal(found[:, 0], found[:, 1])
    assert (found - w).square().mean() < 0.3 * w.square().mean()
    large = LargeColours().synthesis(w).repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(inverter(large), found, atol=0.05, rtol=0)
    assert inverter.generator_identity == ColourGenerator.identity


def test_inversion_starts_from_it(path):
    inverter = load_inverter(path, {})
    picture = LargeColours().synthesis(torch.full((1, 2, 3), 0.2))
    config = InversionConfig(start="encoder", num_steps=0, perceptual_weight=0.0)

    def invert(generator):
        base = make_models(generator=generator)
        models = EditingModels(models=base, image_inverter=inverter)
        return invert_pictures(picture, models, config, seed=0).w

    torch.testing.assert_close(invert(LargeColours()), inverter(picture))

    class Other(LargeColours):
        identity = Identity("other", "99")

    with pytest.raises(InputError, match=r"gives w of colours@00, got the generator o"):
        invert(Other())


def test_other_files_are_refused(path, tmp_path):
    with pytest.raises(MissingError, match="Run the pipeline inverter"):
        load_inverter(tmp_path / "none", {})
    with pytest.raises(InputError, match="has no options"):
        load_inverter(path, {"x": 1})
    header = {"kind": "clip2gan"}
    for metadata in ({"config": json.dumps(header)}, {}):
        save_file({"w_mean": torch.zeros(1, 3)}, tmp_path / "x.safetensors", metadata)
        with pytest.raises(InputError, match="must hold an image_inverter as the"):
            load_inverter(tmp_path / "x.safetensors", {})


def test_the_shipped_one_finds_w_of_the_portraits():
    """Of w that it has not seen, up to 8 % of their variance."""
    file = WEIGHTS / "inverter.safetensors"
    assert file.stat().st_size <= 1_000_000
    inverter = load_inverter(file, {})
    generator = load_generator("stylegan2", WEIGHTS / "generator.safetensors")
    inverter.check_generator(generator)
    w = generator.mapping(torch.randn(32, generator.z_dim, generator=seeded(9)))
    error = (inverter(generator.synthesis(w)) - w).square().mean()
    assert error < 0.08 * w.var(dim=0).mean()


def test_the_shipped_one_is_of_the_settings_of_conf():
    tree = load_parameters()["editing"]["inverter"]
    config = read_settings(InverterTrainingConfig, tree)
    network = load_inverter(WEIGHTS / "inverter.safetensors", {}).network
    assert network.stages[0].out_channels == config.width
