"""How fast a device answers texts, and how far it is from the CPU, of gpu_check.py."""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import bare  # noqa: F401 (before the package: lends what a bare machine lacks)
import torch
from gpu_sizes import Check, Row, pair_settings, tf32
from random_models import W_DIM, RandomViT
from run_time import TEXT, UPSTREAM, make_prior
from torch import Tensor
from torch.nn import functional as F

from clip2latent_kedro.generators.lafite import Lafite, LafiteConfig
from clip2latent_kedro.generators.text_adapter import TextGenerator
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.methods.optimisation.config import OptimisationConfig
from clip2latent_kedro.methods.optimisation.loop import optimise_latents
from clip2latent_kedro.pairs import sample_w
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.samplers import SamplingConfig, choose_sampler


def draw(
    prior: DiffusionPrior, condition: Tensor, settings: Mapping[str, Any], num: int
) -> Tensor:
    """Return `num` latents of one condition, with guidance 2, [num, 1, w_dim]."""
    config = SamplingConfig(guidance_scale=2.0, **settings)
    random = torch.Generator(condition.device).manual_seed(0)
    shape = (num, *prior.latent_shape)
    x_T = torch.randn(shape, generator=random, device=condition.device)
    denoise = prior.denoiser(prior.join_condition(condition), 2.0)
    sampler = choose_sampler(config, prior.alpha_bar)
    return prior.statistics.denormalise(sampler(denoise, x_T, generator=random))


STEPS = {  # of one step, a prior that has guidance as an input
    "1 step": {"sampler": "ddim", "num_steps": 1},
    "4 steps, as published": {**UPSTREAM, "num_steps": 4},
    "10 steps, DPM-Solver++(2M)": {"sampler": "dpmpp_2m", "num_steps": 10},
    "1000 steps": {**UPSTREAM, "num_steps": 1000},
}


def sampling(check: Check) -> Iterator[Row]:
    """Yield seconds for 16 latents of one embedding."""
    condition = torch.randn(1, 512, device=check.device)

    def measure(settings: Mapping[str, Any]) -> Row:
        prior = check.prior(is_student=settings["num_steps"] == 1)
        return check.repeat(lambda: draw(prior, condition, settings, 16))

    yield from check.rows(**{n: partial(measure, s) for n, s in STEPS.items()})


def run_time(check: Check) -> Iterator[Row]:
    """Yield seconds from a text to 16 ranked pictures, and of other methods to one."""
    sizes, device = check.sizes, check.device
    generator = check.generator().to(device)
    encoder = RandomViT(sizes.layers).to(device)

    def rank(image: Tensor, text: Tensor) -> Tensor:
        return F.cosine_similarity(encoder.encode_image(image), text).argsort()

    def measure(settings: Mapping[str, Any], num: int) -> Row:
        prior = check.prior(is_student=settings["num_steps"] == 1)

        @torch.no_grad()
        def answer() -> Tensor:
            text = encoder.encode_text([TEXT])
            w = draw(prior, text, settings, num)
            return rank(generator.synthesis(w.expand(-1, generator.num_ws, -1)), text)

        return {"images": num, **check.repeat(answer, most=10)}

    def single_pass(num: int) -> Row:
        config = LafiteConfig(W_DIM, W_DIM, sizes.resolution, sizes.channel_base, 512)
        torch.manual_seed(0)
        model = TextGenerator(Lafite(config), Identity("random lafite", "0")).to(device)

        @torch.no_grad()
        def answer() -> Tensor:
            text = encoder.encode_text([TEXT])
            z = torch.randn(num, W_DIM, device=device)
            return rank(model.sample(z, text.expand(num, -1)), text)

        return {"images": num, **check.repeat(answer, most=10)}

    def optimise() -> Row:
        config = OptimisationConfig(
            start="mean", num_steps=sizes.optimisation_steps, lr=0.1, resize="bilinear"
        )
        start = torch.zeros(1, 1, W_DIM, device=device)
        began = time.perf_counter()
        target = encoder.encode_text([TEXT]).detach()
        optimise_latents(
            generator, encoder, target, start, config, gaussian=None, seed=0
        )
        check.synchronise()
        seconds = time.perf_counter() - began
        return {
            "images": 1,
            "seconds": seconds,
            "runs": 1,
            "steps": config.num_steps,
            "seconds_per_step": seconds / config.num_steps,
        }

    rows: dict[str, Callable[[], Row]] = {}
    for num in (16, 1):
        for name, settings in STEPS.items():
            rows[f"{name}, {num} images"] = partial(measure, settings, num)
        rows[f"a pass of LAFITE, {num} images"] = partial(single_pass, num)
    rows["direct optimisation"] = optimise
    yield from check.rows(**rows)


def cpu(check: Check) -> Iterator[Row]:
    """Yield the largest difference from the CPU of a bit of everything, in float32."""
    sizes = check.sizes
    torch.manual_seed(2)
    generator, encoder = check.generator(), RandomViT(sizes.layers)
    data, _ = pair_settings(check, generator.num_ws)
    prior = make_prior(is_student=False, network=sizes.network)
    w = sample_w(generator, data, range(2), seed=0, psi=1.0, device="cpu")
    layers = w.expand(-1, generator.num_ws, -1).clone()
    image = 2 * torch.rand(2, 3, 224, 224) - 1
    condition, x_t = 10 * torch.randn(2, 512), torch.randn(2, 1, W_DIM)
    t, keep = torch.tensor([100, 900]), torch.tensor([True, False])

    def latents(device: str) -> Tensor:
        return sample_w(generator, data, range(2), seed=0, psi=1.0, device=device)

    def pictures(device: str) -> Tensor:
        return generator.synthesis(layers.to(device))

    def trajectory(device: str) -> Tensor:
        config = SamplingConfig("dpmpp_2m", 10, 2.0)
        sampler = choose_sampler(config, prior.alpha_bar)
        return sampler(prior.denoiser(condition.to(device), 2.0), x_t.to(device))

    def gradient(device: str) -> Tensor:
        prior.network.zero_grad()
        given = [part.to(device) for part in (x_t, condition)]
        noise = torch.flip(given[0], [0])
        kept, times = keep.to(device), t.to(device)
        with torch.enable_grad():
            prior.loss(*given, t=times, noise=noise, keep=kept).backward()
        weights = prior.network.parameters()
        return torch.cat([p.grad.flatten() for p in weights if p.grad is not None])

    def compare(compute: Callable[[str], Tensor], allows_tf32: bool = False) -> Row:
        with torch.set_grad_enabled(compute is gradient), tf32(allows_tf32):
            found = []
            for device in ("cpu", check.device):
                for model in (generator, encoder, prior):
                    model.to(device)
                found.append(compute(device).detach().double().cpu())
        difference = (found[1] - found[0]).abs().max().item()
        spread = found[0].std().item()
        return {
            "largest_difference": difference,
            "spread": spread,
            "largest_difference_in_spreads": difference / spread,
        }

    parts: dict[str, Callable[[str], Tensor]] = {
        "w": latents,
        "image": pictures,
        "image_embedding": lambda device: encoder.encode_image(image.to(device)),
        "text_embedding": lambda device: encoder.encode_text([TEXT, "another"]),
        "predicted x0": lambda device: prior.predict_x0(
            x_t.to(device), t.to(device), condition.to(device), keep.to(device)
        ),
        "x0 after 10 steps": trajectory,
        "gradient of the prior": gradient,
    }
    rows = {name: partial(compare, part) for name, part in parts.items()}
    rows["image, TF32"] = partial(compare, pictures, allows_tf32=True)
    yield from check.rows(**rows)
