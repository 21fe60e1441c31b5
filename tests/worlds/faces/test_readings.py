from dataclasses import replace

import numpy as np
import pytest
import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.worlds.faces.attributes import ATTRIBUTES, is_held_out
from clip2latent_kedro.worlds.faces.prompts import draw_prompts, shows
from clip2latent_kedro.worlds.faces.readings import (
    ReadFaces,
    ReadingConfig,
    join_shards,
    read_samples,
)

CONFIG = ReadingConfig(num_shards=3, shard_size=8, batch_size=4)
SIZES = [len(values) for values in ATTRIBUTES.values()]


class Squares:
    """A generator whose picture is the mean of z everywhere."""

    z_dim = w_dim = 4
    num_ws = 1
    resolution = 8
    identity = Identity("squares", "0" * 64)

    def mapping(self, z, *, psi=1.0):
        return z[:, None]

    def synthesis(self, w, *, noise_mode="const"):
        return w.mean((1, 2)).tanh()[:, None, None, None].expand(-1, 3, 8, 8)


class Bright:
    """A reader that goes by the mean of the picture alone."""

    identity = Identity("bright", "1" * 64)

    def probabilities(self, image):
        return [
            (image.mean((1, 2, 3))[:, None] * torch.arange(size)).softmax(1)
            for size in SIZES
        ]


def read(stored, seed=0, config=CONFIG):
    shards = {}
    items = read_samples(
        Squares(), Bright(), config, seed=seed, device="cpu", stored=stored
    )
    for item in items:
        shards |= item
    return shards


def test_an_interrupted_reading_goes_on():
    whole = read({})
    assert list(whole) == ["0000", "0001", "0002"]
    rest = read({"0001": whole["0001"]})
    assert list(rest) == ["0000", "0002"]
    for name, (arrays, record) in rest.items():
        assert record == whole[name][1]
        for key, array in arrays.items():
            np.testing.assert_array_equal(array, whole[name][0][key])
    assert read(whole) == {}
    assert list(read(whole, seed=1)) == list(whole)  # of other samples


def test_faces_are_those_of_the_shards_in_order():
    shards = read({})
    faces = join_shards(shards, CONFIG)
    assert faces.images.shape == (24, 8, 8, 3)
    np.testing.assert_array_equal(faces.images[8:16], shards["0001"][0]["images"])
    kept, trained = faces.split(held_out=True), faces.split(held_out=False)
    assert len(kept) + len(trained) == len(faces)
    assert is_held_out(kept.labels).all()


def test_a_missing_shard_is_told():
    shards = read({})
    with pytest.raises(InputError, match="none named 0003"):
        join_shards(shards, replace(CONFIG, num_shards=4))
    arrays, record = shards["0002"]
    narrow = {**arrays, "probabilities": arrays["probabilities"][:, :5]}
    shards = dict.fromkeys(shards, (narrow, record))
    with pytest.raises(InputError, match=r"got an array of shape \[24, 5\]"):
        join_shards(shards, CONFIG)


def faces_of(num):
    generator = torch.Generator().manual_seed(0)
    columns = [torch.randint(size, (num, 1), generator=generator) for size in SIZES]
    labels = torch.cat(columns, dim=1)
    return ReadFaces(torch.zeros(num, 2, 2, 3, dtype=torch.uint8), labels, labels)


def test_prompts_are_of_faces_kept_from_training_and_can_be_met():
    faces = faces_of(1500)
    prompts = draw_prompts(faces, 30, seed=0)
    assert len({caption.text for caption in prompts}) == 30
    kept = faces.split(held_out=True).certain
    for caption in prompts:
        assert shows(kept, caption).any()
        assert shows(faces.certain, caption).sum() >= 4
    again = draw_prompts(faces, 10, seed=0)
    assert again == prompts[:10]
    taken = {caption.text for caption in prompts}
    others = draw_prompts(faces, 10, seed=0, excluded=taken)
    assert taken.isdisjoint(caption.text for caption in others)
    with pytest.raises(InputError, match="ask for 5000 captions of faces"):
        draw_prompts(faces, 5000, seed=0)
