"""What a training run holds, and its one step."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from clip2latent_kedro.prior.checkpoint import Checkpoint
from clip2latent_kedro.prior.config import TrainConfig
from clip2latent_kedro.prior.diffusion import DiffusionPrior, perturb_embedding
from clip2latent_kedro.prior.ema import ema_decay, update_ema
from clip2latent_kedro.prior.optimizer import (
    build_optimizer,
    decayed_lr,
    optimizer_tensors,
    restore_optimizer,
    restore_scaler,
    scaler_tensors,
    warmup_factor,
)
from clip2latent_kedro.runtime import check_compiler, make_generator

HALF_PRECISIONS = {"bfloat16": torch.bfloat16, "float16": torch.float16}


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
        self.average = copy.deepcopy(prior).requires_grad_(False).eval()
        if start is not None:
            self.prior.network.load_state_dict(start.network)
            self.average.network.load_state_dict(start.ema)
        self.prior.to(device)
        self.average.to(device)
        self._optimizer = build_optimizer(
            prior.network, lr=train.lr, weight_decay=train.weight_decay
        )
        self._device_type = torch.device(device).type
        self._scaler = torch.amp.GradScaler(
            self._device_type, enabled=train.precision == "float16"
        )
        if start is not None:
            restore_optimizer(self._optimizer, start.optimizer)
            restore_scaler(self._scaler, start.optimizer)
        if train.compile:
            check_compiler("train.compile", device)
            prior.network.compile()  # in place: the names of the weights stay
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
        train = self._train
        update = self._num_updates(step - 1) + 1
        lr = decayed_lr(train.lr, train.lr_decay, update, train.max_it)
        for group in self._optimizer.param_groups:
            group["lr"] = lr * warmup_factor(update, train.warmup_it)

        generator = make_generator(self._seed, "step", step, device=self._device)
        keep = torch.rand(len(x0), generator=generator, device=self._device)
        batch = {
            "x0": x0,
            "keep": keep >= self._cond_drop_prob,
            **self.draw(x0, clip_embedding, generator),
        }
        self._optimizer.zero_grad()
        loss = self._backward(batch)
        if train.clip_grad is not None:
            self._scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self.prior.network.parameters(), train.clip_grad)
        self._scaler.step(self._optimizer)
        self._scaler.update()

        is_updated = self._num_updates(step) >= update
        if is_updated and update % train.ema_update_every == 0:
            decay = ema_decay(update, beta=train.ema_beta, power=train.ema_power)
            update_ema(self.average.network, self.prior.network, decay)
        return loss

    def _num_updates(self, step: int) -> int:
        """Return how often the weights have moved in so many steps.

        Half precision skips steps whose gradients overflow; the optimiser counts the
        others.
        """
        if not self._scaler.is_enabled():
            return step
        states = list(self._optimizer.state.values())
        return int(states[0].get("step", 0)) if states else 0

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
            drawn = self.draw(x0_part, embedding_part, generator)
            loss = self.average.loss(x0_part, **drawn, keep=None)
            total += float(loss) * len(x0_part)
        return total / len(x0)

    def has_finite_weights(self) -> bool:
        """Whether no weight is infinite or NaN."""
        weights = self.prior.network.parameters()
        return all(bool(weight.isfinite().all()) for weight in weights)

    def state(self) -> dict[str, dict[str, Tensor]]:
        """Return `network`, `ema` and `optimizer` of a `Checkpoint`, as copies."""
        return {
            "network": copy_to_cpu(self.prior.network.state_dict()),
            "ema": self.averaged_weights(),
            "optimizer": copy_to_cpu(
                {**optimizer_tensors(self._optimizer), **scaler_tensors(self._scaler)}
            ),
        }

    def averaged_weights(self) -> dict[str, Tensor]:
        """Return the state dict of the averaged network, as a copy on the CPU."""
        return copy_to_cpu(self.average.network.state_dict())

    def _backward(self, batch: dict[str, Tensor]) -> Tensor:
        """Add up the gradients of a batch's parts; return its loss, detached."""
        num_rows = len(batch["x0"])
        dtype = HALF_PRECISIONS.get(self._train.precision)
        total = torch.zeros((), device=self._device)
        parts = [tensor.chunk(self._train.accumulate) for tensor in batch.values()]
        for part in zip(*parts, strict=True):
            inputs = dict(zip(batch, part, strict=True))
            share = len(inputs["x0"]) / num_rows
            with torch.autocast(self._device_type, dtype, enabled=dtype is not None):
                loss = self.prior.loss(**inputs) * share
            self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total

    def draw(
        self, x0: Tensor, clip_embedding: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Return what the loss takes: timesteps, noise, and noisy conditions.

        Args:
            x0: Clean latents, [n, num_latents, latent_dim].
            clip_embedding: [n, clip_dim].
            generator: Of all random numbers of the step.
        """
        device, prior = self._device, self.prior

        def normal_like(tensor: Tensor) -> Tensor:
            return torch.randn(tensor.shape, generator=generator, device=device)

        t = torch.randint(
            len(prior.alpha_bar), (len(x0),), generator=generator, device=device
        )
        level = self._embed_noise_scale * torch.ones(len(x0), 1, device=device)
        if "noise_level" in prior.condition_inputs:
            share = torch.rand(len(x0), 1, generator=generator, device=device)
            level = level * share
        noisy = perturb_embedding(clip_embedding, level, normal_like(clip_embedding))
        condition = prior.join_condition(noisy, noise_level=level)
        return {"condition": condition, "t": t, "noise": normal_like(x0)}


def copy_to_cpu(tensors: dict[str, Any]) -> dict[str, Tensor]:
    """Return copies on the CPU."""
    return {
        name: torch.empty_like(tensor, device="cpu").copy_(tensor)
        for name, tensor in tensors.items()
    }
