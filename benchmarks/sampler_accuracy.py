"""Error of few steps against the solution of the ODE that they approximate.

    uv run python benchmarks/sampler_accuracy.py --table
    uv run python benchmarks/sampler_accuracy.py --table --prior

The solution takes every timestep of the schedule, without fresh noise, from the same
x_T. What is denoised is a mixture of Gaussians, whose answer is known in closed form,
or a stored prior of the catalog (`--prior`, or `--prior student`) under the
embeddings of the last training pairs. The error of a sample is the root of its mean
square; a few samples end elsewhere altogether, so there is the median beside the RMS.
Prints one JSON object, or Markdown tables.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from clip2latent_kedro.runtime import describe_machine
from clip2latent_kedro.samplers import Denoiser, SamplingConfig, choose_sampler
from clip2latent_kedro.schedules import cosine_alpha_bar

SAMPLERS = ("ddim", "dpmpp_2m", "unipc")
SPACINGS = ("uniform", "karras")
PROJECT = Path(__file__).parents[1]


def mixture_denoiser(alpha_bar: Tensor, *, dim: int, seed: int) -> Denoiser:
    """Return E[x0 | x_t] of eight Gaussians whose stds run from narrow to wide.

    Each channel of the data has mean 0 and variance 1.
    """
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(8, dim, generator=generator, dtype=torch.float64)
    std = torch.linspace(0.05, 1.0, dim, dtype=torch.float64)
    total = (mean.var(dim=0, correction=0) + std**2).sqrt()
    mean, std = (mean - mean.mean(dim=0)) / total, std / total

    def denoise(x_t: Tensor, t: int) -> Tensor:
        bar = alpha_bar[t]
        variance = bar * std**2 + 1 - bar
        off = x_t - bar.sqrt() * mean  # [n, 8, dim]
        share = (-(off**2) / (2 * variance)).sum(dim=-1, keepdim=True).softmax(dim=1)
        answers = mean + bar.sqrt() * std**2 / variance * off
        return (share * answers).sum(dim=1, keepdim=True)

    return denoise


def prior_denoiser(
    entry: str, num_samples: int, guidance_scale: float
) -> tuple[Denoiser, Tensor, tuple[int, int]]:
    """Return a stored prior's denoiser, its schedule, and the shape of a latent."""
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    bootstrap_project(PROJECT)
    with KedroSession.create(PROJECT) as session:
        catalog = session.load_context().catalog
        prior, pairs = catalog.load(entry), catalog.load("training_pairs")
    embedding = torch.as_tensor(pairs.clip_embedding[-num_samples:]).float()
    condition = prior.join_condition(embedding)
    denoise = prior.denoiser(condition, guidance_scale)
    return denoise, prior.alpha_bar, prior.latent_shape


@torch.no_grad()
def main() -> None:
    """Draw the solution, then every sampler with every number of steps."""
    options = _parse_arguments()
    if options.prior:
        denoise, alpha_bar, shape = prior_denoiser(
            options.prior, options.samples, options.guidance_scale
        )
        dtype = torch.float32
    else:
        alpha_bar, shape = cosine_alpha_bar(1000), (1, 16)
        denoise = mixture_denoiser(alpha_bar, dim=16, seed=options.seed)
        dtype = torch.float64
    generator = torch.Generator().manual_seed(options.seed)
    x_T = torch.randn(options.samples, *shape, generator=generator, dtype=dtype)
    full = SamplingConfig(
        sampler="dpmpp_2m", num_steps=len(alpha_bar), guidance_scale=1.0
    )
    solution = choose_sampler(full, alpha_bar)(denoise, x_T, generator=generator)

    rms: dict[str, dict[int, float]] = {}
    median: dict[str, dict[int, float]] = {}
    for spacing in SPACINGS:
        for sampler in SAMPLERS:
            row = f"{sampler}, {spacing}"
            rms[row], median[row] = {}, {}
            for num_steps in options.steps:
                config = replace(
                    full, sampler=sampler, spacing=spacing, num_steps=num_steps
                )
                x0 = choose_sampler(config, alpha_bar)(
                    denoise, x_T, generator=generator
                )
                square = (x0 - solution).square().mean(dim=(1, 2))
                rms[row][num_steps] = round(square.mean().sqrt().item(), 4)
                median[row][num_steps] = round(square.sqrt().median().item(), 4)

    if options.table:
        print(f"RMS error\n\n{_table(rms)}\n\nmedian error\n\n{_table(median)}")
        return
    report = {
        "rms_error": rms,
        "median_error": median,
        "settings": vars(options),
        "machine": describe_machine(),
    }
    print(json.dumps(report, indent=2))


def _table(errors: dict[str, dict[int, float]]) -> str:
    steps = list(next(iter(errors.values())))
    lines = [["sampler, spacing", *map(str, steps)], ["---", *["---:"] * len(steps)]]
    lines += [
        [row, *(f"{cell:.4f}" for cell in cells.values())]
        for row, cells in errors.items()
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prior", nargs="?", const="prior", help="catalog entry")
    parser.add_argument(
        "--steps", type=int, nargs="+", default=[2, 3, 4, 5, 6, 8, 10, 15, 20]
    )
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--guidance-scale", type=float, default=2.0, help="of a prior")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", action="store_true", help="Markdown, not JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
