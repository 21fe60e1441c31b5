"""Whether variations of a face are of the same person, beside other ways to draw them.

Pictures that the prior has never seen, drawn from the generator itself, are prompts;
rows are variations of them by the prior, the training pairs that are nearest by the
same encoder, random w (what there is without a prompt), and the picture mirrored with
less light (a bound: it is the same face). Each is compared with its own picture and
with the others by

- `identity`, the encoder that the prior was trained with,
- `pixels`, 16 x 16 of them, less their mean over the pictures, and `clip`, a CLIP of
  this world if `--clip` names its file: neither of them was trained for faces,
- what the readers of `worlds.faces` say: the share of variations in which gender and
  expression are the same, and how many years lie between the ages.

`own` and `other` are mean cosines with the own picture and with others; `nearer` the
share of other pictures that the own one beats (0.5: nothing is kept). Means over seeds,
with their standard deviation. Prints one line of JSON a row.

    uv run --extra faces python benchmarks/identity_kept.py
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.checked import read_settings
from clip2latent_kedro.downloads import fetch
from clip2latent_kedro.encoders import load_encoder
from clip2latent_kedro.images import image_to_uint8, uint8_to_image
from clip2latent_kedro.latents import repeat_latents
from clip2latent_kedro.metrics.likeness import measure_likeness
from clip2latent_kedro.metrics.retrieval import nearest_rows
from clip2latent_kedro.parameters import Parameters
from clip2latent_kedro.runtime import describe_machine, make_generator
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.text_to_image import TextToImage
from clip2latent_kedro.worlds.faces.age_gender import load_age_gender
from clip2latent_kedro.worlds.faces.emotion import load_emotion

PROJECT = Path(__file__).parents[1]
PIXELS = 16  # a side
LESS_LIGHT = 0.3  # of the way to black


def main() -> None:
    """Print the machine and what is kept, a line of JSON a row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env", default="faces_identity")
    parser.add_argument("--pictures", type=int, default=64)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--guidance", nargs="+", type=float, default=[])
    parser.add_argument("--uncentred", action="store_true", help="less no mean as well")
    parser.add_argument("--clip", default=None, help="weights of a compact CLIP")
    arguments = parser.parse_args()

    bootstrap_project(PROJECT)
    with KedroSession.create(PROJECT, env=arguments.env) as session:
        context = session.load_context()
        names = ("generator", "encoder", "prior", "training_pairs")
        generator, encoder, prior, pairs = map(context.catalog.load, names)
        tree = context.config_loader["parameters"]
    parameters = read_settings(Parameters, tree)
    repeats = parameters.data.latent_repeats
    model = TextToImage(
        generator,
        encoder,
        prior,
        repeats,
        latent_batch_size=parameters.inference.image_batch_size,
        image_batch_size=parameters.inference.image_batch_size,
    )
    random = make_generator(0, "identity_pictures")
    z = torch.randn(arguments.pictures, generator.z_dim, generator=random)
    pictures = synthesise(model, generator.mapping(z))
    readers = make_readers(pictures, model, arguments.clip)
    if arguments.uncentred:
        readers["uncentred"] = lambda x: encoder.encode_image(x) + encoder.mean
    asked = readers["identity"](pictures).numpy()
    sampling = parameters.sampling
    rows: dict[str, Callable[[int], Tensor]] = {
        "mirrored, darker": lambda seed: change(pictures)[:, None],
        "nearest pairs": lambda seed: retrieve(
            model, pairs, asked, arguments.samples, repeats
        ),
        "random w": lambda seed: draw_any(model, len(z), arguments.samples, seed),
    }
    for scale in arguments.guidance or [sampling.guidance_scale]:
        settings = SamplingConfig(**{**vars(sampling), "guidance_scale": scale})
        rows[f"prior, guidance {scale:g}"] = lambda seed, settings=settings: vary(
            model, pictures, settings, arguments.samples, seed
        )
    print(json.dumps({"machine": describe_machine(), **vars(arguments)}))
    for name, draw in rows.items():
        drawn = [compare(pictures, draw(seed), readers) for seed in arguments.seeds]
        spread = {
            key: [
                round(float(np.mean([one[key] for one in drawn])), 3),
                round(float(np.std([one[key] for one in drawn], ddof=1)), 3),
            ]
            for key in drawn[0]
        }
        print(json.dumps({"row": name, **spread}), flush=True)


