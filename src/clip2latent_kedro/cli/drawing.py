"""What `kedro draw` does: models of a project -> pictures -> files of their own."""

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from kedro.utils import find_kedro_project
from PIL import Image

from clip2latent_kedro import __version__
from clip2latent_kedro.api import Clip2StyleGAN
from clip2latent_kedro.checked import PositiveInt
from clip2latent_kedro.cli.draw import MOST_PICTURES
from clip2latent_kedro.errors import InputError, MissingError
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.inference.png_settings import write_png
from clip2latent_kedro.inference.records import digest_models, slug_of
from clip2latent_kedro.study.grid import plot_grid


@dataclass(frozen=True)
class Request:
    """What is to be drawn; None leaves a setting as the project has it.

    Attributes:
        prompts: Texts.
        num: Pictures of each that are kept.
        guidance: Scale of the guidance.
        steps: Denoising steps.
        psi: Truncation of w.
        seed: Picture j of a prompt depends on (seed, j) alone.
        negative: What guidance leads away from.
        best_of: How many are drawn for each that is kept.
        edits: What is changed of each picture, in turn.
        strengths: Of all edits, or of each; none for the middle one of each way.
    """

    prompts: Sequence[str]
    num: PositiveInt = 4
    guidance: float | None = None
    steps: int | None = None
    psi: float | None = None
    seed: int = 0
    negative: str | None = None
    best_of: PositiveInt = 1
    edits: Sequence[str] = ()
    strengths: Sequence[float] = ()

    def check(self) -> None:
        """Refuse what no model could draw.

        Raises:
            InputError: If a text is empty, or too many pictures are asked for.
        """
        unwanted = [] if self.negative is None else [self.negative]
        texts = {
            "prompt": self.prompts,
            "negative prompt": unwanted,
            "edit": self.edits,
        }
        for what, given in texts.items():
            for text in given:
                if not text.strip():
                    msg = f"A {what} must have at least one word, got {text!r}."
                    raise InputError(msg)
        total = self.num * self.best_of * len(self.prompts)
        if total > MOST_PICTURES:
            msg = (
                f"At most {MOST_PICTURES} pictures can be drawn at once, got {total}. "
                f"Lower -n or --best-of."
            )
            raise InputError(msg)

    @property
    def sampling(self) -> dict[str, Any]:
        """Settings of `SamplingConfig` that are given."""
        given: dict[str, Any] = {
            "guidance_scale": self.guidance,
            "num_steps": self.steps,
        }
        if self.psi is not None:
            given = {**given, "truncation": "fixed", "psi": self.psi}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def editing(self) -> dict[str, Any]:
        """Arguments of `Clip2StyleGAN` that say what is changed."""
        if not self.edits:
            if self.strengths:
                msg = "--strength needs an --edit, got none. Give one, or leave it out."
                raise InputError(msg)
            return {}
        arguments: dict[str, Any] = {"edit": list(self.edits)}
        if self.strengths:
            alone = len(self.strengths) == 1
            strengths = list(self.strengths)
            arguments["edit_strength"] = strengths[0] if alone else strengths
        return arguments


def draw_pictures(
    request: Request,
    out: Path | None = None,
    env: str | None = None,
    prior: str | None = None,
    device: str = "auto",
) -> Iterator[str]:
    """Draw, write the files, and yield a line for each picture and for the grid.

    Args:
        request: What is to be drawn.
        out: Folder of the files, made if need be; None for `data/drawn` of the project.
        env: Environment of the configuration.
        prior: An entry of the catalog, a file or an address; None for `prior`.
        device: Where to compute.

    Raises:
        InputError: If there is no project here, or something cannot be used.
    """
    request.check()
    editing = request.editing
    project = find_kedro_project(Path.cwd())
    if project is None:
        msg = (
            f"kedro draw must be called within a project, got {Path.cwd()}. Change to "
            f"its folder."
        )
        raise InputError(msg)
    folder = _open_folder(project / "data/drawn" if out is None else out)
    model = _load_model(project, device, prior, env)
    record = _describe(model, request)
    columns: dict[str, list[np.ndarray]] = {}
    files: list[tuple[str, str, bytes]] = []  # name, what is said, content
    numbers: dict[str, int] = {}  # of pictures, by the start of their name
    for prompt in request.prompts:
        start = slug_of(prompt) or "picture"
        found = _draw(model, request, prompt, editing)
        for column, (index, image_u8, score) in enumerate(found, start=1):
            columns.setdefault(f"{column}", []).append(image_u8)
            numbers[start] = numbers.get(start, 0) + 1
            settings = {**record, "prompt": prompt, "image": index}
            name = f"{start}_{numbers[start]}.png"
            content = write_png(image_u8, settings)
            files.append((name, f"{score:.3f}  {prompt}", content))
    stacked = {title: np.stack(images) for title, images in columns.items()}
    grid, number = _claim(folder, _encode(plot_grid(request.prompts, stacked)))
    for name, said, content in files:
        path = folder / f"{number}_{name}"
        path.write_bytes(content)
        yield f"{said}  {_show(path)}"
    yield f"{_show(grid)} shows all of them. Before each picture stands its CLIP score."


