"""Pictures that any other system has made of the prompts, scored in the same way.

They come as a folder in Hugging Face's imagefolder layout: pictures, and a table
`metadata.csv` or `metadata.jsonl` with a column `file_name` and a column `prompt` or
`text`. A prompt may have several pictures, which count in the order of the table.
"""

import csv
import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import read_picture, uint8_to_image
from clip2latent_kedro.methods.method import Method, Queries, UnavailableError

if TYPE_CHECKING:
    from clip2latent_kedro.methods.models import Models

logger = logging.getLogger(__name__)

TABLES = ("metadata.csv", "metadata.jsonl")
PROMPT_COLUMNS = ("prompt", "text")


@dataclass(frozen=True)
class ExternalSettings:
    """Where the pictures are.

    Attributes:
        folder: Of pictures and their table.
    """

    folder: str = ""


@dataclass(frozen=True, kw_only=True)
class External(Method):
    """Pictures on disk, read when they are needed.

    Attributes:
        paths: Files of each prompt, as many of each; empty for a prompt without.
    """

    Settings: ClassVar[type] = ExternalSettings
    gives_w: ClassVar[bool] = False

    paths: Sequence[Sequence[Path]]

    @classmethod
    def build(
        cls, settings: ExternalSettings, models: "Models", queries: Queries
    ) -> Self:
        """Return another system's pictures, of the prompts that it has.

        Raises:
            UnavailableError: If there is no such folder.
            InputError: If the folder is not set, its table is wrong, a picture is not
                there, or none is of these prompts.
        """
        if not settings.folder:
            msg = "folder must be a folder of pictures and a table, got none."
            raise InputError(msg)
        folder = Path(settings.folder)
        if not folder.is_dir():
            msg = f"folder is {folder}, which is not there. Put the pictures there."
            raise UnavailableError(msg)
        by_prompt = read_pictures(folder)
        texts = [text.strip() for text in queries.texts]
        prompts = [number for number, text in enumerate(texts) if text in by_prompt]
        if not prompts:
            msg = (
                f"{folder} must have pictures of the {len(texts)} prompts of the "
                f"comparison, got {len(by_prompt)} other prompts. Use the same texts."
            )
            raise InputError(msg)
        found = [by_prompt[texts[prompt]] for prompt in prompts]
        each = min(len(paths) for paths in found)
        if missing := [text for text in queries.texts if text.strip() not in by_prompt]:
            logger.warning(
                "%s has no picture of %d of %d prompts, the first: %r; it is scored on "
                "the others.",
                folder,
                len(missing),
                len(texts),
                missing[0],
            )
        if any(len(paths) > each for paths in found):
            logger.warning(
                "%s has prompts with more than %d pictures; the first %d of each "
                "count.",
                folder,
                each,
                each,
            )
        used = [paths[:each] for paths in found]
        return cls(
            paths=used,
            settings=ExternalSettings(str(folder)),
            made_with={"pictures": _digest_files(used)},
            prompts=prompts,
        )

    def sample(self, queries: Queries, *, num_samples: int, seed: int) -> Tensor:
        """Return numbers of pictures, [num_prompts, num_samples or fewer] int."""
        each = min(num_samples, len(self.paths[0]))
        first = torch.arange(len(self.paths))[:, None] * len(self.paths[0])
        return first + torch.arange(each)

    def synthesise(self, samples: Tensor) -> Tensor:
        """Return images of numbers of pictures, [n]; cropped to their middle square.

        Raises:
            InputError: If a picture cannot be read, or is not as large as the others.
        """
        every = [path for paths in self.paths for path in paths]
        chosen = [every[number] for number in samples.tolist()]
        pictures = [read_picture(path) for path in chosen]
        sizes = {picture.shape for picture in pictures}
        if len(sizes) > 1:
            named = ", ".join(sorted(f"{height} px" for height, _, _ in sizes))
            msg = (
                f"The pictures in {chosen[0].parent} must be of one size, got {named}. "
                f"Resize them to one side."
            )
            raise InputError(msg)
        return uint8_to_image(torch.from_numpy(np.stack(pictures)))

    def timed(self, guidance_scale: float) -> None:
        """Return None: the pictures are there already."""


def read_pictures(folder: Path) -> dict[str, list[Path]]:
    """Return the pictures of each prompt.

    Args:
        folder: In the imagefolder layout.

    Raises:
        InputError: If the table is not there or lacks a column, or a picture that it
            names is not in the folder.
    """
    table = next((folder / name for name in TABLES if (folder / name).is_file()), None)
    if table is None:
        msg = f"{folder} must have a {' or '.join(TABLES)}, got neither. Write one."
        raise InputError(msg)
    by_prompt: dict[str, list[Path]] = {}
    for number, row in enumerate(_read_table(table), start=1):
        prompt = next((row[name] for name in PROMPT_COLUMNS if row.get(name)), "")
        if not row.get("file_name") or not prompt.strip():
            msg = (
                f"{table} must have file_name and prompt (or text) in each row, got "
                f"{row} in row {number}."
            )
            raise InputError(msg)
        path = folder / row["file_name"]
        if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
            msg = f"{table} names {row['file_name']!r}, which is not in its folder."
            raise InputError(msg)
        by_prompt.setdefault(prompt.strip(), []).append(path)
    return by_prompt


def _read_table(table: Path) -> Iterator[dict[str, str]]:
    try:
        with table.open(encoding="utf-8", newline="") as lines:
            if table.suffix == ".csv":
                yield from csv.DictReader(lines)
            else:
                yield from (dict(json.loads(line)) for line in lines if line.strip())
    except (ValueError, TypeError, csv.Error) as error:
        msg = f"{table} must be a table in UTF-8, but cannot be read ({error})."
        raise InputError(msg) from error


def _digest_files(paths: Sequence[Sequence[Path]]) -> str:
    digest = hashlib.sha256()
    for of_prompt in paths:
        for path in of_prompt:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        digest.update(b"prompt")
    return digest.hexdigest()
