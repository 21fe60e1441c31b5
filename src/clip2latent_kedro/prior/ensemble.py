"""Priors of one architecture that are trained together.

The weights of k networks are stacked, and one pass over k batches trains all of them:
many small products become few large ones. The random numbers of each are those of its
own training, so that it learns what it would have learnt alone, but for rounding.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.latents import LatentStatistics, fit_gaussian
from clip2latent_kedro.pairs import DataConfig, TrainingPairs
from clip2latent_kedro.pairs.contents import summarise_pairs
from clip2latent_kedro.prior.batches import PairBatches
from clip2latent_kedro.prior.checkpoint import build_prior, prior_from_checkpoint
from clip2latent_kedro.prior.config import TrainConfig
from clip2latent_kedro.prior.diffusion import (
    DiffusionConfig,
    DiffusionPrior,
    EmbeddingStatistics,
)
from clip2latent_kedro.prior.ema import ema_decay
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.prior.optimizer import BETAS, EPS, decayed_lr, warmup_factor
from clip2latent_kedro.prior.trainer import Trainer
from clip2latent_kedro.prior.training import (
    GAUSSIAN_SAMPLES,
    train_prior,
)
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.runtime import derive_seed, make_generator, seeded_weights

STACKED_KINDS = ("mlp",)  # networks without attention, whose layers are plain products
Weights = dict[str, Tensor]


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
        """What must be equal for two members to be trained together."""
        alike = replace(self.train, ema_beta=0.0, ema_power=1.0)
        return self.network, self.diffusion, self.data.bs, alike

    @property
    def can_be_stacked(self) -> bool:
        """Whether it can be trained together with others at all."""
        plain = self.train.precision == "float32" and not self.train.compile
        return plain and self.network.kind in STACKED_KINDS


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
    own, statistics, embedding_statistics = _prepare(pairs, member, text_mean)
    last = member.train.max_it
    train = replace(member.train, val_pairs=0, val_it=last, save_it=last)
    (checkpoint,) = train_prior(
        own,
        statistics,
        embedding_statistics,
        data=member.data,
        network=member.network,
        diffusion=member.diffusion,
        train=train,
        seed=member.seed,
        device=device,
        text_mean=text_mean,
    )
    return prior_from_checkpoint(checkpoint)


def train_together(
    pairs: TrainingPairs,
    members: Sequence[Member],
    *,
    device: str,
    text_mean: Tensor | None = None,
) -> list[DiffusionPrior | None]:
    """Return the priors of members, averaged weights.

    Args:
        pairs: All of them may be trained on; they are held in memory once.
        members: Of one `company`, each `can_be_stacked`.
        device: Where to compute.
        text_mean: Mean of unit-length embeddings of texts, [clip_dim].

    Returns:
        In the order of members; None for one whose training diverged, which does not
        touch the others.

    Raises:
        ValueError: If members cannot be trained together.
        InputError: If there are too few pairs.
    """
    if len({m.company for m in members}) != 1 or not members[0].can_be_stacked:
        msg = (
            f"members must be priors of one architecture ({', '.join(STACKED_KINDS)}) "
            f"and one course of training in float32, got others. Train them alone."
        )
        raise ValueError(msg)
    train = members[0].train
    most = max(_count(pairs, member) for member in members)
    w, embedding = (torch.from_numpy(p).to(device) for p in pairs.take(slice(0, most)))
    trainers = [_start(pairs, member, text_mean, device) for member in members]
    orders = [_row_batches(pairs, member, device).starting_at(0) for member in members]
    stack = _Stack([trainer.prior for trainer in trainers], members)
    with progress_bar(f"{len(members)} priors", total=train.max_it) as advance:
        for step in range(1, train.max_it + 1):
            batches = []
            for trainer, member, order in zip(trainers, members, orders, strict=True):
                rows = next(order)[1][:, 0].long()
                x0 = trainer.prior.statistics.normalise(w[rows])
                batches.append(_draw_batch(trainer, member, x0, embedding[rows], step))
            stack.step(batches, step)
            advance()
    return stack.unstack()


class _Stack:
    """The weights of several networks, [k, ...] each, with optimiser and average."""

    def __init__(
        self, priors: Sequence[DiffusionPrior], members: Sequence[Member]
    ) -> None:
        self._priors, self._members = priors, members
        self._train = members[0].train
        losses = [_Loss(prior) for prior in priors]
        self._loss = losses[0]
        self._weights, self._buffers = stack_module_state(losses)
        self._average = {
            name: weight.detach().clone() for name, weight in self._weights.items()
        }
        matrices = [w for w in self._weights.values() if w.ndim - 1 >= 2]
        vectors = [w for w in self._weights.values() if w.ndim - 1 < 2]
        self._optimizer = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": self._train.weight_decay},
                {"params": vectors, "weight_decay": 0.0},
            ],
            lr=self._train.lr,
            betas=BETAS,
            eps=EPS,
            fused=True,
        )

    def step(self, batches: Sequence[dict[str, Tensor]], step: int) -> None:
        """Update weights and averages by one batch for each network."""
        train = self._train
        lr = decayed_lr(train.lr, train.lr_decay, step, train.max_it)
        for group in self._optimizer.param_groups:
            group["lr"] = lr * warmup_factor(step, train.warmup_it)
        stacked = {
            name: torch.stack([batch[name] for batch in batches]) for name in batches[0]
        }

        def loss_of_one(weights: Weights, buffers: Weights, batch: Weights) -> Tensor:
            loss: Tensor = functional_call(self._loss, (weights, buffers), (), batch)
            return loss

        losses = vmap(loss_of_one)(self._weights, self._buffers, stacked)  # [k]
        self._optimizer.zero_grad()
        losses.sum().backward()  # type: ignore[no-untyped-call]
        if train.clip_grad is not None:
            self._clip_gradients(train.clip_grad)
        self._optimizer.step()
        if step % train.ema_update_every == 0:
            self._update_average(step)

    def unstack(self) -> list[DiffusionPrior | None]:
        """Return each prior with its averaged weights; None for one not finite."""
        found: list[DiffusionPrior | None] = []
        for number, prior in enumerate(self._priors):
            own = {
                name.removeprefix("prior.network."): weight[number].clone()
                for name, weight in self._average.items()
            }
            prior.network.load_state_dict(own)
            is_finite = all(bool(weight.isfinite().all()) for weight in own.values())
            found.append(prior.requires_grad_(False).eval() if is_finite else None)
        return found

    def _clip_gradients(self, largest: float) -> None:
        """Shorten the gradient of each network to `largest`, if it is longer."""
        gradients = [w.grad for w in self._weights.values() if w.grad is not None]
        squares = [gradient.flatten(1).square().sum(1) for gradient in gradients]
        norms = torch.stack(squares).sum(0).sqrt()  # [k]
        share = (largest / (norms + 1e-6)).clamp(max=1.0)  # as clip_grad_norm_ has it
        for gradient in gradients:
            gradient.mul_(_along_first(share, gradient))

    @torch.no_grad()
    def _update_average(self, step: int) -> None:
        decays = [
            ema_decay(step, beta=member.train.ema_beta, power=member.train.ema_power)
            for member in self._members
        ]
        for name, weight in self._weights.items():
            new = 1 - torch.tensor(decays, dtype=torch.float64)
            self._average[name].lerp_(weight, _along_first(new.to(weight), weight))


class _Loss(nn.Module):
    """The loss of a prior as a module, whose weights can be replaced in a call."""

    def __init__(self, prior: DiffusionPrior) -> None:
        super().__init__()
        self.prior = prior

    def forward(self, **batch: Tensor) -> Tensor:
        """Return the loss of the arguments of `DiffusionPrior.loss`."""
        return self.prior.loss(**batch)


def _prepare(
    pairs: TrainingPairs, member: Member, text_mean: Tensor | None
) -> tuple[TrainingPairs, LatentStatistics, EmbeddingStatistics]:
    """Return a member's own pairs, and what is measured of them."""
    w, embedding = pairs.take(slice(0, _count(pairs, member)))
    own = TrainingPairs(w, embedding, {**pairs.recipe, "n_samples": len(w)})
    summary = summarise_pairs(own)
    mean, std, embedding_mean = (
        torch.tensor(summary[name]) for name in ("mean", "std", "embedding_mean")
    )
    return (
        own,
        LatentStatistics(mean, std),
        EmbeddingStatistics(embedding_mean, summary["embedding_norm"], text_mean),
    )


