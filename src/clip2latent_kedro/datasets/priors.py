"""The prior as catalog entries: in training, and as it is used."""

import tempfile
from pathlib import Path
from typing import Any, Literal

from kedro.io import Version

from clip2latent_kedro.datasets.files import FileDataset
from clip2latent_kedro.datasets.locks import hold
from clip2latent_kedro.datasets.optional import none_if_missing
from clip2latent_kedro.datasets.places import Place
from clip2latent_kedro.datasets.versions import describe_versions
from clip2latent_kedro.errors import InputError, MissingError
from clip2latent_kedro.prior.checkpoint import (
    Checkpoint,
    export_weights,
    prior_from_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from clip2latent_kedro.prior.diffusion import DiffusionPrior


class CheckpointDataset(FileDataset[Any]):
    """The state of a training run in one safetensors file.

    Each save replaces the file at once or not at all. `exists` is true only of a
    finished run, so that `--only-missing-outputs` goes on with an unfinished one. With
    `missing_ok` None is loaded where there is no file, and where it is damaged the
    `InputError` that says why: a run that does not resume has no need of it.
    """

    def load(self) -> Checkpoint | InputError | None:
        """Return the stored checkpoint."""
        if self._missing_ok and not self._load_place().exists():
            return None
        try:
            mend = "Use --params=resume:false to replace it."
            return _read(self._load_place(), mend=mend)
        except InputError as error:
            if self._missing_ok:
                return error
            raise

    def save(self, data: Checkpoint) -> None:
        """Store a checkpoint in place of an earlier one.

        Raises:
            InputError: If another process writes it.
        """
        hold(self._save_place())
        _write(self._save_place(), data)

    def _exists(self) -> bool:
        place = self._load_place()
        try:
            return place.exists() and _read(place).finished
        except InputError:
            return False


class PriorDataset(FileDataset[Any]):
    """Takes a checkpoint, keeps one set of averaged weights, and loads the prior.

    The file is a checkpoint without the state that only training needs.
    """

    def __init__(
        self,
        *,
        filepath: str,
        which: Literal["ema", "best"] = "ema",
        form: Literal["prior", "checkpoint"] = "prior",
        made_by: str = "training",
        missing_ok: bool = False,
        version: Version | None = None,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point at a file.

        Args:
            filepath: Local path or fsspec URL.
            which: What to keep of a checkpoint: its last averaged weights, or those
                that did best in validation.
            form: What to load: the prior, or the checkpoint that it is of.
            made_by: The pipeline that makes it, to be named where it is missing.
            missing_ok: Whether to load None, rather than fail, where there is none.
            version: Set by Kedro for a versioned entry.
            credentials: For the file system.
            fs_args: For the file system.
            metadata: For Kedro plugins.
        """
        super().__init__(
            filepath=filepath,
            version=version,
            credentials=credentials,
            fs_args=fs_args,
            missing_ok=missing_ok,
            metadata=metadata,
        )
        self._which: Literal["ema", "best"] = which
        self._form = form
        self._made_by = made_by

    @none_if_missing
    def load(self) -> DiffusionPrior | Checkpoint:
        """Return the prior with its averaged weights, on the CPU (see `form`).

        Raises:
            MissingError: If there is none; the message names the pipeline.
            InputError: If there is not the version that is asked for; the message
                names those that are there.
        """
        if not self._exists():
            if self._version and self._version.load:
                known = sorted(self.list_versions(full_path=False))
                problem = f"{self._filepath} has none of that name"
                msg = describe_versions(self._version.load, known, problem)
                raise InputError(msg)
            msg = (
                f"There is no prior at {self._filepath}. Run the pipeline "
                f"{self._made_by} first."
            )
            raise MissingError(msg)
        checkpoint = self.load_checkpoint()
        if self._form == "checkpoint":
            return checkpoint
        return prior_from_checkpoint(checkpoint)

    def load_checkpoint(self) -> Checkpoint:
        """Return the stored checkpoint, whatever the form."""
        return _read(self._load_place())

    def save(self, data: Checkpoint) -> None:
        """Store averaged weights of a checkpoint."""
        exported = export_weights(data, self._which)
        _write(self._save_place(), exported)
        self._fs.invalidate_cache()

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), "which": self._which}


def _read(place: Place, mend: str = "Remove it and train again.") -> Checkpoint:
    if place.local_path is None and not place.exists():
        msg = f"There is no prior checkpoint at {place}. Run the training pipeline."
        raise FileNotFoundError(msg)
    with place.fetched() as path:
        return read_checkpoint(path, name=str(place), mend=mend)


def _write(place: Place, checkpoint: Checkpoint) -> None:
    if place.local_path is not None:
        write_checkpoint(place.local_path, checkpoint)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / place.name
        write_checkpoint(path, checkpoint)
        place.file_system.put_file(str(path), place.path)
