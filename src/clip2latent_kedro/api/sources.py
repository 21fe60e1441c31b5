"""Where the models come from: a Kedro project, settings and files, or a folder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from clip2latent_kedro.api.original import is_original, read_original
from clip2latent_kedro.api.parts import (
    EditingParts,
    find_directions,
    find_parts,
)
from clip2latent_kedro.conditioning import RetrievalBank
from clip2latent_kedro.downloads import fetch, is_address
from clip2latent_kedro.editing.directions.direction import Direction
from clip2latent_kedro.editing.edit import EditTarget, read_targets
from clip2latent_kedro.editing.inversion.config import InversionConfig
from clip2latent_kedro.encoders.open_clip import Preprocess, choose_preprocess
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.prior.adoption import adopt_prior
from clip2latent_kedro.prior.checkpoint import (
    Checkpoint,
    prior_from_checkpoint,
    read_checkpoint,
)
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.prior.published import (
    Buffers,
    check_buffers,
    is_published_file,
    open_published,
    read_published,
)
from clip2latent_kedro.reading import read_settings, read_yaml
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.sharing import (
    PREPROCESS,
    ModelReference,
    SharedModel,
    load_models,
    locate,
    read_reference,
)

_ROLES = ("generator", "encoder")


@dataclass(frozen=True)
class LoadedModels:
    """The three models of the method, and how to load them again.

    Attributes:
        generator: w -> image.
        encoder: Text or image -> embedding, as it was loaded.
        prior: Embedding -> w.
        checkpoint: Of the prior.
        sampling: How latents are sampled, unless a call says otherwise.
        preprocess: Of `PREPROCESS`, how the encoder reads images.
        references: How generator and encoder were loaded; None where the catalog
            does not tell.
        find_bank: Returns the embeddings of training images, or None.
        find_directions: Returns what of it is shared with the model.
        find_editing: Returns what edits take beside these models.
        targets: Edits that a name is enough for, `params:editing.targets`.
        neutral: The text that an edit to a single text starts from; None for none.
        inversion: How pictures are inverted, unless a call says otherwise.
    """

    generator: Generator
    encoder: Encoder
    prior: DiffusionPrior
    checkpoint: Checkpoint
    sampling: SamplingConfig
    preprocess: Mapping[str, Any]
    references: Sequence[ModelReference | None]
    find_bank: Callable[[], RetrievalBank | None] = lambda: None
    find_directions: Callable[[], Mapping[str, Direction]] = dict
    find_editing: Callable[[], EditingParts] = EditingParts
    targets: Mapping[str, EditTarget] = field(default_factory=dict)
    neutral: str | None = None
    inversion: InversionConfig = field(default_factory=InversionConfig)

    def encoder_for(self, setting: str) -> Encoder:
        """Return the encoder as it reads images for one of `PREPROCESS`."""
        return _read_images(self.encoder, self.preprocess, setting)

    def to_shared(self, sampling: SamplingConfig) -> SharedModel:
        """Return the models as they are shared, bound to what was loaded.

        Raises:
            InputError: If the catalog does not tell how one of them is loaded.
        """
        identities = (self.generator.identity, self.encoder.identity)
        bound = [
            replace(reference, identity=identity)
            for reference, identity in zip(self.references, identities, strict=True)
            if reference is not None
        ]
        if len(bound) < len(identities):
            msg = "A model can be shared if its catalog entry is a ModelDataset."
            raise InputError(msg)
        preprocess = {k: self.preprocess[k] for k in PREPROCESS if k in self.preprocess}
        generator, encoder = bound
        return SharedModel(
            self.checkpoint,
            generator,
            encoder,
            sampling,
            preprocess,
            self.find_directions(),
            self.targets,
            self.neutral,
        )


@dataclass(frozen=True)
class _Settings:
    """What is loaded where there is no Kedro project (see `Clip2StyleGAN`)."""

    generator: ModelReference
    encoder: ModelReference
    sampling: SamplingConfig
    data: Mapping[Literal["embed_preprocess", "score_preprocess"], Preprocess] = field(
        default_factory=dict
    )
    config: Any = None


def open_models(
    cfg: str | Path | Mapping[str, Any] | LoadedModels | None,
    checkpoint: str | Path | None,
    env: str | None,
    buffers: Buffers,
) -> LoadedModels:
    """Return the models that a configuration and a checkpoint name.

    Arguments and errors are those of `Clip2StyleGAN`.
    """
    if isinstance(cfg, LoadedModels):
        return cfg
    check_buffers(buffers)
    folder = Path()
    if not isinstance(cfg, Mapping):
        place = str(cfg or ".")
        path = fetch(place) if is_address(place) else Path(place)
        if not path.is_file():
            return _from_project(path, checkpoint, env, buffers)
        if not is_address(place):
            folder = path.parent
        cfg = read_yaml(path)
        if not isinstance(cfg, Mapping):
            msg = (
                f"{path} must hold generator, encoder, sampling, got {str(cfg)[:80]!r}."
            )
            raise InputError(msg)
    return _from_settings(cfg, folder, checkpoint, buffers)


def open_shared(model: SharedModel) -> LoadedModels:
    """Return the models of a folder that has been read.

    Raises:
        InputError: If one cannot be loaded.
    """
    references = (model.generator, model.encoder)
    return LoadedModels(
        *load_models(*references),
        prior_from_checkpoint(model.checkpoint),
        model.checkpoint,
        model.sampling,
        model.preprocess,
        references,
        find_directions=lambda: model.directions,
        find_editing=lambda: EditingParts(directions=model.directions),
        targets=model.targets,
        neutral=model.neutral,
    )


def _from_project(
    folder: Path, checkpoint: str | Path | None, env: str | None, buffers: Buffers
) -> LoadedModels:
    """Return the models of a Kedro project's catalog."""
    if not (folder / "pyproject.toml").is_file():
        msg = (
            f"cfg must be the folder of a Kedro project, a YAML file or a mapping, got "
            f"{str(folder)!r}, which has no pyproject.toml."
        )
        raise InputError(msg)
    from kedro.io import DatasetError  # models in a folder take no Kedro

    from clip2latent_kedro.project import open_project

    project = open_project(folder, env)
    catalog, parameters = project.catalog, project.parameters

    def load(name: str, *, is_optional: bool = False) -> Any:
        if is_optional and name not in catalog.keys():  # noqa: SIM118
            return None
        try:
            return catalog.load(name)
        except (DatasetError, FileNotFoundError) as error:
            reason = str(error).strip().splitlines()[-1]
            msg = f"The catalog entry {name} cannot be loaded: {reason}"
            raise InputError(msg) from error

    name = "prior" if checkpoint is None else str(checkpoint)
    is_entry = name in catalog.keys()  # noqa: SIM118 - `in catalog` also matches patterns
    if not is_entry:
        _locate(name)
    read_settings(DataConfig, parameters["data"], "data")
    data = parameters["data"]
    sampling = read_settings(SamplingConfig, parameters["sampling"], "sampling")
    editing = parameters.get("editing", {})
    inversion = editing.get("inversion", {})
    generator, encoder = load("generator"), load("encoder")
    embedder = _read_images(encoder, data, "embed_preprocess")
    entries: list[Any] = [catalog.get(role) for role in _ROLES]
    references = [_described(entry._describe()) for entry in entries]
    if is_entry:
        prior, entry = load(name), catalog.get(name)
        if not isinstance(prior, DiffusionPrior):
            msg = (
                f"The catalog entry {name} holds no prior yet. Run the pipeline that "
                f"makes it."
            )
            raise InputError(msg)
        found = entry.load_checkpoint()  # type: ignore[union-attr]
    else:
        found = _read_checkpoint(name, None, buffers, generator, embedder)
        prior = prior_from_checkpoint(found)
    return LoadedModels(
        generator,
        encoder,
        prior,
        found,
        sampling,
        data,
        references,
        find_bank=lambda: load("training_pairs").clip_embedding,
        find_directions=lambda: find_directions(partial(load, is_optional=True)),
        find_editing=lambda: find_parts(partial(load, is_optional=True)),
        targets=read_targets(editing.get("targets", {})),
        neutral=editing.get("neutral"),
        inversion=read_settings(InversionConfig, inversion, "editing.inversion"),
    )


