"""Where the models come from: a Kedro project, settings and files, or a folder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from clip2latent_kedro.api.original import is_original, read_original
from clip2latent_kedro.conditioning import RetrievalBank
from clip2latent_kedro.downloads import fetch, is_address
from clip2latent_kedro.encoders.views import choose_preprocess
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
)

_SETTINGS = ("generator", "encoder", "sampling")
_MODEL_SETTINGS = ("kind", "filepath", "options")


@dataclass(frozen=True)
class Models:
    """What is needed to answer prompts.

    Attributes:
        generator: w -> image.
        encoder: Text -> embedding, and images as the prior knows them.
        scorer: The same, reading images as they are to be scored.
        prior: Embedding -> w.
        latent_repeats: Layers that each latent of the prior stands for.
        sampling: How to draw, unless a call says otherwise.
        find_bank: Returns embeddings of training images; None where there are none.
        share: Returns the same as it is shared, or raises `InputError` where that is
            not possible.
    """

    generator: Generator
    encoder: Encoder
    scorer: Encoder
    prior: DiffusionPrior
    latent_repeats: Sequence[int]
    sampling: SamplingConfig
    find_bank: Callable[[], RetrievalBank | None]
    share: Callable[[], SharedModel]


def open_models(
    cfg: str | Path | Mapping[str, Any] | None,
    checkpoint: str | Path | None,
    env: str | None,
    buffers: Buffers,
) -> Models:
    """Return the models that a configuration and a checkpoint name.

    Arguments and errors are those of `Clip2StyleGAN`.
    """
    check_buffers(buffers)
    if isinstance(cfg, Mapping):
        return _from_settings(cfg, Path(), checkpoint, buffers)
    if cfg is not None and is_address(str(cfg)):
        return _from_settings(_read_yaml(fetch(str(cfg))), Path(), checkpoint, buffers)
    path = Path(cfg or ".")
    if path.is_file():
        return _from_settings(_read_yaml(path), path.parent, checkpoint, buffers)
    return _from_project(path, checkpoint, env, buffers)


def open_shared(model: SharedModel) -> Models:
    """Return the models of a folder that has been read.

    Raises:
        InputError: If one cannot be loaded.
    """
    generator, loaded = load_models(model.generator, model.encoder)
    encoder, scorer = _views(loaded, model.preprocess)
    return Models(
        generator=generator,
        encoder=encoder,
        scorer=scorer,
        prior=prior_from_checkpoint(model.checkpoint),
        latent_repeats=model.checkpoint.settings["data"]["latent_repeats"],
        sampling=model.sampling,
        find_bank=lambda: None,
        share=lambda: model,
    )


def _from_project(
    folder: Path, checkpoint: str | Path | None, env: str | None, buffers: Buffers
) -> Models:
    """Return the models of a Kedro project's catalog."""
    try:
        from kedro.framework.session import KedroSession
        from kedro.framework.startup import bootstrap_project
        from kedro.io.core import DatasetError

        bootstrap_project(folder)
    except (ImportError, RuntimeError) as error:  # no Kedro here, no project there
        msg = (
            f"cfg must be the folder of a Kedro project, a YAML file or a mapping, got "
            f"{str(folder)!r} ({str(error).split('. ')[0]})."
        )
        raise InputError(msg) from error
    session = KedroSession.create(project_path=folder, env=env)
    with session:
        context = session.load_context()
        catalog, parameters = context.catalog, context.config_loader["parameters"]

    def load(name: str) -> Any:
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
    generator, loaded = load("generator"), load("encoder")
    encoder, scorer = _views(loaded, parameters["data"])
    sampling = SamplingConfig(**parameters["sampling"])
    if is_entry:
        prior, latent_repeats = load(name), parameters["data"]["latent_repeats"]
        if not isinstance(prior, DiffusionPrior):
            msg = (
                f"The catalog entry {name} holds no prior yet. Run the pipeline that "
                f"makes it."
            )
            raise InputError(msg)
        entry: Any = catalog.get(name)
        read = entry.load_checkpoint
    else:
        read = partial(_read_checkpoint, name, None, buffers, generator, encoder)
        prior, latent_repeats = _prior_of(read())

    def share() -> SharedModel:
        entries: list[Any] = [catalog.get(role) for role in ("generator", "encoder")]
        references = [_reference(entry._describe()) for entry in entries]
        return _shared(
            read(), (generator, loaded), references, sampling, parameters["data"]
        )

    return Models(
        generator=generator,
        encoder=encoder,
        scorer=scorer,
        prior=prior,
        latent_repeats=latent_repeats,
        sampling=sampling,
        find_bank=lambda: load("training_pairs").clip_embedding,
        share=share,
    )


