"""Networks behind the `Generator` protocol, and the file format they are kept in."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from clip2latent_kedro.interfaces import Identity, NoiseMode


class StyleGAN2Generator:
    """A StyleGAN2 network, frozen, as a `Generator`."""

    def __init__(self, network: StyleGAN2, identity: Identity) -> None:
        """Wrap a network with its weights loaded."""
        self.network = network.eval().requires_grad_(False)
        self.identity = identity
        self.z_dim = network.config.z_dim
        self.w_dim = network.config.w_dim
        self.num_ws = network.config.num_ws
        self.resolution = network.config.resolution

    @property
    def w_avg(self) -> Tensor:
        """Mean of w, [w_dim]."""
        return self.network.mapping.w_avg

    def mapping(self, z: Tensor, *, psi: float = 1.0) -> Tensor:
        """Return w, [n, num_ws, w_dim], of z, [n, z_dim], truncated by psi."""
        w: Tensor = self.network.mapping(z, psi)
        return w

    def synthesis(self, w: Tensor, *, noise_mode: NoiseMode = "const") -> Tensor:
        """Return images, [n, 3, resolution, resolution], of w [n, num_ws, w_dim]."""
        image: Tensor = self.network.synthesis(w, noise_mode)
        return image

    def to(self, device: str) -> "StyleGAN2Generator":
        """Move to a device and return self."""
        self.network.to(device)
        return self


class DecoderGenerator:
    """Any decoder with no mapping network (a DCGAN, a VAE's decoder), with w = z."""

    def __init__(
        self, decoder: nn.Module, *, z_dim: int, resolution: int, identity: Identity
    ) -> None:
        """Wrap a module that turns z, [n, z_dim], into images in [-1, 1]."""
        self.decoder = decoder.eval().requires_grad_(False)
        self.identity = identity
        self.z_dim = z_dim
        self.w_dim = z_dim
        self.num_ws = 1
        self.resolution = resolution
        self.w_avg = torch.zeros(z_dim)

    def mapping(self, z: Tensor, *, psi: float = 1.0) -> Tensor:
        """Return w = psi * z, [n, 1, z_dim]."""
        return psi * z[:, None]

    def synthesis(self, w: Tensor, *, noise_mode: NoiseMode = "const") -> Tensor:
        """Return images of w, [n, 1, z_dim]; a decoder has no noise of its own."""
        image: Tensor = self.decoder(w[:, 0])
        return image

    def to(self, device: str) -> "DecoderGenerator":
        """Move to a device and return self."""
        self.decoder.to(device)
        self.w_avg = self.w_avg.to(device)
        return self


def stylegan2_weights(network: StyleGAN2) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return weights and metadata, as `load_stylegan2` reads them.

    The synthesis in half precision; the mapping, small and sensitive, in full.
    """
    weights = {
        name: (value if name.startswith("mapping.") else value.half()).contiguous()
        for name, value in network.state_dict().items()
        if not _is_made_at_load(name)
    }
    config = json.dumps(asdict(network.config), sort_keys=True)
    return weights, {"config": config}


def load_stylegan2(path: Path | None, options: Mapping[str, Any]) -> StyleGAN2Generator:
    """Return the generator in a safetensors file with its architecture beside it.

    Args:
        path: The file; its metadata `config` holds `StyleGAN2Config` as JSON.
        options: None are known.

    Raises:
        InputError: If the file is missing, is not of this format, or does not fit
            the architecture that it names.
    """
    if options:
        msg = f"kind stylegan2 has no options, got {sorted(options)}. Remove them."
        raise InputError(msg)
    if path is None or not path.is_file():
        msg = f"The generator's weights are expected at {path}, where there is no file."
        raise InputError(msg)
    try:
        with safe_open(path, framework="pt") as file:
            config = StyleGAN2Config(**json.loads(file.metadata()["config"]))
            weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        msg = (
            f"{path} must be a safetensors file with the architecture in its metadata "
            f"`config`, got {error!r}. Make it with the portraits pipeline."
        )
        raise InputError(msg) from error
    network = StyleGAN2(config)
    made = {k: v for k, v in network.state_dict().items() if _is_made_at_load(k)}
    try:
        network.load_state_dict({**made, **weights})
    except RuntimeError as error:
        msg = f"{path} does not fit the architecture in its metadata: {error}"
        raise InputError(msg) from error
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return StyleGAN2Generator(network, Identity("stylegan2", digest))


def _is_made_at_load(name: str) -> bool:
    return name.endswith("resample_filter")
