"""The smallest generator and encoder that are not the project's.

Options make them break a promise each.
"""

import hashlib

import torch
from torch.nn import functional

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Identity


def _identity(name, weights):
    return Identity(name, hashlib.sha256(weights.numpy().tobytes()).hexdigest())


class Blobs:
    """z, [n, 20], to w, [n, 5, 24], to images of 6 x 6 blurred spots."""

    z_dim, w_dim, num_ws = 20, 24, 5

    def __init__(self, *, side=48, drawn=None, w_width=24, colours=3, scale=1.0):
        made = torch.Generator().manual_seed(0)
        self.resolution = side
        self.drawn = drawn or [side, side]
        self.scale = scale
        self.z_to_w = torch.randn(20, w_width, generator=made) / 20**0.5
        self.w_to_image = torch.randn(5 * 24, colours * 36, generator=made) / 120**0.5
        self.w_avg = torch.zeros(24)
        self.identity = _identity("blobs", self.w_to_image)

    def mapping(self, z, *, psi=1.0):
        return (psi * z @ self.z_to_w)[:, None].repeat(1, 5, 1)

    def synthesis(self, w, *, noise_mode="const"):
        spots = torch.tanh(w.flatten(1) @ self.w_to_image) * self.scale
        spots = spots.unflatten(1, (-1, 6, 6))
        return functional.interpolate(spots, self.drawn, mode="bilinear")

    def to(self, device):
        for name in ("z_to_w", "w_to_image", "w_avg"):
            setattr(self, name, getattr(self, name).to(device))
        return self


class Eight:
    """Images and texts to 8 numbers."""

    def __init__(self, *, embed_dim=8, texts="any", text_dim=8):
        self.embed_dim, self.texts, self.text_dim = embed_dim, texts, text_dim
        made = torch.Generator().manual_seed(1)
        self.weights = torch.randn(48, 8, generator=made) / 48**0.5
        self.identity = _identity("eight", self.weights)

    def encode_image(self, image):
        return functional.interpolate(image, 4, mode="area").flatten(1) @ self.weights

    def encode_text(self, texts):
        if self.texts == "none" or (self.texts == "closed" and "a photo" in texts):
            msg = f"This encoder does not know {texts[0]!r}."
            raise InputError(msg)
        rows = [hashlib.sha256(text.encode()).digest() for text in texts]
        numbers = torch.tensor([list(row[: self.text_dim]) for row in rows])
        return (numbers / 128 - 1).to(self.weights)

    def to(self, device):
        self.weights = self.weights.to(device)
        return self


def load_generator(path, options):
    options = dict(options)
    lacking = options.pop("lacking", None)
    blobs = Blobs(**options)
    if lacking:
        delattr(blobs, lacking)
    return blobs


def load_encoder(path, options):
    return Eight(**options)
