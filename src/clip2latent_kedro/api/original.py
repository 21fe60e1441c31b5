"""The original project's own YAML, as settings of this one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clip2latent_kedro.downloads import is_address
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.sharing import PREPROCESS

_SECTIONS = ("data", "model")


def is_original(cfg: Mapping[str, Any]) -> bool:
    """Return whether a configuration has the original's sections."""
    return all(isinstance(cfg.get(section), Mapping) for section in _SECTIONS)


def read_original(cfg: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return an original configuration in the form of `Clip2StyleGAN`'s `cfg`.

    Sampling is as in the original where a call says nothing: every timestep, without
    guidance. What the configuration says of `generator`, `encoder` or `sampling`,
    which the original does not know, comes before all that.

    Args:
        cfg: With `data.sg_pkl` and `data.clip_variant`.
        folder: Where relative paths start, if the file is there; else here.

    Raises:
        InputError: If one of the two is missing.
    """
    data, network = cfg["data"], cfg["model"].get("network", {})
    if not isinstance(network, Mapping):
        msg = f"model.network in cfg must be a mapping, got {str(network)[:80]!r}."
        raise InputError(msg)
    own = {k: cfg[k] for k in ("generator", "encoder", "sampling") if k in cfg}
    for key, role in (("sg_pkl", "generator"), ("clip_variant", "encoder")):
        if role not in own and not isinstance(data.get(key), str):
            msg = f"cfg must name the {role} as data.{key}, got {data.get(key)!r}."
            raise InputError(msg)
    settings: dict[str, Any] = {
        "data": {key: data[key] for key in PREPROCESS if key in data},
        "sampling": {
            "sampler": "ddpm",
            "num_steps": network.get("num_timesteps", 1000),
            "guidance_scale": 1.0,
            "variance": "upstream",
        },
        **own,
        "config": {k: v for k, v in cfg.items() if k not in own},
    }
    if "generator" not in own:
        place = _place(data["sg_pkl"], folder)
        settings["generator"] = {"kind": "stylegan", "filepath": place}
    if "encoder" not in own:
        settings["encoder"] = _encoder(data["clip_variant"], folder)
    return settings


def _encoder(variant: str, folder: Path) -> dict[str, Any]:
    """Return the encoder that OpenAI calls so, such as ViT-B/32, or a file's."""
    if variant.endswith(".safetensors"):
        return {"kind": "compact_clip", "filepath": _place(variant, folder)}
    model = f"{variant.replace('/', '-').replace('@', '-')}-quickgelu"
    return {"kind": "open_clip", "options": {"model": model, "pretrained": "openai"}}


def _place(place: str, folder: Path) -> str:
    if is_address(place) or not (folder / place).is_file():
        return place
    return str(folder / place)