def _from_settings(
    cfg: Mapping[str, Any],
    folder: Path,
    checkpoint: str | Path | None,
    buffers: Buffers,
) -> Models:
    """Return models of files; relative paths start at `folder`."""
    if is_original(cfg):
        cfg = read_original(cfg, folder)
    _check_keys("cfg", cfg, required=_SETTINGS, known=(*_SETTINGS, "data", "config"))
    preprocess = cfg.get("data", {})
    _check_keys("cfg['data']", preprocess, required=(), known=PREPROCESS)
    for role in ("generator", "encoder"):
        _check_keys(f"cfg[{role!r}]", cfg[role], ("kind",), _MODEL_SETTINGS)
    if checkpoint is None:
        msg = (
            "checkpoint must be a path or an address where cfg is no Kedro project, "
            "got None."
        )
        raise InputError(msg)
    _locate(str(checkpoint))
    try:
        sampling = read_settings(SamplingConfig, cfg["sampling"])
    except ValueError as error:
        reason = str(error).rstrip(".")
        msg = f"cfg['sampling'] must be settings of SamplingConfig: {reason}."
        raise InputError(msg) from error

    references = [_reference(cfg[role], folder) for role in ("generator", "encoder")]
    config = cfg.get("config")
    if isinstance(config, str | Path):
        config = _absolute(str(config), folder)
    generator, loaded = load_models(*references)
    encoder, scorer = _views(loaded, preprocess)
    read = partial(
        _read_checkpoint, str(checkpoint), config, buffers, generator, encoder
    )
    prior, latent_repeats = _prior_of(read())
    return Models(
        generator=generator,
        encoder=encoder,
        scorer=scorer,
        prior=prior,
        latent_repeats=latent_repeats,
        sampling=sampling,
        find_bank=lambda: None,
        share=lambda: _shared(
            read(), (generator, loaded), references, sampling, preprocess
        ),
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
        buffers: Of an original one, see `read_published`.
        generator: What an original one is taken to be trained for.
        encoder: Likewise.
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


def _prior_of(checkpoint: Checkpoint) -> tuple[DiffusionPrior, list[int]]:
    """Return the prior, and the layers that its latents stand for."""
    latent_repeats = checkpoint.settings["data"]["latent_repeats"]
    return prior_from_checkpoint(checkpoint), latent_repeats


def _shared(
    checkpoint: Checkpoint,
    models: tuple[Generator, Encoder],
    references: Sequence[ModelReference],
    sampling: SamplingConfig,
    data: Mapping[str, Any],
) -> SharedModel:
    """Return models as they are shared, bound to what they were loaded as."""
    preprocess = {name: data[name] for name in PREPROCESS if name in data}
    identities = (model.identity for model in models)
    of_generator, of_encoder = (
        replace(reference, identity=identity)
        for reference, identity in zip(references, identities, strict=True)
    )
    return SharedModel(checkpoint, of_generator, of_encoder, sampling, preprocess)


def _views(encoder: Encoder, data: Mapping[str, Any]) -> tuple[Encoder, Encoder]:
    """Return the encoder as it embeds conditions, and as it scores images."""
    embedder, scorer = (
        choose_preprocess(encoder, data.get(name, "standard"), setting=f"data.{name}")
        for name in PREPROCESS
    )
    return embedder, scorer


def _reference(settings: Mapping[str, Any], folder: Path = Path()) -> ModelReference:
    """Return how a model is loaded, of settings or of a catalog entry's."""
    if "kind" not in settings:
        msg = "A model can be shared if its catalog entry is a ModelDataset."
        raise InputError(msg)
    place, options = settings.get("filepath"), settings.get("options") or {}
    if not isinstance(settings["kind"], str) or not isinstance(options, Mapping):
        msg = (
            f"A model is a kind, a name, with options, a mapping; got "
            f"{str(settings)[:120]!r}."
        )
        raise InputError(msg)
    return ModelReference(
        kind=settings["kind"],
        filepath=None if place is None else _absolute(str(place), folder),
        options=dict(options),
    )


def _absolute(place: str, folder: Path) -> str:
    return place if is_address(place) else str((folder / place).absolute())


def _read_yaml(path: Path) -> Mapping[str, Any]:
    content = read_yaml(path)
    if not isinstance(content, Mapping):
        msg = f"{path} must hold {', '.join(_SETTINGS)}, got {str(content)[:80]!r}."
        raise InputError(msg)
    return content


def _check_keys(
    name: str, settings: Any, required: Sequence[str], known: Sequence[str]
) -> None:
    keys = set(settings) if isinstance(settings, Mapping) else set()
    if not set(required) <= keys <= set(known):
        found = ", ".join(map(str, sorted(keys, key=str))) or repr(settings)
        msg = f"{name} must be a mapping of {', '.join(known)}, got {found}."
        raise InputError(msg)
