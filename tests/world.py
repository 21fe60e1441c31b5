"""The tiny world of the tests: three colours, whose every answer is known.

A picture is one colour, w is that colour, and so is the embedding of an image. A
text is three numbers, such as "0.5 0 -1", and they are its embedding. Models that need
files, and checkpoints, are in `shipped`.
"""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from clip2latent_kedro.engines import here
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.latents import LatentStatistics
from clip2latent_kedro.methods.clip2latent import Clip2Latent, Clip2LatentSettings
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.pairs import DataConfig, TrainingPairs
from clip2latent_kedro.prior.diffusion import DiffusionPrior, EmbeddingStatistics
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.schedules import cosine_alpha_bar
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.prompts import read_queries
from clip2latent_kedro.study.run import join_parts
from clip2latent_kedro.text_to_image import TextToImage

NUM_TIMESTEPS = 20
IMAGE_MEAN = torch.tensor([0.1, 0.2, -0.1])
TEXT_MEAN = torch.tensor([0.2, -0.4, 0.5])
STATISTICS = LatentStatistics(torch.tensor([[0.1, -0.2, 0.3]]), torch.full((1, 3), 0.5))


HERE = here("cpu")


def compute(one):
    """Return the result of a planned variant, all of its parts together."""
    return join_parts([one.compute(part) for part in one.parts])


class ColourGenerator:
    z_dim, w_dim, num_ws, resolution = 3, 3, 2, 4
    identity = Identity("colours", "00")
    w_avg = torch.tensor([0.5, 0.5, 0.5])

    def mapping(self, z: Tensor, *, psi: float = 1.0) -> Tensor:
        return (psi * z / 4)[:, None].repeat(1, 2, 1)

    def synthesis(self, w: Tensor, *, noise_mode: str = "const") -> Tensor:
        return w.mean(dim=1)[:, :, None, None].repeat(1, 1, 4, 4)

    def to(self, device: str) -> "ColourGenerator":
        return self


class ColourEncoder:
    embed_dim = 3
    identity = Identity("colour-clip", "11")

    def encode_image(self, image: Tensor) -> Tensor:
        return image.mean(dim=(2, 3))

    def encode_text(self, texts) -> Tensor:
        return torch.tensor([[float(number) for number in t.split()] for t in texts])

    def to(self, device: str) -> "ColourEncoder":
        return self


class TwoFormsEncoder(ColourEncoder):
    """The same colours, read in two forms of different identities."""

    def with_preprocess(self, form: str) -> "TwoFormsEncoder":
        twin = TwoFormsEncoder()
        twin.identity = Identity(
            "colour-clip", {"standard": "11", "upstream": "12"}[form]
        )
        return twin


class TurnedEncoder(ColourEncoder):
    """Another embedding of the same: the colours after a fixed turn."""

    identity = Identity("turned-clip", "33")
    TURN = torch.tensor([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])

    def encode_image(self, image: Tensor) -> Tensor:
        return super().encode_image(image) @ self.TURN

    def encode_text(self, texts) -> Tensor:
        return super().encode_text(texts) @ self.TURN


class ColourJudge:
    """Sees whether there is some red, and some green."""

    attributes: ClassVar = {"red": ("no", "yes"), "green": ("no", "yes")}
    identity = Identity("colour-judge", "22")

    def classify(self, image: Tensor) -> Tensor:
        return (image.mean(dim=(2, 3))[:, :2] > 0).long()

    def to(self, device: str) -> "ColourJudge":
        return self


class CertainColourJudge(ColourJudge):
    """Sure from a tenth of a colour on, and without red it sees no green.

    Black is nothing. It is to be asked for probabilities alone.
    """

    identity = Identity("certain-judge", "44")

    def classify(self, image: Tensor) -> Tensor:
        raise NotImplementedError

    def probabilities(self, image: Tensor) -> list[Tensor]:
        yes = (2 * image.mean(dim=(2, 3))[:, :2] + 0.5).clamp(0, 1)
        return [torch.stack([1 - column, column], dim=1) for column in yes.T]

    def visible(self, values: Tensor) -> Tensor:
        return torch.stack([torch.ones_like(values[:, 0]), values[:, 0]], dim=1) == 1

    def detect(self, image: Tensor) -> Tensor:
        return image.mean(dim=(1, 2, 3)) > -1