def make_readers(
    pictures: Tensor, model: TextToImage, clip: str | None
) -> dict[str, Callable[[Tensor], Tensor]]:
    """Return what embeds images [n, 3, h, w], by name."""

    def small(image: Tensor) -> Tensor:
        return functional.adaptive_avg_pool2d(image, PIXELS).flatten(1)

    mean = small(pictures).mean(dim=0)
    readers = {
        "identity": model.encoder.encode_image,
        "pixels": lambda image: small(image) - mean,
    }
    if clip is not None:
        other = load_encoder("compact_clip", fetch(clip), {})
        centre = other.encode_image(pictures).mean(dim=0)
        readers["clip"] = lambda image: other.encode_image(image) - centre
    return readers


@torch.inference_mode()
def compare(
    pictures: Tensor,
    variations: Tensor,
    readers: dict[str, Callable[[Tensor], Tensor]],
) -> dict[str, float]:
    """Return what variations, [m, n, 3, h, w], keep of pictures [m, 3, h, w]."""
    found: dict[str, float] = {}
    m, n = variations.shape[:2]
    flat = variations.flatten(0, 1)
    for name, read in readers.items():
        likeness = measure_likeness(
            read(pictures).numpy(), read(flat).view(m, n, -1).numpy()
        )
        for key, values in vars(likeness).items():
            found[f"{name}.{key}"] = float(values.mean())
    ages, emotion = load_age_gender(), load_emotion()
    own, read = ages.read(pictures), ages.read(flat)
    is_male = own.male_probability[:, None] > 0.5
    same = (read.male_probability.view(m, n) > 0.5) == is_male
    years = (read.age.view(m, n) - own.age[:, None]).abs()
    shown = emotion.probabilities(pictures).argmax(dim=1)[:, None]
    alike = emotion.probabilities(flat).argmax(dim=1).view(m, n) == shown
    return found | {
        "gender.same": float(same.float().mean()),
        "age.years": float(years.mean()),
        "expression.same": float(alike.float().mean()),
    }


def vary(
    model: TextToImage, pictures: Tensor, sampling: SamplingConfig, n: int, seed: int
) -> Tensor:
    """Return variations by the prior."""
    made = model(
        list(pictures), sampling, num_samples=n, seed=seed, score=False, rank=False
    )
    return uint8_to_image(torch.from_numpy(made.images))


def retrieve(
    model: TextToImage, pairs: object, asked: np.ndarray, n: int, repeats: list[int]
) -> Tensor:
    """Return the training pairs whose embedding is nearest."""
    rows, _ = nearest_rows(asked, pairs.clip_embedding, k=n, chunk_size=4096)
    w = torch.from_numpy(np.stack([pairs.w[row] for row in rows.reshape(-1)]))
    image = synthesise(model, repeat_latents(w.float(), repeats))
    return image.view(len(asked), n, *image.shape[1:])


def draw_any(model: TextToImage, m: int, n: int, seed: int) -> Tensor:
    """Return images of random w."""
    random = make_generator(seed, "identity_random")
    z = torch.randn(m * n, model.generator.z_dim, generator=random)
    image = synthesise(model, model.generator.mapping(z))
    return image.view(m, n, *image.shape[1:])


def change(pictures: Tensor) -> Tensor:
    """Return the pictures mirrored, with less light."""
    return (1 - LESS_LIGHT) * pictures.flip(3) - LESS_LIGHT


def synthesise(model: TextToImage, w: Tensor) -> Tensor:
    """Return images of w, [n, 3, h, w], as they are stored."""
    with torch.inference_mode():
        image = torch.cat([model.generator.synthesis(part) for part in w.split(64)])
    return uint8_to_image(torch.from_numpy(image_to_uint8(image)))


if __name__ == "__main__":
    main()
