"""The demo page as the folder of a Hugging Face Space, which runs from there alone.

    app.py            opens the page of the model beside it
    requirements.txt  what is to be installed
    README.md         header of the Space, and words for people
    examples.txt      prompts to click on
    LICENSE           of the project, and of what it has trained
    clip2latent_kedro the package, without the weights that come with it
    model/            as `save_pretrained` writes it

Generator and encoder are copied into it where that is known to be allowed, and are
named by address elsewhere.
"""

import ast
import re
import shutil
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from clip2latent_kedro.api import Clip2StyleGAN
from clip2latent_kedro.demo.space_texts import APP, write_readme
from clip2latent_kedro.demo.words import licence_of
from clip2latent_kedro.downloads import is_address
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.sharing import ModelReference, SharedModel, write_folder

PACKAGE = Path(__file__).resolve().parents[1]
ROLES = ("generator", "encoder")
PERMISSIVE = ("MIT", "Apache", "BSD")  # licences that let a file be passed on

_NEEDED = (
    "annotated-types",
    "filelock",
    "fsspec",
    "huggingface-hub",
    "numpy",
    "open-clip-torch",
    "pandas",
    "pillow",
    "pyyaml",
    "rich",
    "safetensors",
    "torch",
    "torchvision",
    "zarr",
    "click",
    "gradio",
)
"""What the page imports; the rest of the project's packages is for training."""

_OWN_REQUIREMENTS = {"click": "click>=8", "gradio": "gradio>=6,<7"}
_LEFT_OUT = ("__pycache__", "weights")  # what trained models is not needed to draw
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def export_space(
    folder: Path,
    model: Clip2StyleGAN,
    examples: Sequence[str],
    *,
    include: Collection[str] = (),
) -> list[str]:
    """Write the folder of a Space, and return what is to be known of it.

    What is there of an earlier export is replaced when the new one is whole.

    Args:
        folder: New, empty, or of an earlier export.
        model: Loaded.
        examples: Prompts to click on.
        include: `generator`, `encoder` or both: what is copied although its licence is
            not known to allow that.

    Returns:
        Sentences on what is named rather than copied, and by which licence.

    Raises:
        InputError: If the folder holds something else, a model can neither be copied
            nor named, or it cannot be written.
    """
    _check_folder(folder)
    loaded = model.editor.loaded
    shared = loaded.to_shared(model.sampling)
    copied = [role for role in ROLES if _is_copied(role, shared, include)]
    for role in ROLES:
        reference: ModelReference = getattr(shared, role)
        told = replace(reference, licence=licence_of(reference))
        shared = replace(shared, **{role: told})  # type: ignore[arg-type]
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            dir=folder.parent, prefix=f".{folder.name}."
        ) as partial:
            _write(Path(partial), shared, copied, examples)
            _replace(folder, Path(partial))
    except OSError as error:
        reason = error.strerror or str(error)
        msg = f"--export-space cannot write {folder} ({reason}). Choose another folder."
        raise InputError(msg) from error
    return [_tell(role, getattr(shared, role)) for role in ROLES if role not in copied]


def _check_folder(folder: Path) -> None:
    """Check that nothing of anybody's is replaced."""
    if folder.exists() and not folder.is_dir():
        msg = f"--export-space must name a folder, got the file {folder}."
        raise InputError(msg)
    if not folder.exists():
        return
    # A new Space is cloned with nothing but hidden files of Git.
    found = [path.name for path in folder.iterdir() if not path.name.startswith(".git")]
    if found and not is_export(folder):
        msg = (
            f"--export-space must name a folder that is new, empty or of an earlier "
            f"export, got {folder}, which holds {sorted(found)[0]!r:.80}. Choose "
            f"another one."
        )
        raise InputError(msg)


def is_export(folder: Path) -> bool:
    """Return whether a folder holds an earlier export, by the words of its app.py."""
    try:
        text = (folder / "app.py").read_text(encoding="utf-8")
        return ast.get_docstring(ast.parse(text)) == ast.get_docstring(ast.parse(APP))
    except (OSError, SyntaxError, ValueError):
        return False


def _is_copied(role: str, shared: SharedModel, include: Collection[str]) -> bool:
    """Return whether a model is copied; otherwise it can be named."""
    reference: ModelReference = getattr(shared, role)
    place, terms = reference.filepath, licence_of(reference) or "not known here"
    if place is not None and (role in include or terms.startswith(PERMISSIVE)):
        return True
    if place is None or (is_address(place) and not place.startswith("package:")):
        return False
    msg = (
        f"The {role} is a file of this machine ({Path(place).name}), whose licence is "
        f"{terms}, so that it is not copied. Add --include {role} if you may pass it "
        f"on."
    )
    raise InputError(msg)


def _tell(role: str, reference: ModelReference) -> str:
    """Return where a model is fetched from that is not in the folder."""
    place = reference.filepath or ", ".join(map(str, reference.options.values()))
    terms = reference.licence or "see where it was published"
    return f"The {role} is not in the folder: {place}. Its licence: {terms}."


def _write(
    folder: Path,
    shared: SharedModel,
    copied: Sequence[str],
    examples: Sequence[str],
) -> None:
    terms = [licence_of(getattr(shared, role)) or "" for role in ROLES]
    licence = "mit" if all(each.startswith("MIT") for each in terms) else "other"
    write_folder(folder / "model", shared, include=copied, licence=licence)
    shutil.copytree(
        PACKAGE, folder / PACKAGE.name, ignore=shutil.ignore_patterns(*_LEFT_OUT)
    )
    texts = {
        "app.py": APP,
        "requirements.txt": "".join(f"{line}\n" for line in list_requirements()),
        "README.md": write_readme(
            shared, copied, licence=licence, gradio=version("gradio")
        ),
        "examples.txt": "".join(f"{line}\n" for line in examples),
        "LICENSE": _read_licence(),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def _replace(folder: Path, partial: Path) -> None:
    """Move what is whole to where it belongs."""
    folder.mkdir(exist_ok=True)
    for new in sorted(partial.iterdir()):
        old = folder / new.name
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        else:
            old.unlink(missing_ok=True)
        shutil.move(new, old)


def list_requirements() -> list[str]:
    """Return the lines of requirements.txt, with the bounds of the project."""
    try:
        stated = distribution("clip2latent-kedro").requires or []
    except PackageNotFoundError:  # within a Space itself
        stated = []
    bounds = dict(_OWN_REQUIREMENTS)
    for line in stated:
        found = _NAME.match(line)
        if found and "extra ==" not in line:
            bounds[found[0].lower()] = line
    return [bounds.get(name, name) for name in _NEEDED]


def _read_licence() -> str:
    """Return the licence of the project, which goes wherever its files go."""
    found = distribution("clip2latent-kedro").read_text("licenses/LICENSE")
    if found is None:
        msg = "The project must be installed with its LICENSE, got none. Install it."
        raise InputError(msg)
    return found