def _start(
    pairs: TrainingPairs, member: Member, text_mean: Tensor | None, device: str
) -> Trainer:
    """Return what draws a member's random numbers, with its prior as it begins."""
    own, statistics, embedding_statistics = _prepare(pairs, member, text_mean)
    w, _ = own.take(slice(0, GAUSSIAN_SAMPLES))
    origins = [own.recipe[role].rpartition("@") for role in ("generator", "encoder")]
    generator_identity, encoder_identity = (Identity(n, d) for n, _, d in origins)
    with seeded_weights(derive_seed(member.seed, "weights")):
        prior = build_prior(
            member.network,
            member.diffusion,
            statistics,
            embedding_statistics,
            znorm_latent=member.train.znorm_latent,
            generator_identity=generator_identity,
            encoder_identity=encoder_identity,
            gaussian=fit_gaussian(torch.from_numpy(w)),
            embed_noise_scale=member.data.embed_noise_scale,
        )
    return Trainer(
        prior,
        member.train,
        embed_noise_scale=member.data.embed_noise_scale,
        cond_drop_prob=member.diffusion.cond_drop_prob,
        seed=member.seed,
        device=device,
        start=None,
    )


def _draw_batch(
    trainer: Trainer, member: Member, x0: Tensor, clip_embedding: Tensor, step: int
) -> dict[str, Tensor]:
    """Return what `DiffusionPrior.loss` takes, as the member's own trainer draws it."""
    generator = make_generator(member.seed, "step", step, device=str(x0.device))
    keep = torch.rand(len(x0), generator=generator, device=x0.device)
    drawn = trainer.draw(x0, clip_embedding, generator)
    return {"x0": x0, "keep": keep >= member.diffusion.cond_drop_prob, **drawn}


