"""Where open_clip's pre-trained weights are, and what they need of the model."""

import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from clip2latent_kedro.downloads.source import HUGGING_FACE
from clip2latent_kedro.errors import InputError

_HOSTED = "hf-hub:"
# A folder of Hugging Face holds one of them, the first where there are both.
_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_IMAGE_SETTINGS = ("mean", "std", "interpolation", "resize_mode")


def architecture_name(model: str) -> str:
    """Return a model's name as open_clip has it: `ViT-B-32` for `ViT-B/32`."""
    return model if model.startswith(_HOSTED) else model.replace("/", "-")


def weights_addresses(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return where the weights of an encoder's options are, the best address first.

    Args:
        options: As in the catalog, with `model` and `pretrained`.

    Returns:
        None for a model or tag that open_clip does not know, or one of its own on
        Hugging Face (`hf-hub:...`), which comes with its own configuration.
    """
    model, tag = options.get("model"), options.get("pretrained")
    if not model or not tag:
        return ()
    return tag_addresses(tag_settings(architecture_name(str(model)), str(tag)))


def tag_settings(architecture: str, tag: str | None) -> Mapping[str, Any]:
    """Return what open_clip knows of a pre-trained tag; empty if it knows none."""
    if tag is None or architecture.startswith(_HOSTED):
        return {}
    import open_clip

    known: Mapping[str, Any]
    known = open_clip.pretrained.get_pretrained_cfg(architecture, tag)
    return known


def tag_addresses(known: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the addresses of a tag's weights, by its settings.

    Those on Hugging Face are as open_clip itself would load them, safetensors first;
    `url`, of older tags, may be a TorchScript archive.
    """
    repository, slash, file = str(known.get("hf_hub") or "").rpartition("/")
    if not slash:
        return (known["url"],) if known.get("url") else ()
    files = (f"{PurePosixPath(file).stem}.safetensors", file) if file else _FILES
    return tuple(f"{HUGGING_FACE}/{repository}/resolve/main/{name}" for name in files)


def image_settings(known: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a tag's images are prepared, for open_clip; empty for no tag."""
    return {name: known[name] for name in _IMAGE_SETTINGS if name in known}


def refuse_torchscript(path: Path, architecture: str) -> None:
    """Refuse a file that is a program: OpenAI's `.pt` files are TorchScript archives.

    So is an archive that is compressed.

    Raises:
        InputError: Naming the address of the same weights without a program.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        names = [PurePosixPath(name) for name in archive.namelist()]
        packed = [info for info in archive.infolist() if info.compress_type]
    if not any(name.parts[1:2] == ("code",) for name in names):
        if packed:
            msg = (
                f"{path} is a compressed archive, which torch.save never writes, and "
                f"may unpack to anything. Give the weights as they were published."
            )
            raise InputError(msg)
        return
    addresses = tag_addresses(tag_settings(architecture, "openai"))
    instead = f": {addresses[0]}" if addresses else ""
    msg = (
        f"{path} is a TorchScript archive, a program that reading it would run. Give "
        f"the same weights as safetensors{instead}."
    )
    raise InputError(msg)
