"""The prompts, the bank beside them, and the portraits that fit."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from clip2latent_kedro.pipelines.portraits.nodes import choose_prompts, fill_prompt_bank
from clip2latent_kedro.worlds.portraits.attributes import (
    ATTRIBUTE_NAMES,
    ATTRIBUTES,
    Z_DIM,
    labels_of,
    visible_mask,
)
from clip2latent_kedro.worlds.portraits.captions import Caption, held_out_prompts
from clip2latent_kedro.worlds.portraits.prompts import (
    bank_prompts,
    render_references,
    sample_reference_z,
)

WEIGHTS = Path(__file__).parents[3] / "src/clip2latent_kedro/worlds/portraits/weights"


def caption(**stated):
    labels = [
        ATTRIBUTES[name].index(stated[name]) if name in stated else -1
        for name in ATTRIBUTES
    ]
    return Caption("", tuple(labels))


def test_the_shipped_prompts_and_bank_are_those_of_seed_0():
    prompts, _, z = choose_prompts(64, 1, 0)
    assert prompts.to_csv(index=False) == (WEIGHTS / "prompts.csv").read_text()
    with np.load(WEIGHTS / "reference_z.npz") as shipped:
        assert shipped["z"].shape == (64, 16, Z_DIM)
        # Logarithms and cosines of float32 differ between machines in the last bits.
        np.testing.assert_allclose(z["z"], shipped["z"][:, :1], rtol=0, atol=1e-5)
    some = render_references(held_out_prompts(64, 0)[:3], 16, 0)
    with np.load(WEIGHTS / "reference_images.npz") as shipped:
        # So a value between two levels may be rounded to either; few are so close.
        apart = np.abs(some.astype(int) - shipped["images"][:3])
    assert apart.max() <= 1
    assert apart.mean() < 1e-3

    bank = fill_prompt_bank(pd.read_csv(WEIGHTS / "prompts.csv"), 256, 0)
    assert bank.to_csv(index=False) == (WEIGHTS / "prompt_bank.csv").read_text()
    assert list(bank.columns) == list(prompts.columns)
    assert bank["prompt"].nunique() == len(bank) == 256
    assert not set(bank["prompt"]) & set(prompts["prompt"])


def test_captions_of_the_bank_are_apart_from_those_given():
    bank = bank_prompts(30, 1, excluded=[])
    texts = [caption.text for caption in bank]
    others = bank_prompts(30, 1, excluded=texts[:10])
    assert len({caption.text for caption in others}) == 30
    assert not {caption.text for caption in others} & set(texts[:10])
    assert bank_prompts(30, 1, excluded=texts[:10]) == others
    assert bank_prompts(30, 2, excluded=[]) != bank
    assert not set(texts) & {caption.text for caption in held_out_prompts(30, 1)}


def test_reference_z_show_what_the_captions_state():
    captions = held_out_prompts(6, 3)
    z = torch.from_numpy(sample_reference_z(captions, 5, 0))
    assert z.shape == (6, 5, Z_DIM)
    for wanted, rows in zip(captions, z, strict=True):
        labels = labels_of(rows)
        stated = torch.tensor(wanted.labels) >= 0
        assert (labels[:, stated] == torch.tensor(wanted.labels)[stated]).all()
        assert visible_mask(labels)[:, stated].all()
        assert len(rows.unique(dim=0)) == 5
    assert np.array_equal(sample_reference_z(captions[:2], 5, 0), z[:2])


def test_a_stated_attribute_must_be_in_sight():
    z = sample_reference_z([caption(eye_colour="blue")], 300, 0)[0]
    eyewear = labels_of(torch.from_numpy(z))[:, ATTRIBUTE_NAMES.index("eyewear")]
    assert set(eyewear.tolist()) == {0, 1}  # never sunglasses


@pytest.mark.parametrize(("value", "sign"), [("woman", 1), ("man", -1)])
def test_reference_z_are_normal_but_for_what_is_stated(value, sign):
    """Gender is the sign of the first coordinate, which is then half-normal."""
    z = sample_reference_z([caption(gender=value)], 20_000, 0)[0]
    side = np.sign(z[:, 0])
    assert (side == side[0]).all()
    magnitude = np.abs(z[:, 0])
    assert abs(magnitude.mean() - (2 / np.pi) ** 0.5) < 5 * 0.6028 / 20_000**0.5
    rest = z[:, 1:]
    assert np.abs(rest.mean(axis=0)).max() < 5 / 20_000**0.5
    assert np.abs(rest.std(axis=0) - 1).max() < 5 / 40_000**0.5
    both = sample_reference_z([caption(gender="woman"), caption(gender="man")], 1, 0)
    assert np.sign(both[0, 0, 0]) == -np.sign(both[1, 0, 0]) == side[0] * sign
