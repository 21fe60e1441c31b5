"""CLIP2GAN's losses and training against closed forms."""

import math
from dataclasses import replace

import pytest
import torch
from methods.clip2gan_world import (
    SPREAD,
    configure,
    make_pairs,
    statistics_of,
    train,
)
from torch.nn import functional as F
from training.test_fit import assert_same
from world import ColourEncoder

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.latents import fit_gaussian
from clip2latent_kedro.methods.clip2gan.losses import (
    clip_distance,
    latent_distance,
    pixel_distance,
)
from clip2latent_kedro.methods.clip2gan.training import build_mapping
from clip2latent_kedro.training.state import pack_state, stored_state

EXACT = {"rtol": 0, "atol": 0}


def trained_network(state, pairs, **changes):
    network = build_mapping(3, statistics_of(pairs), configure(**changes), seed=0)
    network.load_state_dict(state.ema)
    return network


def colours_of(network, pairs, embedding):
    with torch.no_grad():
        return statistics_of(pairs).denormalise(network(embedding))[:, 0]


def directions(num=64):
    random = torch.Generator().manual_seed(4)
    return F.normalize(torch.randn(num, 3, generator=random), dim=1)


def test_from_latents_it_learns_the_mean_of_w_given_the_direction():
    pairs = make_pairs(4000)
    changes = {
        "max_it": 200,
        "images_from": 200,
        "save_it": 200,
        "bs": 128,
        "embed_noise_scale": 0.0,
        "dim": 32,
        "val_pairs": 200,
        "ema_beta": 0.98,
    }
    (state,) = train(pairs=pairs, **changes)
    u = directions()
    w = colours_of(trained_network(state, pairs, **changes), pairs, u)
    expected = SPREAD * math.sqrt(8 / math.pi) * u
    torch.testing.assert_close(w, expected, atol=0.05, rtol=0)


def test_from_embeddings_alone_it_learns_the_direction():
    changes = {
        "max_it": 150,
        "images_from": 0,
        "save_it": 150,
        "embed_noise_scale": 0.0,
        "latent_weight": 0.0,
        "pixel_weight": 0.0,
    }
    pairs = make_pairs()
    (state,) = train(pairs=pairs, **changes)
    u = directions()
    w = colours_of(trained_network(state, pairs, **changes), pairs, u)
    assert F.cosine_similarity(w, u).mean() > 0.97


def test_resumed_equals_uninterrupted_bit_for_bit():
    whole = train()
    assert [state.step for state in whole] == [2, 4, 6]
    resumed = train(start=stored_state(pack_state(whole[0])))
    assert [state.step for state in resumed] == [4, 6]
    assert_same(resumed[-1], whole[-1])


def test_images_count_from_their_step_on():
    first, last, _ = (state.ema for state in train(max_it=6, images_from=3))
    without, later, _ = (state.ema for state in train(max_it=6, images_from=6))
    torch.testing.assert_close(first, without, **EXACT)
    assert not torch.equal(last["project.weight"], later["project.weight"])


def test_noise_turns_what_the_network_sees():
    with_noise, without = (
        train(embed_noise_scale=scale)[-1].ema for scale in (0.5, 0.0)
    )
    assert not torch.equal(with_noise["embed.weight"], without["embed.weight"])


def test_history_measures_held_out_pairs_without_noise():
    pairs = make_pairs()
    states = train(pairs=pairs, lr=1e-12, embed_noise_scale=5.0, images_from=0)
    rows = states[-1].history
    assert [row["step"] for row in rows] == [2, 4, 6]

    # The network still gives the mean of w, whatever it sees.
    statistics = statistics_of(pairs)
    gaussian = fit_gaussian(torch.from_numpy(pairs.w)[:-20])
    w = torch.from_numpy(pairs.w)[-20:]
    embedding = torch.from_numpy(pairs.clip_embedding)[-20:]
    off = w - statistics.mean
    cosine = F.cosine_similarity(statistics.mean.expand(20, 3), embedding)
    expected = {
        "latent": float(gaussian.whiten(off).square().mean()),
        "pixel": float(off.abs().mean()),
        "clip": float((1 - cosine).mean()),
    }
    for row in rows:
        assert {name: row[name] for name in expected} == pytest.approx(expected, 1e-4)


def test_latent_distance_is_in_units_of_the_gaussian():
    random = torch.Generator().manual_seed(0)
    w = torch.randn(5000, 1, 4, generator=random) @ torch.randn(4, 4, generator=random)
    gaussian = fit_gaussian(w)
    shifted = w + 2 * (gaussian.axes[0] * gaussian.std[0])[:, 1]
    # Two standard deviations along one of four axes.
    distance = latent_distance(shifted, w, gaussian)
    torch.testing.assert_close(distance, torch.tensor(4 / 4.0), rtol=1e-4, atol=0)


@pytest.mark.parametrize(("low_pass", "expected"), [(1, 1.0), (2, 0.0), (4, 0.0)])
def test_a_low_pass_filter_does_not_see_a_checkerboard(low_pass, expected):
    rows, columns = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    board = (1.0 - 2 * ((rows + columns) % 2)).expand(2, 3, 8, 8)
    flat = torch.full_like(board, 0.5)
    assert float(pixel_distance(flat + board, flat, low_pass)) == pytest.approx(
        expected
    )
    brighter = pixel_distance(flat + 0.25, flat, low_pass)
    assert float(brighter) == pytest.approx(0.25)


def test_clip_distance_is_of_directions():
    target = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])
    given = torch.tensor([[5.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    assert float(clip_distance(given, target)) == pytest.approx((0 + 1 + 2) / 3)


@pytest.mark.parametrize("role", ["generator", "encoder"])
def test_pairs_of_other_models_are_refused(role):
    pairs = make_pairs()
    other = replace(pairs, recipe={**pairs.recipe, role: "another@99"})
    with pytest.raises(InputError, match=f"made with the {role} .*another@99"):
        train(pairs=other)


def test_another_encoder_is_refused():
    encoder = ColourEncoder()
    encoder.identity = Identity("another", "77")
    with pytest.raises(InputError, match="made with the encoder another@77"):
        train(encoder=encoder)


def test_a_loss_that_is_not_finite_is_told():
    pairs = make_pairs()
    embedding = pairs.clip_embedding.copy()
    embedding[:150] = float("nan")
    with pytest.raises(InputError, match=r"must be finite.*Lower baselines\.clip2gan"):
        train(pairs=replace(pairs, clip_embedding=embedding))
