"""Everything that a training run has come to, as one safetensors file."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, Literal

from safetensors.torch import save_file
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.files import replacing
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.latents import LatentGaussian, LatentStatistics
from clip2latent_kedro.prior.diffusion import (
    DiffusionConfig,
    DiffusionPrior,
    EmbeddingStatistics,
    prior_space,
)
from clip2latent_kedro.prior.network import (
    NetworkConfig,
    build_network,
    condition_inputs,
)
from clip2latent_kedro.prior.stored import check_checkpoint
from clip2latent_kedro.provenance import list_differences
from clip2latent_kedro.reading import (
    MISSHAPEN,
    load_network,
    parse_json,
    read_settings,
    read_weights,
)
from clip2latent_kedro.schedules import SCHEDULES

FORMAT = "clip2latent_kedro.prior/2"
# They decide when something is stored or measured, not what is learned.
FREE_SETTINGS = frozenset(
    f"{group}.{name}"
    for group in ("train", "distillation")
    for name in ("save_it", "val_it")
)
# What has trained it is told, not refused (see `accept_start`). Of the others one is in
# the identity of the encoder, the other decides no more than scores.
FREE_SETTINGS |= {"made_by", "data.embed_preprocess", "data.score_preprocess"}


@dataclass(frozen=True)
class Checkpoint:
    """The state of training after `step` steps, on the CPU.

    Random numbers are functions of the seed (in `settings`) and the step, and so
    need no state of their own.

    Attributes:
        step: Training steps done.
        network: State dict of the network.
        ema: State dict of the averaged network.
        optimizer: Of `optimizer_tensors`.
        best: State dict of the averaged network where validation was best by
            `train.best_by`, the later one of equals; empty before there is one.
        best_step: The step of it, 0 before.
        history: What was measured, a row each: `step`; `loss`, the mean of the
            training loss since the row before; of the averaged network
            `validation_loss` and whatever else validation found, where it did.
        statistics: Of the training data, before `znorm_latent` is looked at.
        embedding_statistics: Of the training embeddings, and of texts; None if
            unknown, as in a prior that another program has trained.
        gaussian: Of the training data; None if unknown.
        generator_identity: Whose w were learned; None if unknown.
        encoder_identity: Whose embeddings were the condition; None if unknown.
        settings: Everything that decided the run, as plain JSON: `data`, `model`,
            `train`, `seed`, `pairs` (the recipe of the training pairs), and `made_by`,
            every code and device that has trained it, in turn. Of another
            program's prior what is known of it, and `clip_dim` in `model`.
        buffers: What another program has stored of the schedule and the statistics of
            its copies `ema` and `network`, by copy and name; empty where they are
            computed.
        seconds: Time that the steps took, without validation and storing; None if
            unknown.
    """

    step: int
    network: dict[str, Tensor]
    ema: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    best: dict[str, Tensor]
    best_step: int
    history: list[dict[str, float]]
    statistics: LatentStatistics
    embedding_statistics: EmbeddingStatistics | None
    gaussian: LatentGaussian | None
    generator_identity: Identity | None
    encoder_identity: Identity | None
    settings: dict[str, Any]
    buffers: dict[str, Tensor] = field(default_factory=dict)
    seconds: float | None = field(default=None, compare=False)

    @property
    def finished(self) -> bool:
        """Whether the run came to its own last step."""
        max_it = self.settings[_own_group(self.settings)].get("max_it", inf)
        return bool(self.step >= max_it)

    @property
    def clip_dim(self) -> int:
        """Width of the embedding that is the condition."""
        if self.embedding_statistics is not None:
            return len(self.embedding_statistics.mean)
        return int(self.settings["model"]["clip_dim"])


def write_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Store a checkpoint; a file that is there is replaced at once or not at all."""
    path = Path(path)
    groups = {
        "network": checkpoint.network,
        "ema": checkpoint.ema,
        "optimizer": checkpoint.optimizer,
        "best": checkpoint.best,
        "buffers": checkpoint.buffers,
        "cloud": {} if checkpoint.gaussian is None else vars(checkpoint.gaussian),
        "statistics": vars(checkpoint.statistics),
    }
    tensors = {
        f"{group}.{name}": tensor.contiguous()
        for group, named in groups.items()
        for name, tensor in named.items()
    }
    embedding = checkpoint.embedding_statistics
    if embedding is not None:
        tensors["embedding_mean"] = embedding.mean.contiguous()
        if embedding.text_mean is not None:
            tensors["text_mean"] = embedding.text_mean.contiguous()
    header = {
        "step": checkpoint.step,
        "best_step": checkpoint.best_step,
        "history": checkpoint.history,
        "embedding_norm": None if embedding is None else embedding.norm,
        "generator": _plain(checkpoint.generator_identity),
        "encoder": _plain(checkpoint.encoder_identity),
        "settings": checkpoint.settings,
        "seconds": checkpoint.seconds,
    }
    metadata = {"format": FORMAT, "header": json.dumps(header)}

    with replacing(path) as partial:
        save_file(tensors, partial, metadata=metadata)