def _load_model(
    project: Path, device: str, prior: str | None, env: str | None
) -> Clip2StyleGAN:
    """Return the model of a project; where it has no prior yet, say what makes it."""
    try:
        return Clip2StyleGAN(project, device, prior, env=env)
    except InputError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, MissingError):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            raise
        where = f" --env={env}" if env else ""
        msg = f"{error} `kedro run{where}` makes all that is missing."
        raise InputError(msg) from error


def _draw(
    model: Clip2StyleGAN, request: Request, prompt: str, editing: Mapping[str, Any]
) -> list[tuple[int, np.ndarray, float]]:
    """Return number, picture and CLIP score of what is kept, in order of the seed.

    Args:
        model: Draws.
        request: What is asked for.
        prompt: Drawn alone, so that its pictures do not depend on the other prompts.
        editing: What is changed (see `Request.editing`).

    Returns:
        The number among all that were drawn, the picture, uint8 [h, w, 3], its score;
        the best one first where some were left out.
    """
    images, scores = model(
        [prompt],
        request.num * request.best_of,
        seed=request.seed,
        negative=request.negative,
        sampling=request.sampling,
        **editing,
    )
    order = list(range(len(scores)))
    if request.best_of > 1:
        order = scores.argsort(descending=True, stable=True).tolist()[: request.num]
    pictures = image_to_uint8(images)
    return [(index, pictures[index], float(scores[index])) for index in order]


def _describe(model: Clip2StyleGAN, request: Request) -> dict[str, Any]:
    """Return what every picture depends on beside its prompt and number."""
    strengths: Sequence[float | None] = request.strengths or [None]
    if len(strengths) == 1:
        strengths = [*strengths] * len(request.edits)
    edits = zip(request.edits, strengths, strict=True)
    return {
        "version": __version__,
        "negative": request.negative,
        "seed": request.seed,
        "sampling": asdict(replace(model.sampling, **request.sampling)),
        "edits": [{"target": edit, "strength": strength} for edit, strength in edits],
        "models": digest_models(model.text_to_image),
    }


def _open_folder(folder: Path) -> Path:
    """Return a folder to write into, before anything is loaded.

    Raises:
        InputError: If it is a file.
        OSError: If it cannot be made.
    """
    try:
        folder.expanduser().mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        msg = f"--out must be a folder, got {folder}, where a file stands. Change it."
        raise InputError(msg) from error
    if not os.access(folder.expanduser(), os.W_OK):
        msg = f"--out must be a folder that can be written to, got {folder}. Change it."
        raise InputError(msg)
    return folder.expanduser()


def _claim(folder: Path, grid: bytes) -> tuple[Path, str]:
    """Write the grid under the first number of which there is no file; return both.

    Another call may be at work in the same folder: the number is whose grid it is.
    """
    taken = {path.name.partition("_")[0] for path in folder.glob("*_*.png")}
    for number in count(1):
        name = f"{number:04d}"
        path = folder / f"{name}_grid.png"
        if name not in taken:
            with suppress(FileExistsError), path.open("xb") as file:
                file.write(grid)
                return path, name
    raise AssertionError


def _encode(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()


def _show(path: Path) -> str:
    """Return a path as short as it is from here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