class LinearNetwork(nn.Module):
    """x0 = condition + spread * sqrt(alpha_bar_t) x_t.

    A guidance scale as an input multiplies the condition, which is just what guidance
    does to such a prior; a noise level multiplies it by 1 + level.
    """

    def __init__(self, spread: float, inputs: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.spread = nn.Parameter(torch.tensor(spread), requires_grad=False)
        self.inputs = inputs
        self.alpha_bar = cosine_alpha_bar(NUM_TIMESTEPS).float()

    def forward(self, x_t, t, condition, keep):
        scalars = dict(zip(self.inputs, condition[:, 3:].T, strict=True))
        gain = scalars.get("guidance_scale", 1) * (1 + scalars.get("noise_level", 0))
        condition = condition[:, :3] * torch.as_tensor(gain).reshape(-1, 1)
        if keep is not None:
            condition = torch.where(keep[:, None], condition, 0.0)
        repeats = len(x_t) // len(condition)  # a condition may hold for several x_t
        condition, t = (rows.repeat_interleave(repeats, 0) for rows in (condition, t))
        gain = self.spread * self.alpha_bar[t].sqrt()
        return condition[:, None] + gain[:, None, None] * x_t


def make_prior(spread=0.0, **changes):
    settings = {
        "embedding_statistics": EmbeddingStatistics(IMAGE_MEAN, 2.0, TEXT_MEAN),
        "generator_identity": ColourGenerator.identity,
        "encoder_identity": ColourEncoder.identity,
    }
    alpha_bar = cosine_alpha_bar(NUM_TIMESTEPS)
    network = LinearNetwork(spread, changes.get("condition_inputs", ()))
    return DiffusionPrior(network, alpha_bar, STATISTICS, **{**settings, **changes})


def make_model(spread=0.0, **changes):
    settings = {
        "latent_repeats": [2],
        "latent_batch_size": 1024,
        "image_batch_size": 64,
    }
    prior = changes.pop("prior", None) or make_prior(spread)
    generator = changes.pop("generator", None) or ColourGenerator()
    return TextToImage(generator, ColourEncoder(), prior, **{**settings, **changes})


def make_models(spread=0.0, **changes):
    settings = {
        "generator": ColourGenerator(),
        "encoder": ColourEncoder(),
        "embedder": ColourEncoder(),
        "judge": ColourJudge(),
        "latent_repeats": [2],
        "latent_batch_size": 1024,
        "image_batch_size": 64,
    }
    if "priors" not in changes:
        changes["priors"] = {"prior": make_prior(spread)}
    return Models(**{**settings, **changes})


def make_method(models=None, **settings):
    """Return clip2latent, by default of a prior without spread."""
    asked = Clip2LatentSettings(**{**vars(make_sampling()), **settings})
    return Clip2Latent.build(asked, models or make_models(), make_queries())


def make_sampling(**changes):
    settings = {
        "sampler": "ddpm",
        "num_steps": 5,
        "guidance_scale": 1.0,
    }
    return SamplingConfig(**{**settings, **changes})


def make_data(**changes):
    settings = {
        "bs": 16,
        "embed_noise_scale": 0.5,
        "clip_variant": "colour",
        "n_latents": 1,
        "latent_dim": 3,
        "latent_repeats": [2],
    }
    return DataConfig(**{**settings, **changes})


GIVEN_ROWS = {
    kind: {"method": kind}
    for kind in ("random_w", "reference", "generator_bound", "nearest_pair")
}


def make_evaluation(**changes):
    settings = {
        "num_prompts": None,
        "num_samples": 3,
        "num_resamples": 200,
        "confidence": 0.9,
        "latent_batch_size": 1024,
        "image_batch_size": 64,
        "stored_image_size": 64,
        "generator_images": 40,
        "figure_prompts": 2,
        "timing_prompt": "1 0 0",
        "timing_images": 4,
        "timing_guidance_scale": 2.0,
        "timing_warmups": 1,
        "timing_repeats": 2,
        "timing_seconds": 1000.0,
        "baseline": None,
        "only": None,
        "rows": {**GIVEN_ROWS, "fast": {}, "slow": {"num_steps": 20}},
    }
    return EvaluationConfig(**{**settings, **changes})


PROMPTS = [
    {"prompt": "1 0 0", "red": "yes", "green": ""},
    {"prompt": "-1 0.5 0", "red": "no", "green": "yes"},
    {"prompt": "0 0 2", "red": "", "green": ""},
]


def make_queries(num_prompts=None):
    return read_queries(
        PROMPTS, ColourEncoder(), ColourJudge.attributes, num_prompts=num_prompts
    )


def make_colour_pairs(num_pairs=200, seed=0):
    w = np.random.default_rng(seed).standard_normal((num_pairs, 1, 3), np.float32) / 4
    generator, encoder = ColourGenerator.identity, ColourEncoder.identity
    recipe = {
        "n_samples": num_pairs,
        "generator": f"{generator.name}@{generator.digest}",
        "encoder": f"{encoder.name}@{encoder.digest}",
        "versions": {},
    }
    return TrainingPairs(w, w[:, 0], recipe)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)
