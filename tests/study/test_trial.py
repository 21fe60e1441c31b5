"""Models that are slightly wrong, told before anything is made."""

import numpy as np
import pytest
import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.study.trial import try_models, try_texts

DATA = DataConfig(
    bs=1,
    embed_noise_scale=1.0,
    clip_variant="own",
    n_latents=1,
    latent_dim=1,
    latent_repeats=[1],
)


class Greys:
    """Draws pictures of one grey, by a w of one number."""

    z_dim = w_dim = num_ws = 1
    resolution = 4
    identity = Identity("greys", "0")
    w_avg = torch.zeros(1)

    def mapping(self, z, *, psi=1.0):
        return psi * z[:, None]

    def synthesis(self, w, *, noise_mode="const"):
        return w[..., None].tanh().expand(-1, 3, 4, 4)

    def to(self, device):
        return self


class TwoColours:
    """Embeds the means of red and green."""

    embed_dim = 2
    identity = Identity("two_colours", "0")

    def encode_image(self, image):
        return image.mean((2, 3))[:, :2]

    def encode_text(self, texts):
        return torch.ones(len(texts), 2)

    def to(self, device):
        return self


def tried(generator, encoder):
    models = Models(
        generator=generator,
        encoder=encoder,
        embedder=encoder,
        latent_repeats=[1],
        latent_batch_size=2,
        image_batch_size=2,
    )
    try_models(models, DATA)
    try_texts(encoder, ["red", "green"], where="prompts", mend="Write others.")


def test_models_of_one_and_two_numbers_do():
    tried(Greys(), TwoColours())


def raises(*_, **__):
    raise RuntimeError("no\nsuch place")


def returns(value):
    return lambda *_, **__: value


BYTES = np.zeros((2, 3, 4, 4), np.uint8)
RAISED = r"but raises RuntimeError: no such place \(.*test_trial\.py, line \d+\)"


@pytest.mark.parametrize(
    ("method", "replacement", "message"),
    [
        ("synthesis", raises, RAISED),
        ("synthesis", returns(BYTES), "images of greys must be a tensor .* ndarray"),
        (
            "synthesis",
            returns(torch.from_numpy(BYTES)),
            r"tensor of floats, got torch\.uint8",
        ),
        ("synthesis", returns(torch.full((2, 3, 4, 4), 255.0)), "in .-1, 1., got 255"),
        ("synthesis", returns(torch.full((2, 3, 4, 4), torch.nan)), "must be finite"),
        ("mapping", lambda _, z: z[:, None].numpy(), "w of greys must be a tensor"),
        ("w_avg", np.zeros(1), "w_avg of greys must be a tensor"),
        ("identity", "greys", "generator must take .* AttributeError: 'str' object"),
    ],
)
def test_a_generator_that_is_wrong_is_told(method, replacement, message, monkeypatch):
    monkeypatch.setattr(Greys, method, replacement)
    with pytest.raises(InputError, match=message):
        tried(Greys(), TwoColours())


@pytest.mark.parametrize(
    ("method", "replacement", "message"),
    [
        ("encode_image", raises, RAISED),
        ("encode_image", returns([[0.0, 1.0]] * 2), "must be a tensor .* got list"),
        ("encode_text", raises, f"^The encoder must take .* {RAISED}"),
        ("encode_text", returns(np.ones((2, 2))), "embeddings of texts of .* ndarray"),
    ],
)
def test_an_encoder_that_is_wrong_is_told(method, replacement, message, monkeypatch):
    monkeypatch.setattr(TwoColours, method, replacement)
    with pytest.raises(InputError, match=message):
        tried(Greys(), TwoColours())


def test_a_want_of_memory_is_no_fault_of_a_model(monkeypatch):
    def fill(*_, **__):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(Greys, "synthesis", fill)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        tried(Greys(), TwoColours())
