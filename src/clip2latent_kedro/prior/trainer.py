"""What a training run holds, and its one step."""

import copy
from typing import Any

import torch
from torch import Tensor

from clip2latent_kedro.prior.checkpoint import Checkpoint
from clip2latent_kedro.prior.config import TrainConfig
from clip2latent_kedro.prior.diffusion import DiffusionPrior, perturb_embedding
from clip2latent_kedro.prior.ema import ema_decay, update_ema
from clip2latent_kedro.prior.optimizer import (
    build_optimizer,
    decayed_lr,
    optimizer_tensors,
    restore_optimizer,
)
from clip2latent_kedro.runtime import make_generator


class Trainer:
    """A prior, its averaged copy and its optimiser.

    Every random number is a function of the seed and the step.
    """

    def __init__(
        self,
        prior: DiffusionPrior,
        train: TrainConfig,
        *,
        embed_noise_scale: float,
        cond_drop_prob: float,
        seed: int,
        device: str,
        start: Checkpoint | None,
    ) -> None:
        """Move the prior to the device and take over the state of `start`, if any."""
        self.prior = prior
        self.average = copy.deepcopy(prior).requires_grad_(False)
        if start is not None:
            self.prior.network.load_state_dict(start.network)
            self.average.network.load_state_dict(start.ema)
        self.prior.to(device)
        self.average.to(device)
        self._optimizer = build_optimizer(
            prior.network, lr=train.lr, weight_decay=train.weight_decay
        )
        if start is not None:
            restore_optimizer(self._optimizer, start.optimizer)
        self._train = train
        self._embed_noise_scale = embed_noise_scale
        self._cond_drop_prob = cond_drop_prob
        self._seed = seed
        self._device = device

    def step(self, x0: Tensor, clip_embedding: Tensor, step: int) -> Tensor:
        """Update weights and average; return the loss before, a detached scalar.

        Args:
            x0: [n, num_latents, latent_dim], on the device.
            clip_embedding: [n, clip_dim], on the device.
            step: 1 or more.
        """
        lr = decayed_lr(self._train.lr, self._train.lr_decay, step, self._train.max_it)
        for group in self._optimizer.param_groups:
            group["lr"] = lr

        generator = make_generator(self._seed, "step", step, device=self._device)
        keep = torch.rand(len(x0), generator=generator, device=self._device)
        loss = self._loss(
            self.prior,
            x0,
            clip_embedding,
            keep=keep >= self._cond_drop_prob,
            generator=generator,
        )
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()

        if step % self._train.ema_update_every == 0:
            decay = ema_decay(
                step, beta=self._train.ema_beta, power=self._train.ema_power
            )
            update_ema(self.average.network, self.prior.network, decay)
        return loss.detach()

    @torch.no_grad()
    def validate(self, x0: Tensor, clip_embedding: Tensor, batch_size: int) -> float:
        """Return the averaged network's mean loss, at the same noise each time.

        Args:
            x0: Pairs that training never sees, [n, num_latents, latent_dim]; NaN is
                returned if there are none.
            clip_embedding: [n, clip_dim]; never hidden.
            batch_size: Pairs at a time.
        """
        if len(x0) == 0:
            return float("nan")
        generator = make_generator(self._seed, "validation", device=self._device)
        total = 0.0
        for first in range(0, len(x0), batch_size):
            rows = slice(first, first + batch_size)
            x0_part = x0[rows].to(self._device)
            embedding_part = clip_embedding[rows].to(self._device)
            loss = self._loss(
                self.average, x0_part, embedding_part, keep=None, generator=generator
            )
            total += float(loss) * len(x0_part)
        return total / len(x0)

    def has_finite_weights(self) -> bool:
        """Whether no weight is infinite or NaN."""
        weights = self.prior.network.parameters()
        return all(bool(weight.isfinite().all()) for weight in weights)

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Return `network`, `ema` and `optimizer` of a `Checkpoint`, as copies."""
        parts: dict[str, dict[str, Any]] = {
            "network": self.prior.network.state_dict(),
            "ema": self.average.network.state_dict(),
            "optimizer": optimizer_tensors(self._optimizer),
        }
        return {
            part: {
                name: torch.empty_like(tensor, device="cpu").copy_(tensor)
                for name, tensor in tensors.items()
            }
            for part, tensors in parts.items()
        }

    def _loss(
        self,
        prior: DiffusionPrior,
        x0: Tensor,
        clip_embedding: Tensor,
        *,
        keep: Tensor | None,
        generator: torch.Generator,
    ) -> Tensor:
        """Return the loss at timesteps, noise and embedding noise drawn here."""
        device = self._device

        def normal_like(tensor: Tensor) -> Tensor:
            return torch.randn(tensor.shape, generator=generator, device=device)

        t = torch.randint(
            len(prior.alpha_bar), (len(x0),), generator=generator, device=device
        )
        noisy_embedding = perturb_embedding(
            clip_embedding, self._embed_noise_scale, normal_like(clip_embedding)
        )
        return prior.loss(x0, noisy_embedding, t=t, noise=normal_like(x0), keep=keep)