def _from_settings(
    cfg: Mapping[str, Any],
    folder: Path,
    checkpoint: str | Path | None,
    buffers: Buffers,
) -> LoadedModels:
    """Return models of files; relative paths start at `folder`."""
    if is_original(cfg):
        cfg = read_original(cfg, folder)
    located = {role: locate(cfg[role], folder) for role in _ROLES if role in cfg}
    settings = read_settings(_Settings, {**cfg, **located}, "cfg")
    references = (settings.generator, settings.encoder)
    preprocess = cast(Mapping[str, Any], settings.data)
    if checkpoint is None:
        msg = (
            "checkpoint must be a path or an address where cfg is no Kedro project, "
            "got None."
        )
        raise InputError(msg)
    _locate(str(checkpoint))
    config = settings.config
    if isinstance(config, str | Path) and not is_address(str(config)):
        config = str((folder / config).absolute())
    generator, encoder = load_models(*references)
    embedder = _read_images(encoder, preprocess, "embed_preprocess")
    found = _read_checkpoint(str(checkpoint), config, buffers, generator, embedder)
    return LoadedModels(
        generator,
        encoder,
        prior_from_checkpoint(found),
        found,
        settings.sampling,
        preprocess,
        references,
    )


def _locate(place: str) -> None:
    """Check that there is a file at a place, or may be."""
    if not is_address(place) and not Path(place).expanduser().is_file():
        msg = (
            f"checkpoint must be a catalog entry, a file or an address, got {place!r}, "
            f"which is none of them."
        )
        raise InputError(msg)


