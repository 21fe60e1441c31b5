"""Scores of priors on prompts, for the benchmarks that compare them.

The prompts of the evaluation are for reporting: what is chosen is chosen on the prompt
bank, after the prompts that the validation of a training uses.
"""

import argparse
from dataclasses import replace
from typing import Any

import numpy as np

from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study import (
    Clip2Latent,
    EvaluationConfig,
    draw_row,
    read_queries,
    score_prompts,
)
from clip2latent_kedro.text_to_image import TextToImage


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
        self._generator, self._encoder, self._judge = map(
            catalog.load, ("generator", "encoder", "judge")
        )
        self._evaluation = EvaluationConfig(**parameters["evaluation"])
        self._repeats = DataConfig(**parameters["data"]).latent_repeats
        self._seed = parameters["seed"]
        rows = catalog.load(prompts).to_dict("records")
        if prompts == "prompt_bank":
            rows = rows[parameters["validation"]["num_prompts"] :]
        self._queries = read_queries(
            rows, self._encoder, self._judge.attributes, num_prompts=num_prompts
        )

    def __call__(
        self, prior: DiffusionPrior, settings: dict[str, Any]
    ) -> dict[str, float]:
        """Return means over the prompts, and the standard deviation among samples."""
        evaluation = self._evaluation
        model = TextToImage(
            self._generator,
            self._encoder,
            prior,
            self._repeats,
            evaluation.latent_batch_size,
            evaluation.image_batch_size,
        )
        drawn = draw_row(
            Clip2Latent(model=model, settings=replace(self.sampling, **settings)),
            self._queries,
            encoder=self._encoder,
            judge=self._judge,
            num_samples=evaluation.num_samples,
            seed=self._seed,
            image_batch_size=evaluation.image_batch_size,
            stored_image_size=evaluation.stored_image_size,
        )
        scores = score_prompts(drawn, self._queries, prior.gaussian, self._repeats)
        w = drawn.w[:, :, 0] / prior.statistics.std[0].numpy()
        scores["w_spread"] = np.sqrt(w.var(axis=1, ddof=1).mean())
        known = {name: values for name, values in scores.items() if _applies(values)}
        return {name: round(float(np.nanmean(known[name])), 4) for name in known}


def _applies(values: np.ndarray) -> bool:
    return bool(np.isfinite(values).any())
