"""LAFITE's snapshots: how their texts are used, told by the layers that are there."""

from collections.abc import Mapping
from dataclasses import asdict

from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.files.architecture import (
    Record,
    StyleGANWeights,
    completed,
    shape_of,
    stylegan2_fields,
)
from clip2latent_kedro.generators.files.opcodes import Refusal
from clip2latent_kedro.generators.files.shapes import lafite_shapes
from clip2latent_kedro.generators.lafite import LafiteConfig, TextLayers

# Layers that tell how a text is used; the first of them that is there decides.
_WAYS: dict[str, TextLayers] = {
    "scale_layer_0": "scale",
    "affine": "add",
    "affine_0": "concatenate",
}


def is_lafite(tensors: Mapping[str, Tensor]) -> bool:
    """Return whether a generator has layers for a text."""
    return any(
        f"synthesis.b4.conv1.{layer}.weight" in tensors
        for layer in ("affine_0", "scale_layer_0")
    )


def lafite_weights_of(tensors: dict[str, Tensor], record: Record) -> StyleGANWeights:
    """Return a LAFITE generator with its architecture and a complete state dict.

    The multiplier of the text layers' learning rate is that of the published code,
    where it is fixed.

    Raises:
        Refusal: If the tensors are no LAFITE generator's.
    """
    fields = stylegan2_fields(tensors, record)
    resolutions = [2**power for power in range(2, fields["resolution"].bit_length())]
    hidden = "scale_layer" if _way(tensors, 4) == "scale" else "pre"
    layer = f"synthesis.b4.conv1.{hidden}"
    try:
        config = LafiteConfig(
            **fields,
            text_dim=shape_of(tensors, f"{layer}_0.weight", 2)[1],
            text_features=shape_of(tensors, f"{layer}_1.weight", 2)[0],
            text_layers={str(r): _way(tensors, r) for r in resolutions},
        )
    except InputError as error:
        msg = f"describes a generator that cannot be built ({str(error).rstrip('.')})"
        raise Refusal(msg) from error
    whole = completed(config, lafite_shapes(config), tensors)
    return StyleGANWeights("lafite", asdict(config), whole)


def _way(tensors: Mapping[str, Tensor], resolution: int) -> TextLayers:
    """Return how a block uses the text."""
    layers = {
        name.split(".")[3]
        for name in tensors
        if name.startswith(f"synthesis.b{resolution}.conv1.") and name.count(".") > 3
    }
    if "affine_0" not in layers and "scale_layer_0" not in layers:
        return "none"
    return next(way for layer, way in _WAYS.items() if layer in layers)
