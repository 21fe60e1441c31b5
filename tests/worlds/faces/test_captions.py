import random
from collections import Counter
from itertools import product

import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer

from clip2latent_kedro.worlds.faces.attributes import (
    ATTRIBUTE_NAMES,
    ATTRIBUTES,
    certain_labels,
    is_held_out,
    labels_of,
    split_columns,
)
from clip2latent_kedro.worlds.faces.captions import (
    can_lead,
    write_caption,
    write_captions,
)
from clip2latent_kedro.worlds.faces.phrases import PHRASES, grammar_fragments

ALL = torch.tensor(list(product(*(range(len(v)) for v in ATTRIBUTES.values()))))
LIGHT = ATTRIBUTE_NAMES.index("light")


def test_a_value_counts_where_its_probability_is_large_enough():
    table = torch.zeros(2, sum(len(v) for v in ATTRIBUTES.values()))
    columns = split_columns(table)
    for rows in columns:
        rows[:, 0] = 1.0
    columns[0][0] = torch.tensor([0.3, 0.7])  # gender wants 0.8
    columns[2][0] = torch.tensor([0.1, 0.7, 0.2])  # expression wants 0.6
    assert labels_of(columns)[0, :3].tolist() == [1, 0, 1]
    assert certain_labels(columns).tolist() == [[-1, 0, 1, 0, 0, 0, 0], [0] * 7]


def test_a_ninth_is_held_out_and_every_pair_of_values_is_trained_on():
    held_out = is_held_out(ALL)
    assert 1 / 12 < held_out.float().mean() < 1 / 7
    trained = ALL[~held_out]
    for one, other in product(range(len(ATTRIBUTES)), repeat=2):
        seen = {tuple(pair) for pair in trained[:, [one, other]].tolist()}
        assert seen == {tuple(pair) for pair in ALL[:, [one, other]].tolist()}


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_captions_state_what_they_say_they_state(split):
    rng = random.Random(0)
    rows = ALL[torch.randperm(len(ALL), generator=torch.Generator().manual_seed(0))]
    captions = write_captions(rows[:400], rng, split=split)
    words = {
        value: {text for texts in said.values() for text in texts}
        for name in PHRASES
        for value, said in PHRASES[name].items()
    }
    for caption, labels in zip(captions, rows.tolist(), strict=False):
        for label, truth in zip(caption.labels, labels, strict=True):
            assert label in (-1, truth)
        for name, value in caption.stated.items():
            if name in PHRASES:
                assert any(text in caption.text for text in words[value])
        if split == "held_out":
            assert len(caption.stated) >= 3
            place, _, rest = caption.text.partition(", ")
            assert rest
            assert place.split(" and ")[0] in set().union(*words.values())


def test_what_is_not_certain_is_not_said():
    labels = [-1] * len(ATTRIBUTES)
    labels[LIGHT] = 1
    rng = random.Random(0)
    captions = [write_caption(labels, rng, split="train") for _ in range(50)]
    assert {tuple(caption.stated.items()) for caption in captions} == {
        (("light", "bright"),)
    }
    assert not can_lead(labels)
    labels[:2] = 0, 0
    assert can_lead(labels)
    labels[LIGHT] = -1
    assert not can_lead([*labels[:2], 0, 0, *labels[4:]])


def test_every_token_of_a_caption_is_known():
    tokenizer = SimpleTokenizer()
    known = Counter(
        token for text in grammar_fragments() for token in tokenizer.encode(text)
    )
    rng = random.Random(1)
    for split in ("train", "held_out"):
        for caption in write_captions(ALL[:300], rng, split=split):
            assert all(token in known for token in tokenizer.encode(caption.text))