def _read_checkpoint(
    place: str,
    config: str | Mapping[str, Any] | None,
    buffers: Buffers,
    generator: Generator,
    encoder: Encoder,
) -> Checkpoint:
    """Return a checkpoint of this project or of the original one.

    Args:
        place: Path or address.
        config: The YAML of an original one; None for the one beside it.
        buffers: What is taken for its constants (see `read_published`).
        generator: What an original one is taken to be trained for.
        encoder: The one whose embeddings an original one is taken to know.
    """
    if not is_published_file(Path(urlsplit(place).path)):
        return read_checkpoint(fetch(place))
    if isinstance(config, Mapping):
        found = read_published(fetch(place), config=config, buffers=buffers)
    else:
        found = open_published(place, config, buffers=buffers)
    data = DataConfig(
        bs=1,
        embed_noise_scale=found.settings["data"]["embed_noise_scale"],
        clip_variant=encoder.identity.name,
        n_latents=found.settings["data"]["n_latents"],
        latent_dim=found.settings["data"]["latent_dim"],
        latent_repeats=found.settings["data"]["latent_repeats"],
    )
    return adopt_prior(found, generator, encoder, data, seed=0, device="cpu")


def _read_images(
    encoder: Encoder, preprocess: Mapping[str, Any], setting: str
) -> Encoder:
    """Return the encoder as a setting of `PREPROCESS` says that it reads images."""
    form = preprocess.get(setting, "standard")
    return choose_preprocess(encoder, form, setting=f"data.{setting}")


def _described(described: Mapping[str, Any]) -> ModelReference | None:
    """Return what a catalog entry tells of its model; None where it is another kind."""
    if "kind" not in described:
        return None
    fields = ("kind", "filepath", "options", "licence")
    told = {name: described[name] for name in fields if name in described}
    return read_reference(told, Path())