def _count(pairs: TrainingPairs, member: Member) -> int:
    """Return how many pairs a member is trained on.

    Raises:
        InputError: If it wants more than there are.
    """
    wanted = len(pairs) if member.num_pairs is None else member.num_pairs
    if wanted > len(pairs):
        msg = (
            f"num_pairs must be at most the {len(pairs)} pairs to train on, got "
            f"{wanted}. Make more pairs, or lower train.val_pairs."
        )
        raise InputError(msg)
    return wanted


def _row_batches(pairs: TrainingPairs, member: Member, device: str) -> PairBatches:
    """Return the batches of a member as row numbers, so that pairs are stored once.

    They stand in the place of embeddings; float32 counts exactly to 2^24.
    """
    numbers = np.arange(_count(pairs, member), dtype=np.float32)[:, None]
    nothing = LatentStatistics(torch.zeros(1, 1), torch.ones(1, 1))
    return PairBatches(
        TrainingPairs(numbers[:, None], numbers, {}),
        nothing,
        num_pairs=len(numbers),
        batch_size=member.data.bs,
        buffer_pairs=member.train.buffer_pairs,
        seed=member.seed,
        device=device,
    )


def _along_first(values: Tensor, like: Tensor) -> Tensor:
    """Return [k] as [k, 1, ..., 1] with the axes of another tensor."""
    return values.view(-1, *[1] * (like.ndim - 1))
