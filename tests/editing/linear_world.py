"""A world whose boundaries are known: attributes are read off coordinates of w.

w = A code + layout, with orthonormal columns of A: `size` has three values, one-hot in
the first three coordinates of the code, and `mood` two, the sign of the next. The
picture shows w, one number a pixel, so that the judge is exact.
"""

from typing import ClassVar

import torch
from torch import Tensor

from clip2latent_kedro.editing.edit import EditTarget
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.methods.models import Models

W_DIM, NUM_WS = 12, 10
BASIS = torch.linalg.qr(
    torch.randn(W_DIM, W_DIM, generator=torch.Generator().manual_seed(5))
)[0]
SIZES, MOODS = ("small", "medium", "large"), ("sad", "glad")
BIG = EditTarget("large", "small", "size", "large", name="big")
GLAD = EditTarget("glad", "sad", "mood", "glad", name="glad")


class LinearGenerator:
    """z: three logits of the size, the mood, and two coordinates of no meaning.

    The mood depends on the size where `confounding` is not 0.
    """

    z_dim, w_dim, num_ws, resolution = 6, W_DIM, NUM_WS, 2
    identity = Identity("linear", "aa")
    w_avg = torch.zeros(W_DIM)

    def __init__(self, confounding: float = 0.0) -> None:
        self.confounding = confounding

    def mapping(self, z: Tensor, *, psi: float = 1.0) -> Tensor:
        size = torch.nn.functional.one_hot(z[:, :3].argmax(1), 3).to(z)
        mood = torch.sign(z[:, 3] + self.confounding * (size[:, 2] - size[:, 0]))
        code = torch.cat([size, mood[:, None], 0.3 * z[:, 4:]], dim=1)
        w = psi * (code @ BASIS[:, :6].T + 1.0)
        return w[:, None].repeat(1, NUM_WS, 1)

    def synthesis(self, w: Tensor, *, noise_mode: str = "const") -> Tensor:
        """The first three channels of a pixel are three of the mean w's channels."""
        return w.mean(1).view(-1, 3, 2, 2)

    def to(self, device: str) -> "LinearGenerator":
        return self


def code_of(w: Tensor) -> Tensor:
    """Return the coordinates, [..., 6], of w [..., w_dim]."""
    return (w - 1.0) @ BASIS[:, :6]


class LinearJudge:
    attributes: ClassVar = {"size": SIZES, "mood": MOODS}
    identity = Identity("linear-judge", "bb")

    def classify(self, image: Tensor) -> Tensor:
        code = code_of(image.reshape(len(image), -1))
        return torch.stack([code[:, :3].argmax(1), (code[:, 3] > 0).long()], dim=1)

    def to(self, device: str) -> "LinearJudge":
        return self


class SureJudge(LinearJudge):
    """The same, which also says how sure it is."""

    def probabilities(self, image: Tensor) -> list[Tensor]:
        code = code_of(image.reshape(len(image), -1))
        mood = torch.sigmoid(4 * code[:, 3])
        return [code[:, :3].softmax(1), torch.stack([1 - mood, mood], dim=1)]


class LinearEncoder:
    """Embeds pictures as their mood and size, and texts likewise."""

    embed_dim = 2
    identity = Identity("linear-clip", "cc")
    TEXTS: ClassVar = {"glad": (1.0, 0.1), "sad": (-1.0, 0.1), "large": (0.1, 1.0)}

    def encode_image(self, image: Tensor) -> Tensor:
        code = code_of(image.reshape(len(image), -1))
        # what is in the picture decides little where it is not of the text's kind
        return torch.stack([code[:, 3] + 0.2 * code[:, 4], code[:, 2] + 0.5], dim=1)

    def encode_text(self, texts) -> Tensor:
        return torch.tensor([self.TEXTS[text] for text in texts])

    def to(self, device: str) -> "LinearEncoder":
        return self


def make_editing_models(generator=None, **changes):
    models = Models(
        generator=generator or LinearGenerator(),
        encoder=LinearEncoder(),
        embedder=LinearEncoder(),
        judge=LinearJudge(),
        latent_repeats=[NUM_WS],
        latent_batch_size=64,
        image_batch_size=64,
    )
    return EditingModels(models=models, **changes)


def make_w(num=8, seed=0, generator=None):
    z = torch.randn(num, 6, generator=torch.Generator().manual_seed(seed))
    return (generator or LinearGenerator()).mapping(z)
