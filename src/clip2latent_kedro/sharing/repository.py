"""Folders of models to and from the Hugging Face Hub, by its own client."""

from pathlib import Path
from typing import Any

from clip2latent_kedro.downloads import offline_switch
from clip2latent_kedro.errors import InputError


def download_folder(repo_id: str, *, revision: str | None = None) -> Path:
    """Return the local copy of a repository, fetched unless it is there.

    Args:
        repo_id: `owner/name`.
        revision: Branch, tag or commit; None for the main branch.

    Raises:
        InputError: If it cannot be had, or nothing may be fetched and it is not here.
    """
    hub, switch = _client(), offline_switch()
    try:
        folder = hub.snapshot_download(
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
    return Path(folder)


def upload_folder(
    folder: Path, repo_id: str, *, private: bool = False, token: str | None = None
) -> str:
    """Put a folder into a repository, made if need be, and return its address.

    Args:
        folder: Of `write_folder`.
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
