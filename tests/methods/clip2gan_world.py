"""CLIP2GAN in the world of three colours, where the best mapping is known.

There w, the image and its embedding are all the same three numbers, and the direction u
of an embedding is what the network sees of them. For w ~ N(0, s^2 I) its length is that
of 3 normal numbers, and so the best answer is E[w | u] = s sqrt(8 / pi) u.
"""

from dataclasses import replace

import torch
from world import ColourEncoder, ColourGenerator, make_colour_pairs

from clip2latent_kedro.latents import LatentStatistics, measure_statistics
from clip2latent_kedro.methods.clip2gan import Clip2GanTrainingConfig, train_clip2gan

CONFIG = Clip2GanTrainingConfig(
    dim=16,
    depth=1,
    max_it=6,
    images_from=2,
    bs=16,
    image_bs=8,
    lr=1e-2,
    weight_decay=0.0,
    embed_noise_scale=0.5,
    latent_weight=1.0,
    pixel_weight=1.0,
    clip_weight=1.0,
    low_pass=2,
    ema_beta=0.9,
    val_pairs=20,
    save_it=2,
)
SPREAD = 0.25  # s


def configure(**changes):
    return replace(CONFIG, **changes)


def make_pairs(num_pairs=200):
    pairs = make_colour_pairs(num_pairs)
    return replace(pairs, recipe={**pairs.recipe, "latent_repeats": [2]})


def statistics_of(pairs) -> LatentStatistics:
    return measure_statistics(torch.from_numpy(pairs.w))


def train(start=None, pairs=None, generator=None, encoder=None, **changes):
    pairs = pairs or make_pairs()
    states = train_clip2gan(
        generator or ColourGenerator(),
        encoder or ColourEncoder(),
        pairs,
        statistics_of(pairs),
        configure(**changes),
        seed=0,
        device="cpu",
        start=start,
    )
    return list(states)
