"""The published format of a prior: clip2latent's trainer, its `.ckpt` and its YAML.

The state dict holds the prior three times: `diffusion_prior.` and, of the averaging,
`online_model.` (the same weights as they are) and `ema_model.` (averaged, to be used).
Each copy has the noise schedule, mean and std of w, and under `net.` the network,
whose keys are those of `TransformerNetwork`. Source: justinpinkney/clip2latent,
latent_prior.py; lucidrains/DALLE2-pytorch 0.2.38.
"""

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args
from urllib.parse import urlsplit, urlunsplit

import torch
from torch import Tensor

from clip2latent_kedro.downloads import fetch, is_address
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.files import replacing
from clip2latent_kedro.latents import LatentStatistics
from clip2latent_kedro.prior.checkpoint import Checkpoint
from clip2latent_kedro.prior.diffusion import DiffusionConfig
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.prior.published_config import (
    check_config,
    complete_settings,
    original_config,
    read_config,
)
from clip2latent_kedro.prior.published_keys import (
    EMA,
    NET,
    ONLINE,
    PLAIN,
    STATISTICS,
    STEP,
    check_copy,
    measure_network,
    split_copies,
)
from clip2latent_kedro.prior.published_schedule import schedule_buffers
from clip2latent_kedro.reading import read_foreign, tensors_of
from clip2latent_kedro.schedules import SCHEDULES

SUFFIXES = (".ckpt", ".pt", ".pth")

Buffers = Literal["as_stored", "exact"]

logger = logging.getLogger(__name__)


def is_published_file(path: Path) -> bool:
    """Return whether a file's name is that of a checkpoint of the original trainer."""
    return path.suffix in SUFFIXES


def read_published(
    path: str | os.PathLike[str],
    *,
    config: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    buffers: Buffers = "as_stored",
) -> Checkpoint:
    """Return a checkpoint of the original trainer, read without running it.

    Args:
        path: A zip or legacy file of torch.save.
        config: Its YAML, or what that holds. None takes the YAML beside the file (of
            the same name, with `.yaml` or `.yml`), else the file's own `cfg`, else
            what the weights tell.
        buffers: What is not learned, and yet was averaged as weights are: schedule,
            rotary frequencies, statistics of w. `as_stored` takes the averages,
            which rounding has moved, as the original does when it samples; `exact`
            computes the first two, and has the last as training had them.

    Returns:
        `ema` as averaged, `network` as it was (empty if the file lacks it); without
        optimiser, embedding statistics, Gaussian and identities, which the format does
        not have.

    Raises:
        InputError: If the file is refused, lacks a key, has another one or another
            shape, or contradicts its configuration.
    """
    check_buffers(buffers)
    path = Path(path)
    expected = "a checkpoint as clip2latent's trainer writes it, with a state_dict"
    tensors, own_config = read_foreign(path, _contents, expected=expected)
    copies = split_copies(tensors, path)
    ema = copies[EMA]
    measured = measure_network(ema, path)
    tree, name = _find_config(path, config, own_config)
    settings = complete_settings(
        tree,
        name,
        measured=measured,
        betas=ema["betas"],
        is_normalised="latent_mean" in ema,
    )
    network = NetworkConfig(**settings["model"]["network"])
    diffusion = DiffusionConfig(**settings["model"]["diffusion"])
    alpha_bar = SCHEDULES[diffusion.beta_schedule](network.num_timesteps)
    num_latents = measured["n_latents"]
    weights = {
        prefix: check_copy(
            prefix,
            copy,
            network,
            num_latents=num_latents,
            alpha_bar=alpha_bar,
            as_stored=buffers == "as_stored",
            path=path,
        )
        for prefix, copy in copies.items()
        if copy
    }
    online = copies[ONLINE] or copies[PLAIN]
    shape = (num_latents, network.dim)
    mean, std = (
        (ema if buffers == "as_stored" else {**ema, **online})
        .get(key, default(shape))
        .view(shape)
        for key, default in zip(STATISTICS, (torch.zeros, torch.ones), strict=True)
    )
    computed = schedule_buffers(alpha_bar) | {
        key: value.view_as(ema[key])
        for key, value in zip(STATISTICS, (mean, std), strict=True)
        if key in ema
    }
    return Checkpoint(
        step=_step(tensors),
        network=weights.get(ONLINE, weights.get(PLAIN, {})),
        ema=weights[EMA],
        optimizer={},
        best={},
        best_step=0,
        history=[],
        statistics=LatentStatistics(mean, std),
        embedding_statistics=None,
        gaussian=None,
        generator_identity=None,
        encoder_identity=None,
        settings=settings,
        buffers=_differing(ema, online, computed) if buffers == "as_stored" else {},
    )


def open_published(
    place: str,
    config: str | None = None,
    *,
    buffers: Buffers = "as_stored",
    get: Callable[[str], Path] = fetch,
) -> Checkpoint:
    """Return a published checkpoint, fetched if it is elsewhere.

    Args:
        place: Path or address of the `.ckpt`.
        config: Path or address of its YAML; None for the one beside it, under the
            same name, where there is one.
        buffers: See `read_published`.
        get: From a path or an address to a file that is here.

    Raises:
        InputError: If a file cannot be had or read (see `read_published`).
    """
    check_buffers(buffers)
    path, beside = get(place), None if config is None else get(config)
    if beside is None and is_address(place):  # beside a path it is found when read
        parts = urlsplit(place)
        yaml_path = str(PurePosixPath(parts.path).with_suffix(".yaml"))
        try:
            beside = get(urlunsplit(parts._replace(path=yaml_path)))
        except InputError as error:
            logger.info("The checkpoint comes without a YAML: %s", error)
    return read_published(path, config=beside, buffers=buffers)


