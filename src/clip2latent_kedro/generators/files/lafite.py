"""LAFITE's generator (Zhou et al. 2021): a StyleGAN2 whose styles also see a text.

Up to a resolution, two layers turn the text's CLIP embedding into 512 features that
join w before the affine map ("concatenate"); above, six layers turn it into a factor
and a summand of the styles ("scale"). Source: drboog/Lafite, training/networks.py.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from clip2latent_kedro.generators.files.architecture import (
    Record,
    StyleGANWeights,
    shape_of,
    stylegan2_fields,
)

# Layers that tell how a text is used; the first of them that is there decides.
_WAYS = {"scale_layer_0": "scale", "affine": "add", "affine_0": "concatenate"}


def is_lafite(tensors: Mapping[str, Tensor]) -> bool:
    """Return whether a generator has layers for a text."""
    return any(
        f"synthesis.b4.conv1.{layer}.weight" in tensors
        for layer in ("affine_0", "scale_layer_0")
    )


def lafite_weights_of(tensors: dict[str, Tensor], record: Record) -> StyleGANWeights:
    """Return a LAFITE generator; its config is StyleGAN2's with two more entries.

    `text_dim` is the size of the text's embedding, and `text_layers` how the block of
    each resolution uses it: `concatenate`, `scale`, `add` or `none`.

    Raises:
        Refusal: If a tensor that tells its architecture is missing.
    """
    fields = stylegan2_fields(tensors, record)
    resolutions = [2**power for power in range(2, fields["resolution"].bit_length())]
    config: dict[str, Any] = {
        **fields,
        "text_dim": _text_dim(tensors),
        "text_layers": {str(r): _way(tensors, r) for r in resolutions},
    }
    return StyleGANWeights("lafite", config, tensors)


def _text_dim(tensors: Mapping[str, Tensor]) -> int:
    layer = "synthesis.b4.conv1.scale_layer_0.weight"
    if layer not in tensors:
        layer = "synthesis.b4.conv1.pre_0.weight"
    return shape_of(tensors, layer, 2)[1]


def _way(tensors: Mapping[str, Tensor], resolution: int) -> str:
    """Return how a block uses the text."""
    layers = {
        name.split(".")[3]
        for name in tensors
        if name.startswith(f"synthesis.b{resolution}.conv1.") and name.count(".") > 3
    }
    if "affine_0" not in layers and "scale_layer_0" not in layers:
        return "none"
    return next(way for layer, way in _WAYS.items() if layer in layers)
