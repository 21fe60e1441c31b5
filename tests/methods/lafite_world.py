"""A StyleGAN2 of 8 px in the world of three colours, and pairs made with it."""

from dataclasses import replace

import torch
from generators.networks import make_stylegan2
from world import ColourEncoder

from clip2latent_kedro.generators.adapters import StyleGANGenerator
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.methods.lafite import LafiteTrainingConfig
from clip2latent_kedro.pairs import TrainingPairs

CONFIG = LafiteTrainingConfig(
    text_features=8,
    text_lr=1.0,
    channel_base=64,
    channel_max=8,
    max_it=6,
    discriminator_first=1,
    bs=8,
    lr=2.5e-3,
    lr_styles=1e-2,
    lr_discriminator=2.5e-3,
    lr_decay="none",
    beta1=0.5,
    noise_share=0.3,
    itd=1.0,
    itc=10.0,
    temperature=0.2,
    lam=0.0,
    form="corrected",
    r1_gamma=0.1,
    r1_every=2,
    ema_beta=0.9,
    ema_power=0.75,
    save_it=2,
)


def configure(**changes):
    return replace(CONFIG, **changes)


def make_generator(**changes):
    network = make_stylegan2(resolution=8, **changes)
    with torch.no_grad():
        network.mapping.w_avg = network.mapping(torch.randn(500, 6))[:, 0].mean(0)
    return StyleGANGenerator(network, Identity("stylegan2", "33"))


@torch.no_grad()
def make_pairs(generator, num=64):
    random = torch.Generator().manual_seed(3)
    w = generator.mapping(torch.randn(num, generator.z_dim, generator=random))
    embedding = ColourEncoder().encode_image(generator.synthesis(w))
    recipe = {
        "generator": "stylegan2@33",
        "encoder": "colour-clip@11",
        "latent_repeats": [generator.num_ws],
        "versions": {"torch": torch.__version__},
    }
    return TrainingPairs(w[:, :1].numpy(), embedding.numpy(), recipe)
