"""Style mixing: some rows of one w, the rest of another (Karras et al. 2019, sec. 3.1).

Rows of w drive the layers of the generator from coarse to fine. Coarse rows decide pose
and shape, middle ones features, fine ones colour and light, as far as the generator has
learned them apart.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.checked import Checked, PositiveInt, Seed
from clip2latent_kedro.editing.edit import EditMethod, EditTarget, Source
from clip2latent_kedro.editing.layers import Layers, check_layers, read_layers
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.interfaces import Generator
from clip2latent_kedro.latents import Latents
from clip2latent_kedro.methods.digests import digest_arrays
from clip2latent_kedro.methods.method import UnavailableError
from clip2latent_kedro.methods.models import PriorName
from clip2latent_kedro.prior.sampling import adapt_sampling
from clip2latent_kedro.runtime import make_generator


def mix_latents(
    w: Tensor, other: Tensor, layers: Sequence[int], strength: float = 1.0
) -> Tensor:
    """Return w with some rows moved towards those of another, [n, num_ws, w_dim].

    Args:
        w: [n, num_ws, w_dim]; returned as it is at strength 0.
        other: Broadcastable to w.
        layers: Rows that are mixed.
        strength: Share of the way; at 1 these rows are the other's.

    Raises:
        InputError: If there is no such row.
    """
    check_layers(layers, w.shape[1], "layers")
    if strength == 0 or not layers:
        return w
    rows = list(layers)
    mixed = w.clone()
    mixed[:, rows] = torch.lerp(w[:, rows], other.to(w).expand_as(w)[:, rows], strength)
    return mixed


def vary_styles(
    w: Tensor, others: Tensor, layers: Sequence[int], strength: float = 1.0
) -> Tensor:
    """Return each w, then its mixtures with others, [n, 1 + k, num_ws, w_dim].

    With the fine rows these are the variations of colour and light of one sample that
    the paper's poster shows.

    Args:
        w: [n, num_ws, w_dim].
        others: Whose rows are taken, [k, num_ws, w_dim].
        layers: Rows that are mixed.
        strength: Share of the way.

    Raises:
        InputError: If there is no such row.
    """
    mixed = [mix_latents(w, other, layers, strength) for other in others]
    return torch.stack([w, *mixed], dim=1)


@dataclass(frozen=True)
class StyleMixingSettings(Checked):
    """How a target's text becomes a second w, and which rows come from it.

    Attributes:
        layers: A group of rows, a list of them, or null for all.
        second: `text`: a sample of the target's text; `random`: a random w.
        prior: What draws it for a text.
        num_candidates: Samples of the text, of which the closest to it by CLIP is
            taken.
        seed: Decides the second w.
    """

    layers: Layers | None = "middle"
    second: Literal["text", "random"] = "text"
    prior: PriorName = "prior"
    num_candidates: PositiveInt = 8
    seed: Seed = 0


@dataclass(frozen=True, kw_only=True)
class StyleMixing(EditMethod):
    """Rows of w replaced by those of a second one, the same for all pictures.

    One with a w of one's own is made directly, rather than by `prepare`.

    Attributes:
        other: The second w, [1, num_ws, w_dim].
        layers: Rows that are taken from it.
    """

    Settings: ClassVar[type] = StyleMixingSettings
    strengths: ClassVar[Sequence[float]] = (0.25, 0.5, 0.75, 1.0)

    other: Tensor
    layers: Sequence[int]

    @classmethod
    def prepare(
        cls, settings: StyleMixingSettings, models: EditingModels, target: EditTarget
    ) -> Self:
        """Return the edit with a second w drawn for the target's text."""
        layers = read_layers(settings.layers, models.generator)
        began = time.perf_counter()
        draw = {"text": draw_for_text, "random": draw_at_random}[settings.second]
        other = draw(settings, models, target)
        return cls(
            settings=settings,
            target=target,
            other=other,
            layers=layers,
            made_with={"other": digest_arrays({"w": other})},
            preparation={"generator": 0.0, "target": time.perf_counter() - began},
        )

    def apply(self, source: Source, strength: float) -> Latents:
        """Return latents of which some rows lie a share of the way to the second."""
        latents = source.latents
        mixed = mix_latents(latents.w, self.other, self.layers, strength)
        return Latents(mixed, latents.style_offset)


@torch.no_grad()
def draw_for_text(
    settings: StyleMixingSettings, models: EditingModels, target: EditTarget
) -> Tensor:
    """Return the best of some samples of a target's text, [1, num_ws, w_dim].

    Raises:
        UnavailableError: If there is no prior, or no setting of how to sample it.
    """
    of_domain = models.models
    prior, sampling = of_domain.find_prior(settings.prior), of_domain.sampling
    if sampling is None:
        msg = (
            "Style mixing with a text takes Models.sampling, by which its prior is "
            "sampled, got None. Give params:sampling."
        )
        raise UnavailableError(msg)
    method = of_domain.text_to_image(prior)
    found = method(
        [target.target],
        adapt_sampling(prior, sampling),
        num_samples=settings.num_candidates,
        seed=settings.seed,
        rank=settings.num_candidates > 1,
        score=False,
    )
    return found.w[0, :1]


@torch.no_grad()
def draw_at_random(
    settings: StyleMixingSettings, models: EditingModels, target: EditTarget
) -> Tensor:
    """Return a random w, [1, num_ws, w_dim], whatever the target."""
    generator = models.generator
    random = make_generator(settings.seed, "style_mixing")
    z = torch.randn(1, generator.z_dim, generator=random)
    return generator.mapping(z.to(models.device))


@torch.no_grad()
def synthesise_columns(
    generator: Generator, w: Tensor, titles: Sequence[str], *, batch_size: int = 64
) -> dict[str, np.ndarray]:
    """Return the pictures of a grid of w as `study.grid.plot_grid` takes them.

    Args:
        generator: On the device of w.
        w: [num_rows, num_columns, num_ws, w_dim], such as `vary_styles` returns.
        titles: Of the columns, all different.
        batch_size: Pictures at a time.

    Returns:
        By title, uint8 [num_rows, height, width, 3].
    """
    pictures = np.concatenate(
        [
            image_to_uint8(generator.synthesis(rows, noise_mode="const"))
            for rows in torch.split(w.flatten(0, 1), batch_size)
        ]
    )
    grid = pictures.reshape(*w.shape[:2], *pictures.shape[1:])
    return dict(zip(titles, grid.swapaxes(0, 1), strict=True))
