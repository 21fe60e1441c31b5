import random
import re

import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer

from clip2latent_kedro.worlds.portraits.attributes import (
    ATTRIBUTE_NAMES,
    ATTRIBUTES,
    labels_of,
    visible_mask,
)
from clip2latent_kedro.worlds.portraits.captions import (
    held_out_prompts,
    is_held_out,
    sample_split,
    write_caption,
    write_captions,
)
from clip2latent_kedro.worlds.portraits.phrases import grammar_fragments

# Words that say one value and no other, whatever the rest of the caption.
TELLING_WORDS = {
    "grandmother": {"gender": "woman", "age": "old"},
    "boy": {"gender": "man", "age": "young"},
    "bald": {"hair_style": "bald"},
    "afro": {"hair_style": "afro"},
    "ginger": {"hair_colour": "red"},
    "silver": {"hair_colour": "grey"},
    "shades": {"eyewear": "sunglasses"},
    "spectacles": {"eyewear": "glasses"},
    "clean-shaven": {"beard": "none"},
    "bearded": {"beard": "beard"},
    "moustache": {"beard": "moustache"},
    "beanie": {"hat": "beanie"},
    "fedora": {"hat": "fedora"},
    "no hat": {"hat": "none"},
    "grinning": {"expression": "smiling"},
    "frowning": {"expression": "sad"},
    "turned to the left": {"pose": "left"},
    "facing right": {"pose": "right"},
    "under the moon": {"background": "night"},
    "in the woods": {"background": "forest"},
    "yellow sweater": {"shirt": "yellow"},
    "green eyes": {"eye_colour": "green"},
    "pale": {"skin": "light"},
}


def _labels(**values: str) -> torch.Tensor:
    chosen = {name: options[0] for name, options in ATTRIBUTES.items()} | values
    return torch.tensor(
        [[ATTRIBUTES[name].index(value) for name, value in chosen.items()]]
    )


def _captions(split, num=3000, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = labels_of(sample_split(num, generator, split=split))
    return labels, write_captions(labels, random.Random(seed), split=split)


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_captions_state_what_is_true_and_visible(split):
    labels, captions = _captions(split)
    stated = torch.tensor([caption.labels for caption in captions])
    said = stated >= 0

    assert torch.equal(stated[said], labels[said])
    assert visible_mask(labels)[said].all()
    num_stated = said.sum(1)
    assert num_stated.min() >= (2 if split == "train" else 4)
    assert num_stated.max() <= 7
    assert 4.8 < num_stated.float().mean() < 6


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_telling_words_agree_with_the_stated_labels(split):
    _, captions = _captions(split)
    seen = set()
    for caption in captions:
        for words, stated in TELLING_WORDS.items():
            if re.search(rf"\b{words}\b", caption.text):
                seen.add(words)
                assert stated.items() <= caption.stated.items(), caption
    assert len(seen) >= len(TELLING_WORDS) - 2


def test_every_value_is_stated_in_training():
    _, captions = _captions("train", num=6000)
    stated = torch.tensor([caption.labels for caption in captions])
    for column, (name, values) in enumerate(ATTRIBUTES.items()):
        assert set(stated[:, column].tolist()) >= set(range(len(values))), name


def test_hair_colour_of_a_bald_man_is_said_of_his_beard():
    labels = _labels(
        gender="man", hair_style="bald", hair_colour="grey", beard="moustache"
    )
    captions = write_captions(labels.repeat(300, 1), random.Random(0), split="train")
    coloured = [c for c in captions if "hair_colour" in c.stated]

    assert coloured
    for caption in coloured:
        assert caption.stated["beard"] == "moustache"
        assert re.search(r"(grey|gray|silver) (moustache|mustache)", caption.text)


def test_what_is_denied_comes_last_of_the_features():
    """ "no hat and glasses" would deny the glasses."""
    denial = re.compile(r"no (hat|glasses|beard|hair) and (?!no |is |wears )")
    for split in ("train", "held_out"):
        _, captions = _captions(split)
        for caption in captions:
            assert not denial.search(caption.text), caption.text


def test_no_beard_is_never_said_of_a_woman():
    labels = _labels(gender="woman").repeat(300, 1)
    for caption in write_captions(labels, random.Random(0), split="train"):
        assert "beard" not in caption.stated


def test_articles_and_spaces_are_right():
    for split in ("train", "held_out"):
        _, captions = _captions(split)
        for caption in captions:
            assert not re.search(r"\b[Aa] [aeiou]", caption.text), caption.text
            assert not re.search(r"\b[Aa]n [^aeiou]", caption.text), caption.text
            assert not re.search(r"\s{2}|\s[,.]|,\.|^\s|\s$", caption.text)


def test_captions_use_only_words_of_the_grammar():
    known = set(re.findall(r"[a-z-]+", " ".join(grammar_fragments())))
    for split in ("train", "held_out"):
        _, captions = _captions(split)
        used = set(re.findall(r"[a-z-]+", " ".join(c.text.lower() for c in captions)))
        assert used <= known


def test_the_same_random_state_gives_the_same_caption():
    labels = _labels(gender="man", hat="fedora")[0]
    visible = visible_mask(labels[None])[0]
    first, second = (
        write_caption(labels, visible, random.Random(7), split="train")
        for _ in range(2)
    )
    assert first == second
    assert held_out_prompts(20, seed=3) == held_out_prompts(20, seed=3)
    assert held_out_prompts(20, seed=3) != held_out_prompts(20, seed=4)


def test_a_tenth_is_held_out_yet_every_value_is_in_both_splits():
    generator = torch.Generator().manual_seed(0)
    for split, expected in (("train", False), ("held_out", True)):
        labels = labels_of(sample_split(4000, generator, split=split))
        assert len(labels) == 4000
        assert (is_held_out(labels) == expected).all()
        for name in ("hat", "background", "shirt", "expression"):
            column = labels[:, ATTRIBUTE_NAMES.index(name)]
            assert len(column.unique()) == len(ATTRIBUTES[name])

    rule = ("hat", "background", "shirt", "expression")
    grid = torch.cartesian_prod(*(torch.arange(len(ATTRIBUTES[n])) for n in rule))
    labels = torch.zeros(len(grid), len(ATTRIBUTES), dtype=torch.int64)
    labels[:, [ATTRIBUTE_NAMES.index(name) for name in rule]] = grid
    assert is_held_out(labels).float().mean() == pytest.approx(0.1, abs=0.01)


def test_held_out_texts_are_distinct_and_never_written_in_training():
    _, training = _captions("train", num=10_000)
    prompts = held_out_prompts(2000, seed=0)

    texts = {prompt.text for prompt in prompts}
    assert len(texts) == 2000
    assert not texts & {caption.text for caption in training}


def test_captions_fit_the_context_of_the_small_clip():
    tokenizer = SimpleTokenizer()
    for split in ("train", "held_out"):
        _, captions = _captions(split)
        # Start and end of text are two of the 48 tokens.
        assert max(len(tokenizer.encode(c.text)) for c in captions) + 2 <= 44
