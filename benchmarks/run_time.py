"""Seconds to answer one text, in the protocol of the original's timings.

    python benchmarks/run_time.py
    python benchmarks/run_time.py --device cuda --warmups 5 --repeats 10

16 images of "a photo" with guidance 2, and one, drawn at 1024 pixels and ranked by
CLIP, all of it timed: the text tower and the sampling of w, the synthesis, the ranking.
The architectures are those of the paper (StyleGAN2 config-f, ViT-B/32, a transformer of
width 512 with 12 layers of 12 heads), their weights random, since no time depends on
them: the pictures show nothing. Rows take turns; one whose repeats take more than
--longest seconds is repeated less often, and timed once if a single run does. The
default --repeats suit a CPU. Prints Markdown.
"""

import argparse
import statistics
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from random_models import W_DIM, RandomViT, random_stylegan2

from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.latents import LatentStatistics
from clip2latent_kedro.methods.clip2latent import Clip2Latent
from clip2latent_kedro.methods.method import Queries
from clip2latent_kedro.prior.checkpoint import Checkpoint, build_prior
from clip2latent_kedro.prior.diffusion import DiffusionPrior, EmbeddingStatistics
from clip2latent_kedro.runtime import describe_machine, pick_device
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study.timing import STAGES, time_rows
from clip2latent_kedro.text_to_image import TextToImage

NETWORK = {
    "kind": "clip2latent",
    "dim": 512,
    "num_timesteps": 1000,
    "depth": 12,
    "dim_head": 64,
    "heads": 12,
}
DIFFUSION = {
    "cond_drop_prob": 0.2,
    "image_embed_scale": 1.0,
    "text_embed_scale": 1.0,
    "beta_schedule": "cosine",
    "predict_x_start": True,
}
TEXT = "a photo"
UPSTREAM = {"sampler": "ddpm", "variance": "upstream"}
ROWS = {
    "1000 steps (skip 1)": {**UPSTREAM, "num_steps": 1000},
    "4 steps (skip 250)": {**UPSTREAM, "num_steps": 4},
    "DPM-Solver++(2M), 10 steps": {"sampler": "dpmpp_2m", "num_steps": 10},
    "one step, guidance an input": {"sampler": "ddim", "num_steps": 1},
}


def main() -> None:
    """Time every row and print the mean of each stage."""
    options = _parse_arguments()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    device = pick_device(options.device)
    generator = random_stylegan2(options.resolution).to(device)
    encoder = RandomViT().to(device)
    methods = {}
    for name, settings in ROWS.items():
        if name in (options.rows or ROWS):
            prior = make_prior(is_student=name.startswith("one step"))
            model = TextToImage(
                generator,
                encoder,
                prior,
                [generator.num_ws],
                latent_batch_size=1024,
                image_batch_size=options.image_batch_size,
                device=device,
            )
            sampling = SamplingConfig(guidance_scale=2.0, **settings)
            methods[name] = Clip2Latent(model=model, settings=sampling)
    queries = Queries([TEXT], encoder.encode_text([TEXT]), np.empty((1, 0), np.int64))

    print(f"{describe_machine()}\n")
    stages = " | ".join(f"{stage}, s" for stage in STAGES)
    print(f"| | images | {stages} | all, s | runs |")
    print("|" + "---|" * (len(STAGES) + 4))
    for name, timed in time_rows(
        methods,
        queries,
        encoder,
        make_protocol(options),
        seed=0,
        clock=time.process_time if options.cpu_seconds else time.perf_counter,
    ):
        for what, seconds in timed.items():
            means = [statistics.mean(times) for times in seconds.values()]
            totals = [sum(times) for times in zip(*seconds.values(), strict=True)]
            cells = ["1" if what == "seconds_one" else "16"]
            cells += [f"{mean:.3f}" for mean in means]
            spread = f" ({min(totals):.3f} to {max(totals):.3f})"
            cells.append(f"{sum(means):.3f}{spread if len(totals) > 1 else ''}")
            print(f"| {name} | {' | '.join(cells)} | {len(totals)} |", flush=True)


def make_prior(
    *, is_student: bool, network: Mapping[str, Any] = NETWORK
) -> DiffusionPrior:
    """Return the paper's prior; as a student, which takes guidance as an input."""
    torch.manual_seed(0)
    checkpoint = Checkpoint(
        step=0,
        settings={
            "data": {"embed_noise_scale": 0.0},
            "model": {"network": dict(network), "diffusion": DIFFUSION},
            "train": {"znorm_latent": True},
            **({"distillation": {}} if is_student else {}),
        },
        statistics=LatentStatistics(torch.zeros(1, W_DIM), torch.ones(1, W_DIM)),
        embedding_statistics=EmbeddingStatistics(
            torch.zeros(RandomViT.embed_dim), 10.0
        ),
        generator_identity=Identity("random stylegan2", "0"),
        encoder_identity=RandomViT.identity,
    )
    return build_prior(checkpoint)


def make_protocol(options: argparse.Namespace) -> SimpleNamespace:
    """Return what timing reads of `params:evaluation`."""
    return SimpleNamespace(
        timing_prompt=TEXT,
        timing_images=16,
        timing_warmups=options.warmups,
        timing_repeats=options.repeats,
        timing_seconds=options.longest,
        image_batch_size=options.image_batch_size,
    )


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=None)
    parser.add_argument("--warmups", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--longest", type=float, default=120.0, help="seconds")
    parser.add_argument(
        "--cpu-seconds",
        action="store_true",
        help="of all threads, for a CPU that others use as well",
    )
    parser.add_argument("--image-batch-size", type=int, default=16)
    parser.add_argument("--resolution", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--device", default="auto")
    return parser.parse_args()


if __name__ == "__main__":
    main()
