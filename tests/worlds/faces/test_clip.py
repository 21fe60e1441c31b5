from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from worlds.faces.test_readings import faces_of
from worlds.portraits.test_clip import CONFIG, _Oracle

from clip2latent_kedro.encoders import load_encoder
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.training.state import pack_state, stored_state
from clip2latent_kedro.worlds.faces.attributes import ATTRIBUTES
from clip2latent_kedro.worlds.faces.clip import clip_task, export_clip, move
from clip2latent_kedro.worlds.faces.quality import (
    measure_readings,
    measure_retrieval,
    measure_zero_shot,
)
from clip2latent_kedro.worlds.faces.readings import ReadFaces
from clip2latent_kedro.worlds.training import train_model

FACES = faces_of(64)


def train(seed=0, start=None, faces=FACES):
    return list(
        train_model(
            "clip",
            clip_task,
            CONFIG,
            faces,
            seed=seed,
            device="cpu",
            start=start,
            world="faces",
            depends_on={"readings": "0"},
        )
    )


def test_training_goes_on_bit_for_bit_from_a_stored_state(tmp_path):
    first, last = train()
    assert last.settings["readings"] == "0"
    (resumed,) = train(start=stored_state(pack_state(first)))
    assert resumed.history == last.history
    assert all(torch.equal(last.ema[name], resumed.ema[name]) for name in last.ema)
    assert train(seed=1)[-1].history != last.history

    tensors, metadata = export_clip(last, CONFIG)
    save_file(tensors, tmp_path / "clip.safetensors", metadata)
    encoder = load_encoder("compact_clip", tmp_path / "clip.safetensors", {})
    assert encoder.encode_text(["a man in the dark"]).shape == (1, CONFIG.embed_dim)


def test_nothing_certain_is_nothing_to_learn():
    nothing = replace(FACES, certain=torch.full_like(FACES.certain, -1))
    with pytest.raises(InputError, match="certain of something"):
        train(faces=nothing)


def test_a_moved_picture_repeats_its_edge():
    image = torch.arange(9.0).view(1, 1, 3, 3)
    moved = move(image, 1, -1)[0, 0]
    assert moved.tolist() == [[1, 2, 2], [1, 2, 2], [4, 5, 5]]
    assert torch.equal(move(image, 0, 0), image)


def test_retrieval_counts_each_direction():
    faces = FACES.select(torch.arange(4))
    eye = torch.eye(4)
    order = {}

    class Shuffled(_Oracle):
        """Knows which picture each text was written of, by its place in the pool."""

        def encode_text(self, texts):
            order["n"] = len(texts)
            return self.text[: len(texts)]

    # All texts are alike: one of four is found, and each picture finds the first.
    same = torch.ones(4, 4)
    scores = measure_retrieval(Shuffled(eye, same), faces, seed=0, num_pools=2)
    assert scores == {"text_to_image": 0.25, "image_to_text": 0.25}
    assert order["n"] == 4


def test_zero_shot_shares_are_means_over_values():
    """Texts of all values are alike, so the first is found: 1 of k values."""
    eye = torch.eye(64)

    class Alike(_Oracle):
        def encode_text(self, texts):
            return torch.ones(len(texts), 64)

    shares = measure_zero_shot(Alike(eye, None), FACES, seed=0)
    expected = {name: 1 / len(values) for name, values in ATTRIBUTES.items()}
    assert shares == pytest.approx(expected)


def test_shares_of_readings():
    certain = torch.full((4, len(ATTRIBUTES)), -1)
    certain[:2, 0], certain[2, 0] = 1, 0
    faces = ReadFaces(torch.zeros(4, 1, 1, 3, dtype=torch.uint8), certain, certain)
    shares = measure_readings(faces)
    assert shares["gender"] == {"woman": 0.25, "man": 0.5}
    assert shares["light"] == {"dim": 0.0, "bright": 0.0}
