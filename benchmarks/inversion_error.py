"""How far DDIM inversion misses the latent that it began at.

Random w are inverted under the embedding of their own pictures and drawn again, by
numbers of steps, of refinements a step (0 is plain inversion), and from several shares
of the noise schedule. Train the prior first.

    uv run python benchmarks/inversion_error.py

`error` is the root mean square of the difference in x0, whose every channel has a
standard deviation of about 1 over all latents; `noise` that of what was found.
`evaluations` counts the network's, of the inversion alone. Prints a JSON object a row.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from clip2latent_kedro.conditioning import condition_on_image
from clip2latent_kedro.runtime import describe_machine
from clip2latent_kedro.samplers.ddim import sample_ddim
from clip2latent_kedro.samplers.inversion import invert_ddim
from clip2latent_kedro.schedules import respaced_timesteps

PROJECT = Path(__file__).parents[1]


def rows(options: argparse.Namespace, catalog: Any) -> Iterator[dict[str, Any]]:
    """Yield the error of each setting."""
    generator, encoder, prior = map(catalog.load, ("generator", "encoder", "prior"))
    z = np.random.default_rng(options.seed).standard_normal(
        (options.latents, generator.z_dim), np.float32
    )
    w = generator.mapping(torch.from_numpy(z))
    images = [generator.synthesis(part, noise_mode="const") for part in w.split(64)]
    embedding = torch.cat([encoder.encode_image(part) for part in images])
    x0 = prior.statistics.normalise(w[:, : prior.latent_shape[0]])
    for scale in options.guidance_scales:
        denoise = prior.denoiser(condition_on_image(prior, embedding), scale)
        for start in options.starts:
            for num_steps in options.steps:
                timesteps = respaced_timesteps(
                    round(start * len(prior.alpha_bar)), num_steps, spacing="trailing"
                )
                for num_refinements in options.refinements:
                    x_T = invert_ddim(
                        denoise,
                        x0,
                        timesteps,
                        prior.alpha_bar,
                        num_refinements=num_refinements,
                    )
                    again = sample_ddim(
                        denoise, x_T, timesteps, prior.alpha_bar, generator=iter(())
                    )
                    yield {
                        "guidance_scale": scale,
                        "start": start,
                        "num_steps": num_steps,
                        "num_refinements": num_refinements,
                        "evaluations": num_steps * (num_refinements + 1) - 1,
                        "error": round((again - x0).square().mean().sqrt().item(), 4),
                        "noise": round(x_T.square().mean().sqrt().item(), 3),
                    }


def main() -> None:
    """Measure every setting that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--latents", type=int, default=100)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--steps", nargs="+", type=int, default=[2, 4, 10, 20, 50])
    parser.add_argument("--refinements", nargs="+", type=int, default=[0, 1, 2, 5, 20])
    parser.add_argument("--starts", nargs="+", type=float, default=[1.0, 0.7])
    parser.add_argument("--guidance-scales", nargs="+", type=float, default=[1.0])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    bootstrap_project(PROJECT)
    with KedroSession.create(PROJECT) as session, torch.inference_mode():
        print(json.dumps({"machine": describe_machine()}))
        for row in rows(options, session.load_context().catalog):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
