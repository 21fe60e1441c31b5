"""Scores of priors on prompts, for the benchmarks that compare them.

The prompts of the evaluation are for reporting: what is chosen is chosen on the prompt
bank, after the prompts that the validation of a training uses.
"""

import argparse
from dataclasses import replace
from typing import Any

import numpy as np

from clip2latent_kedro.methods.clip2latent import Clip2Latent, Clip2LatentSettings
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.prompts import embed_rows
from clip2latent_kedro.study.samples import sample_images
from clip2latent_kedro.study.scoring import score_prompts


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add --prompts, --num-prompts and --seeds."""
    parser.add_argument(
        "--prompts",
        choices=["prompt_bank", "prompts"],
        default="prompt_bank",
        help="the bank to choose; the evaluation's prompts to report what is chosen",
    )
    parser.add_argument("--num-prompts", type=int, default=64)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])


class PromptScorer:
    """Scores a prior on prompts."""

    def __init__(
        self,
        catalog: Any,
        parameters: dict[str, Any],
        *,
        prompts: str,
        num_prompts: int,
    ) -> None:
        """Load the models, and the prompts of that catalog entry."""
        self.sampling = SamplingConfig(**parameters["sampling"])
        generator, encoder, judge = map(catalog.load, ("generator", "encoder", "judge"))
        self._evaluation = EvaluationConfig(**parameters["evaluation"])
        self._models = Models(
            generator=generator,
            encoder=encoder,
            embedder=encoder,
            judge=judge,
            latent_repeats=DataConfig(**parameters["data"]).latent_repeats,
            latent_batch_size=self._evaluation.latent_batch_size,
            image_batch_size=self._evaluation.image_batch_size,
        )
        self._seed = parameters["seed"]
        rows = catalog.load(prompts).to_dict("records")
        if prompts == "prompt_bank":
            rows = rows[parameters["validation"]["num_prompts"] :]
        self._queries = embed_rows(rows, self._models, num_prompts=num_prompts)

    def __call__(
        self, prior: DiffusionPrior, settings: dict[str, Any]
    ) -> dict[str, float]:
        """Return means over the prompts, and the standard deviation among samples."""
        models = replace(self._models, priors={"prior": prior})
        asked = Clip2LatentSettings(**{**vars(self.sampling), **settings})
        samples = sample_images(
            Clip2Latent.build(asked, models, self._queries),
            self._queries,
            models,
            num_samples=self._evaluation.num_samples,
            seed=self._seed,
            stored_image_size=self._evaluation.stored_image_size,
        )
        repeats = models.latent_repeats
        scores = score_prompts(samples, self._queries, prior.gaussian, repeats)
        w = samples["w"][:, :, 0] / prior.statistics.std[0].numpy()
        scores["w_spread"] = np.sqrt(w.var(axis=1, ddof=1).mean())
        known = {name: values for name, values in scores.items() if _applies(values)}
        return {name: round(float(np.nanmean(known[name])), 4) for name in known}


def _applies(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).any())
