"""The two networks as training finds them: grown out of a StyleGAN2, and random."""

from math import sqrt

import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.adapters import StyleGANGenerator
from clip2latent_kedro.generators.lafite import Lafite, LafiteConfig, TextStyle
from clip2latent_kedro.generators.stylegan2 import StyleGAN2
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.methods.lafite.config import LafiteTrainingConfig
from clip2latent_kedro.methods.lafite.discriminator import (
    Discriminator,
    DiscriminatorConfig,
)
from clip2latent_kedro.runtime import derive_seed, seeded_weights


def build_networks(
    generator: Generator,
    encoder: Encoder,
    config: LafiteTrainingConfig,
    *,
    seed: int,
) -> tuple[Lafite, Discriminator]:
    """Return both networks on the CPU; the generator draws what the given one does.

    The first layers on the text start larger than the others, by as much as the
    coordinates of a unit vector are smaller than those of w. The strengths of the
    noise do not learn: the noise is the same in all images.

    Args:
        generator: The domain's, an unconditional StyleGAN2 of three colours.
        encoder: Whose embeddings of texts they will see.
        config: `params:baselines.lafite`.
        seed: Seed of the random weights.

    Raises:
        InputError: If the generator is another.
    """
    source = generator.network if isinstance(generator, StyleGANGenerator) else None
    if not isinstance(source, StyleGAN2):
        msg = (
            f"LAFITE starts from a StyleGAN2, got {generator.identity}. Give such a "
            f"generator, or leave the pipeline baselines out."
        )
        raise InputError(msg)
    if source.config.c_dim or source.config.img_channels != 3:
        msg = (
            f"LAFITE starts from a generator of three colours without classes, got "
            f"{source.config.img_channels} colours and {source.config.c_dim} classes."
        )
        raise InputError(msg)
    with seeded_weights(derive_seed(seed, "lafite_weights")):
        lafite = Lafite(
            LafiteConfig(
                **vars(source.config),
                text_dim=encoder.embed_dim,
                text_features=config.text_features,
                text_lr=config.text_lr,
                text_encoder=f"{encoder.identity.name}@{encoder.identity.digest}",
            )
        )
        discriminator = Discriminator(
            DiscriminatorConfig(
                resolution=source.config.resolution,
                channel_base=config.channel_base,
                channel_max=config.channel_max,
                text_dim=encoder.embed_dim,
            )
        )
    for name, parameter in lafite.named_parameters():
        if name.endswith("noise_strength"):
            parameter.requires_grad_(False)
        if name.endswith(("pre_0.weight", "scale_layer_0.weight")):
            parameter.data.mul_(sqrt(encoder.embed_dim))
    lafite.start_from(source)
    return lafite, discriminator


@torch.no_grad()
def shift_styles(lafite: Lafite, offset: Tensor) -> None:
    """Change biases so that the styles of w become those of w + offset.

    Training sees w - w_avg, whose mean is zero: a mean that is common to all would
    dwarf what differs in the gradients of the styles, as it does in those of a bias
    with a large constant for input.

    Args:
        lafite: Changed in place.
        offset: [w_dim].
    """
    for module in lafite.modules():
        if isinstance(module, TextStyle):
            layer = module.affine_0 if module.mode == "concatenate" else module.affine
            weight = layer.weight[:, -len(offset) :] * layer.weight_gain
            layer.bias.add_(weight @ offset)


def parameter_groups(
    lafite: Lafite, config: LafiteTrainingConfig
) -> list[dict[str, object]]:
    """Return the generator's parameters as Adam takes them, with names.

    The mapping learns at a hundredth of the rate, whatever multiplier is part of its
    weights.
    """
    named = [
        (name, parameter)
        for name, parameter in lafite.named_parameters()
        if parameter.requires_grad
    ]
    rates = {
        "mapping": 0.01 * config.lr / lafite.config.mapping_lr,
        "styles": config.lr_styles,
        "images": config.lr,
    }
    return [
        {"params": [(n, p) for n, p in named if _group_of(n) == group], "lr": lr}
        for group, lr in rates.items()
    ]


def _group_of(name: str) -> str:
    if name.startswith("mapping."):
        return "mapping"
    return "styles" if ".affine." in name else "images"