def read_checkpoint(
    path: str | os.PathLike[str], *, mend: str = "Remove it and train again."
) -> Checkpoint:
    """Return the stored checkpoint, all of it checked.

    Args:
        path: The file.
        mend: What to do if it is refused, a sentence.

    Raises:
        FileNotFoundError: If there is none.
        InputError: If the file is damaged, or is something else.
    """
    path = Path(path)
    if not path.is_file():
        msg = f"There is no prior checkpoint at {path}. Run the training pipeline."
        raise FileNotFoundError(msg)
    tensors, metadata = read_weights(path, mend=mend)
    if metadata.get("format") != FORMAT:
        msg = (
            f"{path} must be a prior checkpoint ({FORMAT}), got "
            f"{metadata.get('format', 'a file without such a mark')[:80]}. {mend} Or "
            f"correct its path in the catalog."
        )
        raise InputError(msg)
    try:
        checkpoint = _unpack(tensors, parse_json(metadata["header"]))
        check_checkpoint(checkpoint)
    except MISSHAPEN as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")[:300]
        msg = f"{path} is not as this project writes a checkpoint ({reason}). {mend}"
        raise InputError(msg) from error
    return checkpoint


def _unpack(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> Checkpoint:
    """Return the checkpoint of what is in a file, as it is there."""
    embedding, gaussian = None, _group(tensors, "cloud")
    if "embedding_mean" in tensors:
        embedding = EmbeddingStatistics(
            tensors["embedding_mean"],
            header["embedding_norm"],
            tensors.get("text_mean"),
        )
    return Checkpoint(
        step=header["step"],
        network=_group(tensors, "network"),
        ema=_group(tensors, "ema"),
        optimizer=_group(tensors, "optimizer"),
        best=_group(tensors, "best"),
        best_step=header["best_step"],
        history=header["history"],
        statistics=LatentStatistics(**_group(tensors, "statistics")),
        embedding_statistics=embedding,
        gaussian=LatentGaussian(**gaussian) if gaussian else None,
        generator_identity=_identity(header["generator"]),
        encoder_identity=_identity(header["encoder"]),
        settings=header["settings"],
        buffers=_group(tensors, "buffers"),
        seconds=header.get("seconds"),
    )


def export_weights(checkpoint: Checkpoint, which: Literal["ema", "best"]) -> Checkpoint:
    """Return a checkpoint of averaged weights alone, as `ema`, with their step.

    Args:
        checkpoint: Finished or not.
        which: The last ones, or the best; these are the last ones where nothing was
            validated.
    """
    step, ema = checkpoint.step, checkpoint.ema
    if which == "best" and checkpoint.best_step:
        step, ema = checkpoint.best_step, checkpoint.best
    return replace(
        checkpoint, step=step, ema=ema, network={}, optimizer={}, best={}, best_step=0
    )


def prior_from_checkpoint(
    checkpoint: Checkpoint, which: Literal["ema", "network", "best"] = "ema"
) -> DiffusionPrior:
    """Return the prior with some of its weights, none of them trainable.

    Args:
        checkpoint: Finished or not.
        which: The last averaged weights, the last ones as they are, or the averaged
            ones where validation was best.
    """
    model = checkpoint.settings["model"]
    prior = build_prior(
        NetworkConfig(**model["network"]),
        DiffusionConfig(**model["diffusion"]),
        checkpoint.statistics,
        checkpoint.embedding_statistics,
        znorm_latent=checkpoint.settings["train"]["znorm_latent"],
        generator_identity=checkpoint.generator_identity,
        encoder_identity=checkpoint.encoder_identity,
        gaussian=checkpoint.gaussian,
        is_distilled="distillation" in checkpoint.settings,
        embed_noise_scale=checkpoint.settings["data"]["embed_noise_scale"],
        clip_dim=checkpoint.clip_dim,
        weights=getattr(checkpoint, which),
    )
    buffers = _group(checkpoint.buffers, which)
    if buffers:
        log_variance = buffers["posterior_log_variance_clipped"].double()
        std = (log_variance / 2).exp()
        prior.stored_schedule = (buffers["alphas_cumprod"].double(), std)
    prior.guidance_range = _guidance_range(checkpoint.settings)
    prior.training_seconds = checkpoint.seconds
    return prior.requires_grad_(False).eval()


def build_prior(
    network: NetworkConfig,
    diffusion: DiffusionConfig,
    statistics: LatentStatistics,
    embedding_statistics: EmbeddingStatistics | None,
    *,
    znorm_latent: bool,
    generator_identity: Identity | None,
    encoder_identity: Identity | None,
    gaussian: LatentGaussian | None = None,
    is_distilled: bool = False,
    embed_noise_scale: float = 0.0,
    clip_dim: int | None = None,
    weights: Mapping[str, Tensor] | None = None,
) -> DiffusionPrior:
    """Return a new prior, on the CPU.

    Args:
        network: `params:model.network`.
        diffusion: `params:model.diffusion`.
        statistics: Of the training data; their shape is that of one latent.
        embedding_statistics: Of the training embeddings; likewise. None if unknown.
        znorm_latent: Whether the prior models normalised w.
        generator_identity: Whose w are learned; None if unknown.
        encoder_identity: Whose embeddings are the condition; None if unknown.
        gaussian: Of the training data; None if unknown.
        is_distilled: Whether the network takes the guidance scale as an input.
        embed_noise_scale: `params:data.embed_noise_scale`.
        clip_dim: Width of the embeddings; None for that of their statistics.
        weights: State dict of the network; None for random ones.

    Raises:
        ValueError: If the weights do not fit the network.
    """
    inputs = condition_inputs(network, is_distilled=is_distilled)
    num_latents, latent_dim = statistics.mean.shape
    if clip_dim is None:
        assert embedding_statistics is not None
        (clip_dim,) = embedding_statistics.mean.shape
    build = partial(
        build_network, network, num_latents, latent_dim, clip_dim, len(inputs)
    )
    return DiffusionPrior(
        build() if weights is None else load_network(build, weights),
        SCHEDULES[diffusion.beta_schedule](network.num_timesteps),
        prior_space(
            statistics,
            znorm_latent=znorm_latent,
            image_embed_scale=diffusion.image_embed_scale,
        ),
        embedding_statistics,
        w_mean=statistics.mean,
        predict_x_start=diffusion.predict_x_start,
        text_embed_scale=diffusion.text_embed_scale,
        generator_identity=generator_identity,
        encoder_identity=encoder_identity,
        gaussian=gaussian,
        condition_inputs=inputs,
        embed_noise_scale=embed_noise_scale,
    )


def check_settings(checkpoint: Checkpoint, settings: Mapping[str, Any]) -> None:
    """Check that a run with these settings may continue a checkpoint.

    The last step may move, unless the learning rate decays towards it.

    Raises:
        InputError: If settings differ; the message names each of them.
    """
    free, group = set(FREE_SETTINGS), _own_group(settings)
    if settings[group]["lr_decay"] == "none":
        free.add(f"{group}.max_it")
    differing = list_differences(checkpoint.settings, settings, free=free)
    if differing:
        entry = "prior_checkpoint" if group == "train" else "student_checkpoint"
        msg = (
            f"The stored {entry} of step {checkpoint.step} was trained under "
            f"other settings: {', '.join(differing)}. Use the same settings, or "
            f"`--params=resume:false` to replace it."
        )
        raise InputError(msg)


def _own_group(settings: Mapping[str, Any]) -> str:
    """Return where the settings of the run itself are; a student has its teacher's."""
    return "distillation" if "distillation" in settings else "train"


def _guidance_range(settings: Mapping[str, Any]) -> tuple[float, float]:
    """Return the guidance scales that a training covers.

    Without hidden conditions there is nothing to be guided away from, and with
    nothing else there is nothing to be guided to.
    """
    every = (0.0, math.inf)
    if "distillation" in settings:
        low, high = settings["distillation"].get("guidance_range", every)
        return low, high
    hidden = settings["model"]["diffusion"]["cond_drop_prob"]
    return {0: (1.0, 1.0), 1: (0.0, 0.0)}.get(hidden, every)


def _plain(identity: Identity | None) -> dict[str, str] | None:
    return None if identity is None else dict(vars(identity))


def _identity(plain: Mapping[str, str] | None) -> Identity | None:
    return None if plain is None else read_settings(Identity, plain)


def _group(tensors: Mapping[str, Tensor], group: str) -> dict[str, Tensor]:
    prefix = f"{group}."
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
