"""Seconds to draw latents from a prior: the full schedule beside few steps.

    uv run python benchmarks/sampling_speed.py
    uv run python benchmarks/sampling_speed.py --network clip2latent --size 512 12

Draws 16 latents of one prompt with guidance, as clip2latent's own timings do, but
without generator and re-ranking: that is what the `timings` of the evaluation
pipeline hold. Weights are random, since no time depends on them. The samplers take
turns, so that a slow spell of the machine hits all of them; the first turn does not
count. Prints one JSON object.
"""

import argparse
import json
import statistics
import time
from dataclasses import asdict

import torch

from clip2latent_kedro.latents import LatentStatistics
from clip2latent_kedro.prior.checkpoint import Checkpoint, build_prior
from clip2latent_kedro.prior.diffusion import DiffusionPrior, EmbeddingStatistics
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.runtime import describe_machine, pick_device
from clip2latent_kedro.samplers import SamplingConfig, choose_sampler

DIFFUSION = {
    "cond_drop_prob": 0.2,
    "image_embed_scale": 1.0,
    "text_embed_scale": 1.0,
    "beta_schedule": "cosine",
    "predict_x_start": True,
}
SAMPLERS = {
    "ddpm, 1000 steps": ("ddpm", 1000),
    "ddpm, 10 steps": ("ddpm", 10),
    "ddpm, 4 steps": ("ddpm", 4),
    "dpmpp_2m, 10 steps": ("dpmpp_2m", 10),
    "dpmpp_2m, 4 steps": ("dpmpp_2m", 4),
    "unipc, 10 steps": ("unipc", 10),
    "unipc, 4 steps": ("unipc", 4),
    "ddim, 1 step": ("ddim", 1),
}


def main() -> None:
    """Time each sampler in turn and report seconds and ratios."""
    options = _parse_arguments()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    device = pick_device(options.device)
    prior = _random_prior(options).to(device)
    condition = torch.randn(1, options.dim).repeat(options.samples, 1).to(device)

    seconds: dict[str, list[float]] = {name: [] for name in SAMPLERS}
    for repeat in range(options.repeats + 1):
        for name, (sampler, num_steps) in SAMPLERS.items():
            config = SamplingConfig(
                sampler=sampler,
                num_steps=num_steps,
                guidance_scale=options.guidance_scale,
            )
            duration = _time_once(prior, condition, config, device)
            if repeat:
                seconds[name].append(duration)

    full = statistics.median(seconds["ddpm, 1000 steps"])
    report = {
        "samplers": {
            name: {
                "seconds": round(statistics.median(times), 5),
                "fastest": round(min(times), 5),
                "slowest": round(max(times), 5),
                "faster_than_1000_steps": round(full / statistics.median(times), 1),
            }
            for name, times in seconds.items()
        },
        "weights": sum(weight.numel() for weight in prior.parameters()),
        "settings": vars(options) | {"device": device},
        "machine": describe_machine(),
    }
    print(json.dumps(report, indent=2))


def _time_once(
    prior: DiffusionPrior, condition: torch.Tensor, config: SamplingConfig, device: str
) -> float:
    generator = torch.Generator(device).manual_seed(0)
    shape = (len(condition), *prior.latent_shape)
    began = time.perf_counter()
    x_T = torch.randn(shape, generator=generator, device=device)
    denoise = prior.denoiser(condition, config.guidance_scale)
    w = prior.statistics.denormalise(
        choose_sampler(config, prior.alpha_bar)(denoise, x_T, generator=generator)
    )
    w.cpu()  # waits for the GPU
    return time.perf_counter() - began


def _random_prior(options: argparse.Namespace) -> DiffusionPrior:
    torch.manual_seed(0)
    width, depth = options.size
    network = NetworkConfig(
        kind=options.network,
        dim=width,
        num_timesteps=1000,
        depth=depth,
        dim_head=64,
        heads=8,
    )
    checkpoint = Checkpoint(
        step=0,
        settings={
            "data": {"embed_noise_scale": 0.0},
            "model": {"network": asdict(network), "diffusion": DIFFUSION},
            "train": {"znorm_latent": True},
        },
        statistics=LatentStatistics(
            torch.zeros(1, options.dim), torch.ones(1, options.dim)
        ),
        embedding_statistics=EmbeddingStatistics(torch.zeros(options.dim), 10.0),
    )
    prior = build_prior(checkpoint)
    return prior.requires_grad_(False).eval()


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="mlp", choices=("mlp", "clip2latent"))
    parser.add_argument(
        "--size", type=int, nargs=2, default=(256, 4), metavar=("DIM", "DEPTH")
    )
    parser.add_argument("--dim", type=int, default=128, help="of w and of embeddings")
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--guidance-scale", type=float, default=2.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--device", default="auto")
    return parser.parse_args()


if __name__ == "__main__":
    main()
