"""How well a prior does while it is trained: images again, images of texts.

As in clip2latent's own training: embeddings of images that the prior has never seen
are turned into images, whose embeddings should come out the same; and texts are
illustrated, without guidance and with some.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.checked import (
    Checked,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    Rule,
)
from clip2latent_kedro.conditioning import condition_on_image
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.latents import repeat_latents
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.prior.training import Validation
from clip2latent_kedro.runtime import derive_seed
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study.grid import DPI, plot_grid
from clip2latent_kedro.study.samples import shrink_images
from clip2latent_kedro.text_to_image import GeneratedImages, TextToImage
from clip2latent_kedro.training import LOSS_SCORE

IMAGE_SCORE = "image_similarity"
WHITE = 255


@dataclass(frozen=True)
class ValidationConfig(Checked):
    """What a prior is tried on while it is trained (`params:validation`).

    Attributes:
        num_images: Held-out image embeddings, one image each; 0 for none.
        num_prompts: The first texts of the prompt bank; 0 for none.
        num_samples: Images of each text.
        guidance_scales: Each text is illustrated with each of them.
    """

    num_images: NonNegativeInt
    num_prompts: NonNegativeInt
    num_samples: PositiveInt
    guidance_scales: list[NonNegativeFloat]

    def rules(self) -> Iterator[Rule]:
        """Yield that no scale comes twice."""
        scales = self.guidance_scales
        yield len(set(scales)) == len(scales), "guidance_scales", "different numbers"

    @property
    def score_names(self) -> list[str]:
        """What `train.best_by` may be."""
        return [LOSS_SCORE, IMAGE_SCORE, *map(_text_score, self.guidance_scales)]


@dataclass(frozen=True)
class ValidationPictures:
    """Pictures to add to those of a run.

    Attributes:
        steps: All validations of the run so far; a stored picture of another step is
            of another run.
        pictures: New ones by step, uint8 [h, w, 3].
    """

    steps: Sequence[int]
    pictures: Mapping[int, np.ndarray] = field(default_factory=dict)


class Validator:
    """Tries a prior on held-out images and on texts, always with the same noise."""

    def __init__(
        self,
        models: Models,
        config: ValidationConfig,
        *,
        held_out: tuple[Tensor, Tensor],
        prompts: Sequence[str],
        sampling: SamplingConfig,
        seed: int,
    ) -> None:
        """Embed the texts.

        Args:
            models: Of the training pairs. Images of texts are scored by the encoder;
                images drawn again by the embedder, which embedded what they are drawn
                of.
            config: `params:validation`.
            held_out: w [n, num_latents, w_dim] and embedding [n, clip_dim] of images
                that training never sees; the first `num_images` are used.
            prompts: Texts, of which the first `num_prompts` are used.
            sampling: `params:sampling`, but for its guidance.
            seed: Seed of the run.
        """
        w, image_embedding = (part[: config.num_images] for part in held_out)
        self._given_w = repeat_latents(w, models.latent_repeats).to(models.device)
        self._image_embedding = image_embedding.to(models.device)
        self._prompts = list(prompts[: config.num_prompts])
        self._text_embedding = self._image_embedding[:0]
        if self._prompts:
            with torch.no_grad():
                self._text_embedding = models.embedder.encode_text(self._prompts)
        self._config = config
        self._sampling = replace(sampling, guidance="cfg", guidance_scale=1.0)
        self._seed = derive_seed(seed, "validation")
        num_illustrations = len(self._prompts) * config.num_samples
        at_once = max(len(w), num_illustrations)
        self._models = replace(models, latent_batch_size=at_once)

    def to(self, device: str) -> "Validator":
        """Return it on another device, to which its models are moved.

        Training pairs that it retrieves from are read from their store from then on.
        """
        moved = copy.copy(self)
        pairs = self._models.training_pairs
        if pairs is not None:
            pairs = pairs.from_store()
        moved._models = replace(self._models, device=device, training_pairs=pairs)
        for name in ("_given_w", "_image_embedding", "_text_embedding"):
            setattr(moved, name, getattr(self, name).to(device))
        return moved

    def __call__(self, prior: DiffusionPrior, step: int) -> Validation:
        """Return scores and a picture.

        Args:
            prior: On any device; it is moved to that of the models.
            step: Not used: the same prior gets the same scores at every step.

        Returns:
            `image_similarity`: mean cosine of each held-out embedding and that of
            the image drawn from it, without guidance. `text_score_g2`, and so on for
            each scale: mean cosine of text and image. No score without images, or
            without texts.
        """
        of_texts = self._models.text_to_image(prior)
        model = replace(of_texts, scorer=self._models.embedder)
        scores: dict[str, float] = {}
        grids = []
        scales = self._config.guidance_scales
        if self._prompts and scales:
            drawn = {scale: self._illustrate(of_texts, scale) for scale in scales}
            scores |= {_text_score(g): _mean_score(drawn[g]) for g in scales}
            grids.append(self._illustration_grid(drawn))
        if len(self._image_embedding):
            asked, seed = self._image_embedding, self._seed
            condition = condition_on_image(prior, asked)
            w = model.sample_w(condition, self._sampling, num_samples=1, seed=seed)
            again = model.generate_images(w, asked, keep=_as_cell)
            scores = {IMAGE_SCORE: _mean_score(again), **scores}
            grids.append(self._image_grid(model, again))
        if not grids or find_spec("matplotlib") is None:
            return Validation(scores)
        pictures = [plot_grid(*grid) for grid in grids]
        return Validation(scores, _stacked(pictures))

    def _illustrate(self, model: TextToImage, guidance_scale: float) -> GeneratedImages:
        """Return images of each text, scored by it."""
        sampling = replace(self._sampling, guidance_scale=guidance_scale)
        number, seed = self._config.num_samples, self._seed
        condition = model.condition(
            self._text_embedding, sampling, num_samples=number, seed=seed
        )
        w = model.sample_w(condition, sampling, num_samples=number, seed=seed)
        return model.generate_images(w, self._text_embedding, keep=_as_cell)

    def _illustration_grid(
        self, drawn: Mapping[float, GeneratedImages]
    ) -> tuple[list[str], dict[str, np.ndarray]]:
        """Return rows and columns of texts x samples."""
        columns = {
            f"guidance {scale:g}, {sample + 1}": drawn[scale].images[:, sample]
            for scale in drawn
            for sample in range(self._config.num_samples)
        }
        return self._prompts, columns

    def _image_grid(
        self, model: TextToImage, again: GeneratedImages
    ) -> tuple[list[str], dict[str, np.ndarray]]:
        """Return rows and columns of given and drawn images, as wide as the texts."""
        width = self._config.num_samples * len(self._config.guidance_scales)
        given_w = self._given_w[: max(1, width), None]
        given = model.generate_images(given_w, keep=_as_cell).images
        columns = {
            f"image {number + 1}": np.stack([image[0], again.images[number, 0]])
            for number, image in enumerate(given)
        }
        return ["held out", "drawn from its embedding"], columns


def validated_steps(history: Iterable[Mapping[str, float]]) -> list[int]:
    """Return the steps of the rows that hold more than losses."""
    losses = {"step", "loss", LOSS_SCORE}
    return [int(row["step"]) for row in history if row.keys() - losses]


def _text_score(guidance_scale: float) -> str:
    return f"text_score_g{guidance_scale:g}"


def _mean_score(drawn: GeneratedImages) -> float:
    assert drawn.scores is not None
    return float(drawn.scores.mean())


def _as_cell(image: Tensor) -> np.ndarray:
    """Return uint8 [n, h, w, 3] of images, shrunk to a cell of the picture."""
    return image_to_uint8(shrink_images(image, DPI))


def _stacked(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Return pictures, uint8 [h, w, 3], below each other on white."""
    width = max(picture.shape[1] for picture in pictures)
    padded = [
        np.pad(
            picture,
            ((0, 0), (0, width - picture.shape[1]), (0, 0)),
            constant_values=WHITE,
        )
        for picture in pictures
    ]
    return np.concatenate(padded)
