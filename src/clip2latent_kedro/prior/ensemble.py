"""Priors of ablations, trained one by one."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import LatentStatistics
from clip2latent_kedro.pairs import DataConfig, TrainingPairs
from clip2latent_kedro.pairs.contents import summarise_pairs
from clip2latent_kedro.prior.checkpoint import prior_from_checkpoint
from clip2latent_kedro.prior.config import PriorSettings, TrainConfig
from clip2latent_kedro.prior.diffusion import (
    DiffusionConfig,
    DiffusionPrior,
    EmbeddingStatistics,
)
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.prior.training import train_prior


@dataclass(frozen=True)
class Member:
    """All that decides one prior, but for the pairs.

    Attributes:
        data: `params:data`.
        network: `params:model.network`.
        diffusion: `params:model.diffusion`.
        train: `params:train`; nothing is validated or kept on the way.
        seed: Of first weights, batches and noise.
        num_pairs: The first pairs, which are all that it sees; None for all.
    """

    data: DataConfig
    network: NetworkConfig
    diffusion: DiffusionConfig
    train: TrainConfig
    seed: int
    num_pairs: int | None = None

    @property
    def company(self) -> Hashable:
        """What must be equal for two members to be listed together."""
        alike = replace(self.train, ema_beta=0.0, ema_power=1.0)
        return self.network, self.diffusion, self.data.bs, alike

    @property
    def can_be_stacked(self) -> bool:
        """Whether it is trained together with others: none is."""
        return False


def train_alone(
    pairs: TrainingPairs,
    member: Member,
    *,
    device: str,
    text_mean: Tensor | None = None,
) -> DiffusionPrior:
    """Return the prior of a member, averaged weights.

    Args:
        pairs: All of them may be trained on.
        member: What is trained.
        device: Where to compute.
        text_mean: Mean of unit-length embeddings of texts, [clip_dim].

    Raises:
        InputError: If there are too few pairs, or the loss is not finite.
    """
    wanted = len(pairs) if member.num_pairs is None else member.num_pairs
    if wanted > len(pairs):
        msg = (
            f"num_pairs must be at most the {len(pairs)} pairs to train on, got "
            f"{wanted}. Make more pairs, or lower train.val_pairs."
        )
        raise InputError(msg)
    w, embedding = pairs.take(slice(0, wanted))
    own = TrainingPairs(w, embedding, {**pairs.recipe, "n_samples": len(w)})
    summary = summarise_pairs(own)
    mean, std, embedding_mean = (
        torch.tensor(summary[name]) for name in ("mean", "std", "embedding_mean")
    )
    last = member.train.max_it
    train = replace(member.train, val_pairs=0, val_it=last, save_it=last)
    (checkpoint,) = train_prior(
        own,
        LatentStatistics(mean, std),
        EmbeddingStatistics(embedding_mean, summary["embedding_norm"], text_mean),
        PriorSettings(
            member.data, member.network, member.diffusion, train, member.seed
        ),
        device=device,
    )
    return prior_from_checkpoint(checkpoint)


def train_together(
    pairs: TrainingPairs,
    members: Sequence[Member],
    *,
    device: str,
    text_mean: Tensor | None = None,
) -> list[DiffusionPrior | None]:
    """Return the priors of members, None for one that diverged; see `train_alone`."""
    found: list[DiffusionPrior | None] = []
    for member in members:
        try:
            found.append(train_alone(pairs, member, device=device, text_mean=text_mean))
        except InputError:
            found.append(None)
    return found
