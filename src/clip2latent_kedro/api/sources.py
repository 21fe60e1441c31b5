"""Where the models come from: a Kedro project, or settings and files alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clip2latent_kedro.api.download import cache_folder, fetch
from clip2latent_kedro.conditioning import RetrievalBank
from clip2latent_kedro.encoders import load_encoder
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators import load_generator
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.prior.checkpoint import prior_from_checkpoint, read_checkpoint
from clip2latent_kedro.prior.diffusion import DiffusionPrior
from clip2latent_kedro.samplers import SamplingConfig

_SETTINGS = ("generator", "encoder", "sampling")
_MODEL_SETTINGS = ("kind", "filepath", "options")


@dataclass(frozen=True)
class Models:
    """What is needed to answer prompts.

    Attributes:
        generator: w -> image.
        encoder: Text -> embedding.
        prior: Embedding -> w.
        latent_repeats: Layers that each latent of the prior stands for.
        sampling: How to draw, unless a call says otherwise.
        find_bank: Returns embeddings of training images; None where there are none.
    """

    generator: Generator
    encoder: Encoder
    prior: DiffusionPrior
    latent_repeats: Sequence[int]
    sampling: SamplingConfig
    find_bank: Callable[[], RetrievalBank | None]


def open_models(
    cfg: str | Path | Mapping[str, Any] | None,
    checkpoint: str | Path | None,
    env: str | None,
) -> Models:
    """Return the models that a configuration and a checkpoint name.

    Arguments and errors are those of `Clip2StyleGAN`.
    """
    if isinstance(cfg, Mapping):
        return _from_settings(cfg, Path(), checkpoint)
    path = Path(cfg or ".")
    if path.is_file():
        return _from_settings(_read_yaml(path), path.parent, checkpoint)
    return _from_project(path, checkpoint, env)


def _from_project(
    folder: Path, checkpoint: str | Path | None, env: str | None
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
    if name in catalog.keys():  # noqa: SIM118 - `in catalog` also matches patterns
        prior, latent_repeats = load(name), parameters["data"]["latent_repeats"]
        if not isinstance(prior, DiffusionPrior):
            msg = (
                f"The catalog entry {name} holds no prior yet. Run the pipeline that "
                f"makes it."
            )
            raise InputError(msg)
    else:
        prior, latent_repeats = _read_prior(name)
    return Models(
        generator=load("generator"),
        encoder=load("encoder"),
        prior=prior,
        latent_repeats=latent_repeats,
        sampling=SamplingConfig(**parameters["sampling"]),
        find_bank=lambda: load("training_pairs").clip_embedding,
    )


def _from_settings(
    cfg: Mapping[str, Any], folder: Path, checkpoint: str | Path | None
) -> Models:
    """Return models of files; relative paths start at `folder`."""
    _check_keys("cfg", cfg, required=_SETTINGS, known=_SETTINGS)
    for role in ("generator", "encoder"):
        _check_keys(f"cfg[{role!r}]", cfg[role], ("kind",), _MODEL_SETTINGS)
    if checkpoint is None:
        msg = (
            "checkpoint must be a path or an address where cfg is no Kedro project, "
            "got None."
        )
        raise InputError(msg)
    prior, latent_repeats = _read_prior(str(checkpoint))
    try:
        sampling = SamplingConfig(**cfg["sampling"])
    except TypeError as error:
        msg = f"cfg['sampling'] must be settings of SamplingConfig: {error}."
        raise InputError(msg) from error

    def source(role: str) -> tuple[str, Path | None, Mapping[str, Any]]:
        settings = cfg[role]
        path = settings.get("filepath")
        path = None if path is None else folder / path
        return settings["kind"], path, settings.get("options") or {}

    return Models(
        generator=load_generator(*source("generator")),
        encoder=load_encoder(*source("encoder")),
        prior=prior,
        latent_repeats=latent_repeats,
        sampling=sampling,
        find_bank=lambda: None,
    )


def _read_prior(place: str) -> tuple[DiffusionPrior, list[int]]:
    """Return a stored prior, and the layers that its latents stand for."""
    path = fetch(place, cache_folder()) if "://" in place else Path(place).expanduser()
    if not path.is_file():
        msg = (
            f"checkpoint must be a catalog entry, a file or an address, got {place!r}, "
            f"which is none of them."
        )
        raise InputError(msg)
    checkpoint = read_checkpoint(path)
    latent_repeats = checkpoint.settings["data"]["latent_repeats"]
    return prior_from_checkpoint(checkpoint), latent_repeats


def _read_yaml(path: Path) -> Mapping[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        msg = f"cfg must be a YAML file, but {path} cannot be read as one ({error})."
        raise InputError(msg) from error
    if not isinstance(content, Mapping):
        msg = f"{path} must hold {', '.join(_SETTINGS)}, got {content!r}."
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
