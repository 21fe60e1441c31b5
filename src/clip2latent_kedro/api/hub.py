"""Models by the name of a folder or of a repository, and into a repository."""

import re
import tempfile
from collections.abc import Collection
from pathlib import Path

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.sharing import (
    SharedModel,
    download_folder,
    read_folder,
    upload_folder,
    write_folder,
)

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def find_pretrained(source: str | Path, revision: str | None = None) -> SharedModel:
    """Return the model of a folder here, or of a repository of the Hugging Face Hub.

    Args:
        source: Path of a folder, which comes first, or `owner/name`.
        revision: Branch, tag or commit of a repository; None for the main branch.

    Raises:
        InputError: If it is neither, or cannot be had.
    """
    folder = Path(source).expanduser()
    if not folder.is_dir():
        if not _REPOSITORY.fullmatch(str(source)):
            msg = (
                f"A model is loaded from a folder or from a repository named "
                f"owner/name, got {str(source)!r}, which is no folder here."
            )
            raise InputError(msg)
        folder = download_folder(str(source), revision=revision)
    return read_folder(folder)


def push_model(
    model: SharedModel,
    repo_id: str,
    *,
    include: Collection[str],
    licence: str,
    private: bool,
    token: str | None,
) -> str:
    """Put a model into a repository and return its address.

    Arguments and errors are those of `Clip2StyleGAN.push_to_hub`.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_folder(folder, model, include=include, licence=licence)
        return upload_folder(folder, repo_id, private=private, token=token)
