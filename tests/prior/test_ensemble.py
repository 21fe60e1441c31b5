from dataclasses import replace

import numpy as np
import pytest
import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.pairs import TrainingPairs
from clip2latent_kedro.prior.ensemble import Member, train_alone, train_together
from prior.toy import (
    make_data_config,
    make_diffusion_config,
    make_network_config,
    make_pairs,
    make_train_config,
)

PAIRS = make_pairs(80)
TEXT_MEAN = torch.tensor([0.1, 0.2, 0.3, 0.4])


def make_member(seed=3, scale=0.5, num_pairs=None, network=None, **changes):
    return Member(
        make_data_config(embed_noise_scale=scale),
        make_network_config(**(network or {"noise_level_input": True})),
        make_diffusion_config(),
        make_train_config(**{"lr": 3e-3, **changes}),
        seed,
        num_pairs,
    )


def weights(prior):
    return dict(prior.network.state_dict())


def assert_equal_priors(ours, theirs):
    for name, weight in weights(theirs).items():
        torch.testing.assert_close(weights(ours)[name], weight, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(ours.statistics.mean, theirs.statistics.mean)
    torch.testing.assert_close(ours.gaussian.radii, theirs.gaussian.radii)
    torch.testing.assert_close(
        ours.embedding_statistics.text_mean, theirs.embedding_statistics.text_mean
    )
    assert ours.embed_noise_scale == theirs.embed_noise_scale
    assert ours.generator_identity == theirs.generator_identity
    assert ours.encoder_identity == theirs.encoder_identity


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"clip_grad": 0.05, "lr_decay": "cosine", "warmup_it": 4},
        {"buffer_pairs": 32, "ema_update_every": 1},
        {"network": {"noise_level_input": False, "depth": 1}, "znorm_latent": False},
    ],
)
def test_each_member_learns_what_it_learns_alone(changes):
    members = [
        make_member(3, 0.0, **changes),
        make_member(4, 1.5, **changes),
        make_member(3, 0.5, num_pairs=24, **changes),
        make_member(3, 0.5, **{**changes, "ema_beta": 0.0}),
    ]
    together = train_together(PAIRS, members, device="cpu", text_mean=TEXT_MEAN)
    alone = [
        train_alone(PAIRS, member, device="cpu", text_mean=TEXT_MEAN)
        for member in members
    ]
    for ours, theirs in zip(together, alone, strict=True):
        assert_equal_priors(ours, theirs)
        assert not ours.training
        assert not any(p.requires_grad for p in ours.parameters())
    first = torch.cat([w.flatten() for w in weights(together[0]).values()])
    for other in together[1:]:
        learnt = torch.cat([w.flatten() for w in weights(other).values()])
        assert (learnt - first).abs().max() > 1e-3  # they differ by more than rounding


def test_a_member_sees_no_pair_beyond_its_own():
    short = make_member(num_pairs=40)
    w, embedding = PAIRS.w.copy(), PAIRS.clip_embedding.copy()
    w[40:], embedding[40:] = np.nan, np.nan
    spoilt = TrainingPairs(w, embedding, PAIRS.recipe)
    (ours,) = train_together(spoilt, [short], device="cpu")
    (theirs,) = train_together(PAIRS, [short], device="cpu")
    for name, weight in weights(theirs).items():
        assert torch.equal(weights(ours)[name], weight), name


def test_a_member_that_diverges_leaves_the_others_standing():
    w, embedding = PAIRS.w.copy(), PAIRS.clip_embedding.copy()
    embedding[40:] = np.inf
    spoilt = TrainingPairs(w, embedding, PAIRS.recipe)
    members = [make_member(num_pairs=40), make_member()]
    good, bad = train_together(spoilt, members, device="cpu")
    assert bad is None
    assert_equal_priors(good, train_alone(PAIRS, members[0], device="cpu"))


def test_members_that_do_not_fit_together_are_refused():
    one = make_member()
    wider = replace(one, network=replace(one.network, dim=16))
    transformer = replace(one, network=replace(one.network, kind="clip2latent"))
    for members in ([one, wider], [transformer]):
        with pytest.raises(ValueError, match="members must be priors of one"):
            train_together(PAIRS, members, device="cpu")
    assert not transformer.can_be_stacked
    assert not make_member(precision="bfloat16").can_be_stacked


def test_more_pairs_than_there_are_is_refused():
    with pytest.raises(InputError, match=r"num_pairs must be at most the 80 .* got 81"):
        train_together(PAIRS, [make_member(num_pairs=81)], device="cpu")
