"""Folders of models to and from the Hugging Face Hub, by its own client."""

import re
from pathlib import Path
from typing import Any

from clip2latent_kedro.downloads import offline_switch
from clip2latent_kedro.errors import InputError

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def find_folder(source: str | Path, *, revision: str | None = None) -> Path:
    """Return a folder that is here, or the local copy of a repository.

    Args:
        source: Path of a folder, which comes first, or `owner/name` on the Hugging
            Face Hub, which is fetched unless it is here already.
        revision: Branch, tag or commit of the repository; None for the main branch.

    Raises:
        InputError: If it is neither, if it cannot be had, or if nothing may be fetched
            and it is not here.
    """
    folder, repo_id = Path(source).expanduser(), str(source)
    if folder.is_dir():
        return folder
    if not _REPOSITORY.fullmatch(repo_id):
        msg = (
            f"A model is loaded from a folder or from a repository named owner/name, "
            f"got {repo_id!r}, which is no folder here."
        )
        raise InputError(msg)
    hub, switch = _client(), offline_switch()
    try:
        copy = hub.snapshot_download(
            repo_id, revision=revision, local_files_only=switch is not None
        )
    except (OSError, ValueError, hub.errors.HfHubHTTPError) as error:
        reason = _first(error) if switch is None else f"it is not here, and {switch}"
        msg = (
            f"{repo_id} is no folder here, and cannot be had from the Hugging Face Hub "
            f"({reason}). Give a folder that save_pretrained wrote, or the name of a "
            f"repository."
        )
        raise InputError(msg) from error
    return Path(copy)


def upload_folder(
    folder: Path, repo_id: str, *, private: bool = False, token: str | None = None
) -> str:
    """Put a folder into a repository, made if need be, and return its address.

    Args:
        folder: The one that `write_folder` has written.
        repo_id: `owner/name`.
        private: Whether a new repository is for its owner alone.
        token: Of the account; None for the one that the client is logged in with.

    Raises:
        InputError: If it cannot be uploaded.
    """
    switch = offline_switch()
    if switch is not None:
        msg = f"{repo_id} cannot be uploaded where {switch}. Unset it."
        raise InputError(msg)
    hub = _client()
    api = hub.HfApi(token=token)
    try:
        url = api.create_repo(repo_id, private=private, exist_ok=True)
        api.upload_folder(repo_id=repo_id, folder_path=str(folder))
    except (OSError, ValueError, hub.errors.HfHubHTTPError) as error:
        msg = (
            f"{repo_id} could not be uploaded to the Hugging Face Hub "
            f"({_first(error)}). Log in with `hf auth login`, and connect this machine."
        )
        raise InputError(msg) from error
    return str(url)


def _client() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError as error:
        msg = (
            "The Hugging Face Hub needs the package huggingface_hub, which is not "
            "installed. Install it with `pip install huggingface_hub`."
        )
        raise InputError(msg) from error
    return huggingface_hub


def _first(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0]
