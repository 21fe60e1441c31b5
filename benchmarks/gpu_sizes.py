"""How large what gpu_check.py measures is, and how a row of it is measured."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import bare  # noqa: F401 (before the package: lends what a bare machine lacks)
import torch
from random_models import W_DIM, random_stylegan2
from run_time import NETWORK, make_prior

from clip2latent_kedro.generators.adapters import StyleGANGenerator
from clip2latent_kedro.pairs import DataConfig, GenerationConfig
from clip2latent_kedro.prior.diffusion import DiffusionPrior

Row = dict[str, Any]


@dataclass(frozen=True)
class Sizes:
    """How large everything is.

    Attributes:
        resolution: Pixels a side.
        channel_base: Of StyleGAN2.
        layers: Of each tower of CLIP.
        network: Of the prior.
        batch: Pairs at a time.
        train_batch: Pairs in a step.
        row_seconds: For each row that repeats something.
        optimisation_steps: Of the direct optimisation.
        limits: Seconds after which a section is ended.
        compiles: Whether rows are tried that are compiled.
    """

    resolution: int
    channel_base: int
    layers: int
    network: Mapping[str, Any]
    batch: int
    train_batch: int
    row_seconds: float
    optimisation_steps: int
    limits: Mapping[str, int]
    compiles: bool


_LIMITS = {
    "synthesis": 120,
    "training": 110,
    "sampling": 45,
    "run_time": 90,
    "cpu": 45,
    "workers": 60,
}
SIZES = {
    "paper": Sizes(1024, 32768, 12, NETWORK, 32, 512, 4.0, 200, _LIMITS, True),
    "small": Sizes(
        resolution=32,
        channel_base=512,
        layers=1,
        network={**NETWORK, "dim": 64, "depth": 1, "heads": 2, "dim_head": 32},
        batch=4,
        train_batch=16,
        row_seconds=0.1,
        optimisation_steps=3,
        limits=dict.fromkeys(_LIMITS, 20),
        compiles=False,
    ),
}


@dataclass(frozen=True)
class Check:
    """What a section is told.

    Attributes:
        device: What is measured.
        sizes: How large.
        until: When no row should begin any more, by `time.monotonic`.
    """

    device: str
    sizes: Sizes
    until: float

    def rows(self, **calls: Callable[[], Row]) -> Iterator[Row]:
        """Yield what each call returns, or why there is nothing, by the row's name."""
        for name, call in calls.items():
            if time.monotonic() > self.until:
                yield {"row": name, "failed": "not begun: the section's time is over"}
                continue
            try:
                yield {"row": name, **call()}
            except Exception as error:  # whatever it is, the other rows go on
                reason = (str(error) or type(error).__name__).splitlines()[0]
                yield {"row": name, "failed": reason[:200]}

    def generator(self) -> StyleGANGenerator:
        """Return StyleGAN2 on the CPU."""
        return random_stylegan2(self.sizes.resolution, self.sizes.channel_base)

    def prior(self, *, is_student: bool = False) -> DiffusionPrior:
        """Return the prior on the device."""
        prior = make_prior(is_student=is_student, network=self.sizes.network)
        return prior.requires_grad_(False).eval().to(self.device)

    def synchronise(self) -> None:
        """Wait for the device."""
        if torch.device(self.device).type == "cuda":
            torch.cuda.synchronize()

    def repeat(self, call: Callable[[], object], *, most: int = 50) -> Row:
        """Return the median and the range of the seconds of a call, after one more."""
        times: list[float] = []
        began = time.monotonic()
        while len(times) < 2 or (
            len(times) <= most and time.monotonic() - began < self.sizes.row_seconds
        ):
            start = time.perf_counter()
            call()
            self.synchronise()
            times.append(time.perf_counter() - start)
        kept = times[1:]
        return {
            "seconds": statistics.median(kept),
            "fastest": min(kept),
            "slowest": max(kept),
            "runs": len(kept),
        }


def pair_settings(check: Check, num_ws: int) -> tuple[DataConfig, GenerationConfig]:
    """Return the settings of the paper's pairs at the sizes of a check."""
    sizes = check.sizes
    data = DataConfig(1, 1.0, "any", 1, W_DIM, [num_ws])
    generation = GenerationConfig(
        n_samples=1_000_000,
        batch_size=sizes.batch,
        out_image_size=min(256, sizes.resolution),
        psi=1.0,
        samples_per_shard=10_000,
        save_images=False,
        dtype="float32",
    )
    return data, generation


@contextmanager
def tf32(is_allowed: bool) -> Iterator[None]:
    """Let convolutions and products of float32 be rounded to TF32, or not."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = is_allowed
    torch.backends.cuda.matmul.allow_tf32 = is_allowed
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
