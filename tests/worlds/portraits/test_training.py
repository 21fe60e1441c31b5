"""Every model of the domain is trained as `fit` promises."""

import pytest
import torch
from worlds.portraits import test_clip, test_generator, test_judge, test_vae

from clip2latent_kedro.training.state import pack_state, stored_state
from clip2latent_kedro.worlds.portraits.clip import (
    ClipFinetuneConfig,
    clip_task,
    finetune_task,
)
from clip2latent_kedro.worlds.portraits.generator import generator_task
from clip2latent_kedro.worlds.portraits.judge import judge_task
from clip2latent_kedro.worlds.portraits.vae import flow_task, vae_task
from clip2latent_kedro.worlds.training import train_model

CLOSER = ClipFinetuneConfig(4, 1e-3, 1.0, {"expression": 4.0}, save_every=2)
# Of another model: its task, its settings, and settings of what it starts from.
MODELS = {
    "judge": (judge_task, test_judge.TINY, None),
    "generator": (generator_task, test_generator.TINY, None),
    "clip": (clip_task, test_clip.CONFIG, None),
    "clip_finetune": (finetune_task, CLOSER, ("clip", clip_task, test_clip.CONFIG)),
    "vae": (vae_task, test_vae.TINY, None),
    "vae_flow": (flow_task, test_vae.FLOW, ("vae", vae_task, test_vae.TINY)),
}


def train(name, seed=0, start=None):
    task, config, first = MODELS[name]
    given = ()
    if first:
        *_, trained = train_model(*first, seed=0, device="cpu")
        given = trained, first[-1]
    return list(
        train_model(name, task, config, *given, seed=seed, device="cpu", start=start)
    )


@pytest.mark.parametrize("name", MODELS)
def test_training_goes_on_bit_for_bit_from_a_stored_state(name):
    before = torch.get_rng_state()
    first, *later = whole = train(name)
    if MODELS[name][2] is None:  # the others build what they start from
        assert torch.equal(torch.get_rng_state(), before)
    assert len(whole) > 1
    resumed = train(name, start=stored_state(pack_state(first)))
    for one, other in zip(later, resumed, strict=True):
        assert one.history == other.history
        for group in ("network", "ema", "optimizer"):
            tensors, others = getattr(one, group), getattr(other, group)
            assert tensors.keys() == others.keys()
            assert all(torch.equal(tensors[key], others[key]) for key in tensors)
    *_, other_seed = train(name, seed=1)
    assert other_seed.history != whole[-1].history
