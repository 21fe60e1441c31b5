"""What a folder holds: a prior, and how to load the two models that it joins."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clip2latent_kedro.downloads import is_address
from clip2latent_kedro.editing.directions.direction import Direction
from clip2latent_kedro.editing.edit import EditTarget
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.prior.checkpoint import Checkpoint
from clip2latent_kedro.reading import read_settings
from clip2latent_kedro.samplers import SamplingConfig

PREPROCESS = ("embed_preprocess", "score_preprocess")


@dataclass(frozen=True)
class ModelReference:
    """How to load a frozen model, and which one it must be.

    Attributes:
        kind: Which loader.
        filepath: Path or address; None for a kind that needs no file.
        options: Handed to the loader.
        identity: Of the model; None takes any.
        licence: Of its file, in words; None where it is not known here.
    """

    kind: str
    filepath: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    identity: Identity | None = None
    licence: str | None = None


def locate(plain: Any, folder: Path) -> Any:
    """Return what a file or a caller states of a model, with an absolute path.

    Args:
        plain: Fields of `ModelReference`, as JSON has them; anything else stays.
        folder: Where a relative path starts; an address and an absolute path stay
            what they are.

    Raises:
        ValueError: If its identity is none.
    """
    if not isinstance(plain, Mapping):
        return plain
    identity, place = plain.get("identity"), plain.get("filepath")
    if isinstance(place, Path) or (isinstance(place, str) and not is_address(place)):
        place = str((folder / place).absolute())
    return {
        **plain,
        "filepath": place,
        "options": plain.get("options") or {},
        "identity": identity and read_settings(Identity, identity),
    }


def read_reference(plain: Any, folder: Path) -> ModelReference:
    """Return the reference that a file states (see `locate`).

    Raises:
        ValueError: If it states no model.
    """
    return read_settings(ModelReference, locate(plain, folder))


@dataclass(frozen=True)
class SharedModel:
    """All that answers prompts.

    Attributes:
        checkpoint: The prior; what only training needs of it is not shared.
        generator: w -> image.
        encoder: Text -> embedding.
        sampling: How to draw, unless a call says otherwise.
        preprocess: Of `PREPROCESS`, how the encoder reads images to condition on and
            images to score; what is missing is `standard`.
        directions: Of w, by name, for edits; those of another generator are not
            shared.
        targets: Edits that a name is enough for.
        neutral: The text that an edit to a single text starts from; None for none.
    """

    checkpoint: Checkpoint
    generator: ModelReference
    encoder: ModelReference
    sampling: SamplingConfig
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    directions: Mapping[str, Direction] = field(default_factory=dict)
    targets: Mapping[str, EditTarget] = field(default_factory=dict)
    neutral: str | None = None

    @property
    def own_directions(self) -> dict[str, Direction]:
        """The directions that are of this generator, or of nobody knows which."""
        identity = self.generator.identity
        return {
            name: one
            for name, one in self.directions.items()
            if identity is None
            or one.made_with.get("generator", identity.digest) == identity.digest
        }
