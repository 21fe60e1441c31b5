"""How well a prior does while it is trained: images again, images of texts.

As in clip2latent's own training: embeddings of images that the prior has never seen
are turned into images, whose embeddings should come out the same; and texts are
illustrated, without guidance and with some.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.conditioning import RetrievalBank, condition_on_image
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.latents import repeat_latents
from clip2latent_kedro.prior.config import LOSS_SCORE
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.prior.record import Validation
from clip2latent_kedro.runtime import derive_seed
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study.figures import DPI, draw_grid
from clip2latent_kedro.text_to_image import GeneratedImages, TextToImage

IMAGE_SCORE = "image_similarity"
WHITE = 255


@dataclass(frozen=True)
class ValidationConfig:
    """What a prior is tried on while it is trained (`params:validation`).

    Attributes:
        num_images: Held-out image embeddings, one image each; 0 for none.
        num_prompts: The first texts of the prompt bank; 0 for none.
        num_samples: Images of each text.
        guidance_scales: Each text is illustrated with each of them.
    """

    num_images: int
    num_prompts: int
    num_samples: int
    guidance_scales: list[float]

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("num_images", "num_prompts"):
            self._check(name, getattr(self, name) >= 0, "0 or more")
        self._check("num_samples", self.num_samples >= 1, "1 or more")
        scales = self.guidance_scales
        is_right = len(set(scales)) == len(scales) and all(s >= 0 for s in scales)
        self._check("guidance_scales", is_right, "different numbers, each 0 or more")

    def _check(self, name: str, is_right: bool, expected: str) -> None:
        if not is_right:
            msg = f"validation.{name} must be {expected}, got {getattr(self, name)!r}."
            raise InputError(msg)

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
        generator: Generator,
        encoder: Encoder,
        config: ValidationConfig,
        *,
        held_out: tuple[Tensor, Tensor],
        prompts: Sequence[str],
        sampling: SamplingConfig,
        latent_repeats: Sequence[int],
        image_batch_size: int,
        seed: int,
        device: str,
        retrieval_bank: RetrievalBank | None = None,
        scorer: Encoder | None = None,
    ) -> None:
        """Move the models to the device, and embed the texts.

        Args:
            generator: w -> image.
            encoder: The one of the training pairs.
            config: `params:validation`.
            held_out: w [n, num_latents, w_dim] and embedding [n, clip_dim] of images
                that training never sees; the first `num_images` are used.
            prompts: Texts, of which the first `num_prompts` are used.
            sampling: `params:sampling`, but for its guidance.
            latent_repeats: `params:data.latent_repeats`.
            image_batch_size: Images synthesised and embedded at a time.
            seed: Of the run.
            device: Where to compute; priors come there.
            retrieval_bank: Embeddings of training images, for sampling with
                `retrieval_share` only.
            scorer: Scores images of texts; the encoder if None. Images drawn again
                are compared by the encoder, which embedded what they are drawn of.
        """
        w, image_embedding = (part[: config.num_images] for part in held_out)
        self._generator = generator.to(device)
        self._encoder = encoder.to(device)
        self._scorer = scorer or encoder
        self._given_w = repeat_latents(w, latent_repeats).to(device)
        self._image_embedding = image_embedding.to(device)
        self._prompts = list(prompts[: config.num_prompts])
        with torch.no_grad():
            self._text_embedding = (
                encoder.encode_text(self._prompts)
                if self._prompts
                else self._image_embedding[:0]
            )
        self._config = config
        self._sampling = replace(sampling, guidance="cfg", guidance_scale=1.0)
        self._latent_repeats = list(latent_repeats)
        self._image_batch_size = image_batch_size
        self._seed = derive_seed(seed, "validation")
        self._device = device
        self._retrieval_bank = retrieval_bank

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
        model = TextToImage(
            self._generator,
            self._encoder,
            prior,
            self._latent_repeats,
            latent_batch_size=max(len(self._given_w), self._num_illustrations),
            image_batch_size=self._image_batch_size,
            device=self._device,
            retrieval_bank=self._retrieval_bank,
        )
        scores: dict[str, float] = {}
        grids = []
        scales = self._config.guidance_scales
        if self._prompts and scales:
            of_texts = replace(model, scorer=self._scorer)
            drawn = {scale: self._illustrate(of_texts, scale) for scale in scales}
            scores |= {_text_score(g): _mean_score(drawn[g]) for g in scales}
            grids.append(self._illustration_grid(drawn))
        if len(self._image_embedding):
            again = self._draw_again(model)
            scores = {IMAGE_SCORE: _mean_score(again), **scores}
            grids.append(self._image_grid(model, again))
        if not grids or find_spec("matplotlib") is None:
            return Validation(scores)
        pictures = [draw_grid(*grid) for grid in grids]
        return Validation(scores, _stacked(pictures))

    @property
    def _num_illustrations(self) -> int:
        return len(self._prompts) * self._config.num_samples

    def _draw_again(self, model: TextToImage) -> GeneratedImages:
        """Return an image of each held-out embedding, scored by it."""
        condition = condition_on_image(model.prior, self._image_embedding)
        w = model.sample_w(condition, self._sampling, num_samples=1, seed=self._seed)
        return model.generate_images(w, self._image_embedding, keep=_as_cell)

    def _illustrate(self, model: TextToImage, guidance_scale: float) -> GeneratedImages:
        """Return images of each text, scored by it."""
        sampling = replace(self._sampling, guidance_scale=guidance_scale)
        num_samples, seed = self._config.num_samples, self._seed
        condition = model.condition(
            self._text_embedding, sampling, num_samples=num_samples, seed=seed
        )
        w = model.sample_w(condition, sampling, num_samples=num_samples, seed=seed)
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
    if image.shape[-1] > DPI:
        image = functional.interpolate(image, size=(DPI, DPI), mode="area")
    return image_to_uint8(image)


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
