"""Small StyleGANs in which no parameter has its neutral value."""

import torch

from clip2latent_kedro.generators.lafite import Lafite, LafiteConfig
from clip2latent_kedro.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from clip2latent_kedro.generators.stylegan3 import StyleGAN3, StyleGAN3Config

SIZES = {
    "z_dim": 6,
    "w_dim": 10,
    "resolution": 16,
    "channel_base": 64,
    "channel_max": 12,
    "mapping_layers": 3,
}
TEXT = {"text_dim": 14, "text_features": 20, "text_layers": {"8": "add", "16": "scale"}}
SIZES_3 = {
    "z_dim": 6,
    "c_dim": 0,
    "w_dim": 10,
    "img_resolution": 16,
    "channel_base": 64,
    "channel_max": 6,
    "num_layers": 4,
}


def make_stylegan2(seed=0, **changes):
    """Return a small StyleGAN2 in which no parameter has its neutral value."""
    torch.manual_seed(seed)
    return randomise(StyleGAN2(StyleGAN2Config(**SIZES | changes)))


def make_lafite(seed=0, **changes):
    """Return a small LAFITE of the same kind."""
    torch.manual_seed(seed)
    return randomise(Lafite(LafiteConfig(**SIZES | TEXT | changes)))


def make_stylegan3(**changes):
    """Return a small StyleGAN3 of the same kind, whose pose follows w."""
    torch.manual_seed(0)
    network = randomise(StyleGAN3(StyleGAN3Config(**SIZES_3 | changes)))
    network.synthesis.input.affine.weight.normal_()
    for name, value in network.named_buffers():
        if name.endswith("magnitude_ema"):
            value.uniform_(0.5, 2)
    return network


def randomise(network):
    """Move biases, noise strengths and means away from 0 and 1."""
    with torch.no_grad():
        for value in network.parameters():
            if value.ndim <= 1:
                value.add_(0.3 * torch.randn_like(value))
        network.mapping.w_avg.normal_()
    return network.eval().requires_grad_(False)
