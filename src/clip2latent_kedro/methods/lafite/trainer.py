"""What a training run of LAFITE holds, and its one step."""

import copy

import torch
from torch import Tensor
from torch.nn import functional as F

from clip2latent_kedro.generators.lafite import Lafite
from clip2latent_kedro.interfaces import Encoder
from clip2latent_kedro.methods.lafite.config import LafiteTrainingConfig
from clip2latent_kedro.methods.lafite.discriminator import Discriminator
from clip2latent_kedro.methods.lafite.losses import (
    conditional_logits,
    contrastive_loss,
    gradient_penalty,
)
from clip2latent_kedro.methods.lafite.networks import parameter_groups
from clip2latent_kedro.prior.diffusion import perturb_embedding
from clip2latent_kedro.prior.ema import ema_decay, update_ema
from clip2latent_kedro.prior.optimizer import (
    decayed_lr,
    optimizer_tensors,
    restore_optimizer,
)
from clip2latent_kedro.prior.trainer import copy_to_cpu
from clip2latent_kedro.runtime import make_generator

LOSSES = ("adversarial", "clip", "features", "real", "fake")
_BETA2 = 0.99


class LafiteTrainer:
    """Generator, discriminator, their optimisers and the averaged generator.

    Every random number is a function of the seed and the step.

    Attributes:
        average: The generator with averaged weights.
    """

    def __init__(
        self,
        lafite: Lafite,
        discriminator: Discriminator,
        encoder: Encoder,
        config: LafiteTrainingConfig,
        *,
        seed: int,
        device: str,
        tensors: dict[str, Tensor] | None,
    ) -> None:
        """Move all to the device and take over what `state` returned, if given.

        Args:
            lafite: Draws w - w_avg (see `shift_styles`).
            discriminator: Tells real from drawn.
            encoder: CLIP.
            config: `params:baselines.lafite`.
            seed: Seed of the run.
            device: Where to compute.
            tensors: Of `state`; None to begin.
        """
        self.average = copy.deepcopy(lafite).requires_grad_(False).eval()
        self._networks = {"generator": lafite, "discriminator": discriminator}
        everything = {**self._networks, "ema": self.average}
        for name, network in everything.items():
            if tensors is not None:
                network.load_state_dict(_within(tensors, name))
            network.to(device)
        self._optimizers = {
            "generator": torch.optim.Adam(
                parameter_groups(lafite, config),
                betas=(config.beta1, _BETA2),
                fused=True,
            ),
            "discriminator": torch.optim.Adam(
                list(discriminator.named_parameters()),
                lr=config.lr_discriminator,
                betas=(0.0, _BETA2),
                fused=True,
            ),
        }
        self._rates = {
            name: [group["lr"] for group in optimizer.param_groups]
            for name, optimizer in self._optimizers.items()
        }
        if tensors is not None:
            for name, optimizer in self._optimizers.items():
                restore_optimizer(optimizer, _within(tensors, f"optimizer.{name}"))
        self._lafite = lafite
        self._discriminator = discriminator
        self._encoder = encoder.to(device)
        self._config = config
        self._seed = seed
        self._device = device
        self._sums = torch.zeros(len(LOSSES), device=device)
        self._num_summed = 0

    def step(self, real: Tensor, clip_embedding: Tensor, step: int) -> Tensor:
        """Update both networks; return the generator's loss before, detached.

        Args:
            real: Images, [n, 3, resolution, resolution], on the device.
            clip_embedding: Of them, [n, clip_dim], on the device.
            step: 1 or more.
        """
        config = self._config
        random = make_generator(self._seed, "lafite", step, device=self._device)
        noise = torch.randn(clip_embedding.shape, generator=random, device=self._device)
        text = pseudo_text(clip_embedding, noise, config.noise_share)

        for name in self._optimizers:
            self._decay_rates(name, step)
        is_alone = step <= config.discriminator_first
        loss, fake = self._learn_to_draw(text, random, learns=not is_alone)
        self._learn_to_tell(real, fake, text, step)

        decay = ema_decay(step, beta=config.ema_beta, power=config.ema_power)
        update_ema(self.average, self._lafite, decay)
        return loss

    def take_means(self) -> dict[str, float]:
        """Return the mean of each of `LOSSES` since the last call."""
        means = (self._sums / max(1, self._num_summed)).tolist()
        self._sums.zero_()
        self._num_summed = 0
        return dict(zip(LOSSES, means, strict=True))

    def has_finite_weights(self) -> bool:
        """Whether no weight is infinite or NaN."""
        return all(
            bool(weight.isfinite().all())
            for network in self._networks.values()
            for weight in network.parameters()
        )

    def state(self) -> dict[str, Tensor]:
        """Return everything that is needed to go on, as copies on the CPU."""
        tensors = {
            f"{name}.{key}": value
            for name, network in {**self._networks, "ema": self.average}.items()
            for key, value in network.state_dict().items()
        }
        for name, optimizer in self._optimizers.items():
            slots = optimizer_tensors(optimizer)
            tensors |= {f"optimizer.{name}.{key}": slots[key] for key in slots}
        return copy_to_cpu(tensors)

    def _draw(self, text: Tensor, random: torch.Generator) -> Tensor:
        z = torch.randn(
            (len(text), self._lafite.config.z_dim),
            generator=random,
            device=self._device,
        )
        w = self._lafite.mapping(z) - self._lafite.mapping.w_avg
        return self._lafite.draw(w, text)

    def _judge(self, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of images as those of texts, and the contrast of both."""
        config = self._config
        logits, features = self._discriminator(image)
        logits = conditional_logits(logits, features, text, config.form)
        return logits, self._contrast(features, text)

    def _contrast(self, image: Tensor, text: Tensor) -> Tensor:
        config = self._config
        return contrastive_loss(
            image,
            text,
            temperature=config.temperature,
            lam=config.lam,
            form=config.form,
        )

    def _learn_to_draw(
        self, text: Tensor, random: torch.Generator, *, learns: bool
    ) -> tuple[Tensor, Tensor]:
        """Make a step of the generator, if it learns; return loss and images before."""
        config = self._config
        self._discriminator.requires_grad_(False)
        with torch.set_grad_enabled(learns):
            fake = self._draw(text, random)
            logits, features = self._judge(fake, text)
            adversarial = F.softplus(-logits).mean()
            clip = self._contrast(self._encoder.encode_image(fake), text)
            loss = adversarial + config.itd * features + config.itc * clip
        if learns:
            self._update("generator", loss)
        self._discriminator.requires_grad_(True)
        self._sums[:3] += torch.stack([adversarial, clip, features]).detach()
        self._num_summed += 1
        return loss.detach(), fake.detach()

    def _learn_to_tell(
        self, real: Tensor, fake: Tensor, text: Tensor, step: int
    ) -> None:
        """Make a step of the discriminator."""
        config = self._config
        is_penalised = config.r1_gamma > 0 and step % config.r1_every == 0
        real = real.detach().requires_grad_(is_penalised)
        logits, features = self._judge(real, text)
        of_real = F.softplus(-logits).mean()
        of_fake = F.softplus(self._judge(fake, text)[0]).mean()
        loss = of_real + of_fake + config.itd * features
        if is_penalised:
            weight = config.r1_every * config.r1_gamma / 2
            loss = loss + weight * gradient_penalty(logits, real)
        self._update("discriminator", loss)
        self._sums[3:] += torch.stack([of_real, of_fake]).detach()

    def _decay_rates(self, name: str, step: int) -> None:
        config = self._config
        groups = self._optimizers[name].param_groups
        for group, lr in zip(groups, self._rates[name], strict=True):
            group["lr"] = decayed_lr(lr, config.lr_decay, step, config.max_it)

    def _update(self, name: str, loss: Tensor) -> None:
        optimizer = self._optimizers[name]
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def pseudo_text(clip_embedding: Tensor, noise: Tensor, share: float) -> Tensor:
    """Return what stands for texts of images: h, unit length, [n, clip_dim].

    h = normalise((1 - share) e / |e| + share n / |n|) (Zhou et al. 2021, Equation 1,
    as the published code has it).

    Args:
        clip_embedding: Of the images, e, [n, clip_dim].
        noise: Standard normal, n, [n, clip_dim].
        share: In [0, 1).
    """
    noisy = perturb_embedding(clip_embedding, share / (1 - share), noise)
    return F.normalize(noisy, dim=1)


def _within(tensors: dict[str, Tensor], group: str) -> dict[str, Tensor]:
    prefix = f"{group}."
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
