"""A prior and all that its training has come to, as one safetensors file."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
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
from clip2latent_kedro.reading import (
    MISSHAPEN,
    load_network,
    parse_json,
    read_settings,
    read_weights,
)
from clip2latent_kedro.schedules import SCHEDULES
from clip2latent_kedro.training import TrainingState

FORMAT = "clip2latent_kedro.prior/3"


@dataclass(frozen=True, kw_only=True)
class Checkpoint(TrainingState):
    """The state of a prior's training, and what the prior is used with.

    Its scores are `validation_loss` of the averaged network, and whatever else
    validation found. Its settings are `data`, `model`, `train`, `seed` and `pairs` (the
    recipe of the training pairs); of another program's prior what is known of it, and
    `clip_dim` in `model`.

    Attributes:
        statistics: Of the training data, before `znorm_latent` is looked at.
        embedding_statistics: Of the training embeddings, and of texts; None if
            unknown, as in a prior that another program has trained.
        gaussian: Of the training data; None if unknown.
        generator_identity: Whose w were learned; None if unknown.
        encoder_identity: Whose embeddings were the condition; None if unknown.
        buffers: What another program has stored of the schedule and the statistics of
            its copies `ema` and `network`, by copy and name; empty where they are
            computed.
    """

    statistics: LatentStatistics
    embedding_statistics: EmbeddingStatistics | None = None
    gaussian: LatentGaussian | None = None
    generator_identity: Identity | None = None
    encoder_identity: Identity | None = None
    buffers: dict[str, Tensor] = field(default_factory=dict)

    def with_state(self, state: TrainingState) -> "Checkpoint":
        """Return the checkpoint of another state of this training."""
        names = [part.name for part in fields(TrainingState)]
        return replace(self, **{name: getattr(state, name) for name in names})

    @property
    def finished(self) -> bool:
        """Whether the run came to its own last step."""
        # A student has the settings of its teacher's training beside its own.
        own = "distillation" if "distillation" in self.settings else "train"
        max_it = self.settings[own].get("max_it", inf)
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
        "generator": checkpoint.generator_identity,
        "encoder": checkpoint.encoder_identity,
        "settings": checkpoint.settings,
        "seconds": checkpoint.seconds,
    }
    metadata = {"format": FORMAT, "header": json.dumps(header, default=vars)}

    with replacing(path) as partial:
        save_file(tensors, partial, metadata=metadata)


def read_checkpoint(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    mend: str = "Remove it and train again.",
) -> Checkpoint:
    """Return the stored checkpoint, all of it checked.

    Args:
        path: The file.
        name: What messages call it; None for its path.
        mend: What to do if it is refused, a sentence.

    Raises:
        FileNotFoundError: If there is none.
        InputError: If the file is damaged, or is something else.
    """
    path = Path(path)
    if not path.is_file():
        msg = f"There is no prior checkpoint at {path}. Run the training pipeline."
        raise FileNotFoundError(msg)
    tensors, metadata = read_weights(path, name=name, mend=mend)
    if metadata.get("format") != FORMAT:
        msg = (
            f"{name or path} must be a prior checkpoint ({FORMAT}), got "
            f"{metadata.get('format', 'a file without such a mark')[:80]}. {mend} Or "
            f"correct its path in the catalog."
        )
        raise InputError(msg)
    try:
        checkpoint = _unpack(tensors, parse_json(metadata["header"]))
        check_checkpoint(checkpoint)
    except MISSHAPEN as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")[:300]
        msg = (
            f"{name or path} is not as this project writes a checkpoint ({reason}). "
            f"{mend}"
        )
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
    prior = build_prior(checkpoint, getattr(checkpoint, which))
    buffers = _group(checkpoint.buffers, which)
    if buffers:
        log_variance = buffers["posterior_log_variance_clipped"].double()
        std = (log_variance / 2).exp()
        prior.stored_schedule = (buffers["alphas_cumprod"].double(), std)
    prior.guidance_range = _guidance_range(checkpoint.settings)
    prior.training_seconds = checkpoint.seconds
    return prior.requires_grad_(False).eval()


def build_prior(
    checkpoint: Checkpoint, weights: Mapping[str, Tensor] | None = None
) -> DiffusionPrior:
    """Return a new prior, on the CPU.

    Args:
        checkpoint: Its settings and statistics, and what it is used with. One that
            has `distillation` takes the guidance scale as an input.
        weights: State dict of the network; None for random ones.

    Raises:
        ValueError: If the weights do not fit the network.
    """
    settings, statistics = checkpoint.settings, checkpoint.statistics
    network = NetworkConfig(**settings["model"]["network"])
    diffusion = DiffusionConfig(**settings["model"]["diffusion"])
    inputs = condition_inputs(network, is_distilled="distillation" in settings)
    num_latents, latent_dim = statistics.mean.shape
    clip_dim = checkpoint.clip_dim
    build = partial(
        build_network, network, num_latents, latent_dim, clip_dim, len(inputs)
    )
    return DiffusionPrior(
        build() if weights is None else load_network(build, weights),
        SCHEDULES[diffusion.beta_schedule](network.num_timesteps),
        prior_space(
            statistics,
            znorm_latent=settings["train"]["znorm_latent"],
            image_embed_scale=diffusion.image_embed_scale,
        ),
        checkpoint.embedding_statistics,
        w_mean=statistics.mean,
        predict_x_start=diffusion.predict_x_start,
        text_embed_scale=diffusion.text_embed_scale,
        generator_identity=checkpoint.generator_identity,
        encoder_identity=checkpoint.encoder_identity,
        gaussian=checkpoint.gaussian,
        condition_inputs=inputs,
        embed_noise_scale=settings["data"]["embed_noise_scale"],
        embed_noise_least=settings["data"].get("embed_noise_least", 0.0),
    )


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


def _identity(plain: Mapping[str, str] | None) -> Identity | None:
    return None if plain is None else read_settings(Identity, plain)


def _group(tensors: Mapping[str, Tensor], group: str) -> dict[str, Tensor]:
    prefix = f"{group}."
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