def _contents(content: Any) -> tuple[dict[str, Tensor], Any]:
    """Return the state dict in a file, and its configuration or None."""
    content = content if isinstance(content, dict) else {}
    return tensors_of(content.get("state_dict"), "in state_dict"), content.get("cfg")


def check_buffers(buffers: str) -> None:
    """Raise `InputError` unless the setting of `read_published` is one of the two."""
    if buffers not in get_args(Buffers):
        known = " or ".join(get_args(Buffers))
        msg = f"The buffers of a published checkpoint must be {known}, got {buffers!r}."
        raise InputError(msg)


def write_published(
    checkpoint: Checkpoint, path: str | os.PathLike[str], *, step: int | None = None
) -> None:
    """Store a prior in the published format, with its YAML beside it.

    A file that is there is replaced as a whole.

    Args:
        checkpoint: Of kind `clip2latent`; its `ema` is what is used. Where `network`
            is empty, the online copies are the averaged weights too.
        path: Of the `.ckpt`; the YAML has the same name with `.yaml`.
        step: To note as done; None for the checkpoint's own.

    Raises:
        InputError: If the format cannot hold such a prior.
    """
    import yaml

    path = Path(path)
    config = published_config(checkpoint)
    step = checkpoint.step if step is None else step
    network = NetworkConfig(**checkpoint.settings["model"]["network"])
    schedule = checkpoint.settings["model"]["diffusion"]["beta_schedule"]
    shared = schedule_buffers(SCHEDULES[schedule](network.num_timesteps))
    if checkpoint.settings["train"]["znorm_latent"]:
        statistics = (checkpoint.statistics.mean, checkpoint.statistics.std)
        for key, value in zip(STATISTICS, statistics, strict=True):
            shared[key] = value[0] if len(value) == 1 else value

    def copy(prefix: str, group: str) -> dict[str, Tensor]:
        weights: Mapping[str, Tensor] = getattr(checkpoint, group)
        named = {
            key: checkpoint.buffers.get(f"{group}.{key}", value)
            for key, value in shared.items()
        }
        named |= {f"{NET}{key}": value for key, value in weights.items()}
        return {f"{prefix}{key}": v.contiguous() for key, v in named.items()}

    online = "network" if checkpoint.network else "ema"
    counter = torch.tensor([float(step)])
    state_dict = {
        "step": counter,
        **copy(PLAIN, online),
        "ema_diffusion_prior.initted": torch.ones(1),
        "ema_diffusion_prior.step": counter.clone(),
        **copy(ONLINE, online),
        **copy(EMA, "ema"),
    }
    with replacing(path.with_suffix(".yaml")) as beside, replacing(path) as partial:
        torch.save({"state_dict": state_dict, "cfg": config}, partial)
        text = yaml.safe_dump(config, sort_keys=False)
        beside.write_text(text, encoding="utf-8")


def published_config(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the configuration of a prior as the original has it.

    Raises:
        InputError: If the published format cannot hold such a prior.
    """
    settings = checkpoint.settings
    network = NetworkConfig(**settings["model"]["network"])
    widths = {
        "model.network.dim": network.dim,
        "data.latent_dim": checkpoint.statistics.mean.shape[1],
        "the width of the embedding": checkpoint.clip_dim,
    }
    problem = None
    if network.kind != "clip2latent":
        problem = f"model.network.kind clip2latent, got {network.kind}"
    elif "distillation" in settings:
        problem = "a prior that is no distilled student"
    elif network.noise_level_input:
        problem = "model.network.noise_level_input false, got true"
    elif len(set(widths.values())) > 1:
        said = ", ".join(f"{name} {width}" for name, width in widths.items())
        problem = f"one width throughout, got {said}"
    if problem is not None:
        msg = (
            f"The published format holds priors with {problem}. Train such a prior, or "
            f"share this one in the project's own format."
        )
        raise InputError(msg)
    return original_config(settings)


def _find_config(
    path: Path, given: str | os.PathLike[str] | Mapping[str, Any] | None, stored: Any
) -> tuple[dict[str, Any], str]:
    """Return the configuration and where it is from."""
    if isinstance(given, Mapping):
        return check_config(given, "config"), "config"
    beside = [path.with_suffix(suffix) for suffix in (".yaml", ".yml")]
    places = [Path(given)] if given is not None else [p for p in beside if p.is_file()]
    if places:
        return read_config(places[0]), str(places[0])
    if stored is not None:
        return check_config(stored, f"cfg in {path}"), f"cfg in {path}"
    return {}, str(path)


def _differing(
    ema: Mapping[str, Tensor], online: Mapping[str, Tensor], computed: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Return `Checkpoint.buffers`: of each copy that has others than are computed."""
    return {
        f"{group}.{name}": copy[name].clone()
        for group, copy in (("ema", ema), ("network", online))
        if any(not torch.equal(copy.get(k, v), v) for k, v in computed.items())
        for name in computed
        if name in copy
    }


def _step(tensors: Mapping[str, Tensor]) -> int:
    """Return the number of training steps; 0 if it is not told."""
    step = tensors.get(STEP)
    is_number = step is not None and step.numel() == 1 and bool(step.isfinite().all())
    return int(step.item()) if step is not None and is_number else 0
