"""LAFITE's training: a StyleGAN2 and pairs in, states out."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.lafite import Lafite
from clip2latent_kedro.generators.safetensors_files import lafite_weights
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.latents import LatentStatistics, repeat_latents
from clip2latent_kedro.methods.checks import check_models
from clip2latent_kedro.methods.lafite.config import LafiteTrainingConfig
from clip2latent_kedro.methods.lafite.discriminator import Discriminator
from clip2latent_kedro.methods.lafite.losses import (
    conditional_logits,
    contrastive_loss,
    gradient_penalty,
)
from clip2latent_kedro.methods.lafite.networks import (
    build_networks,
    parameter_groups,
    shift_styles,
)
from clip2latent_kedro.pairs import TrainingPairs
from clip2latent_kedro.pairs.batches import PairBatches
from clip2latent_kedro.prior.diffusion import perturb_embedding
from clip2latent_kedro.provenance import describe_provenance
from clip2latent_kedro.runtime import make_generator
from clip2latent_kedro.training import (
    Objective,
    Run,
    Task,
    TrainingState,
    averaged_copy,
    fit,
)
from clip2latent_kedro.training.rates import decayed_lr, ema_decay

LOSSES = ("adversarial", "clip", "features", "real", "fake")
_BETA2 = 0.99
_NUM_Z_FOR_W_AVG = 10_000


def train_lafite(
    generator: Generator,
    encoder: Encoder,
    pairs: TrainingPairs,
    config: LafiteTrainingConfig,
    *,
    seed: int,
    device: str,
    start: TrainingState | InputError | None = None,
) -> Iterator[TrainingState]:
    """Yield the state every `save_it` steps, and at the end (see `fit`).

    The real images are those of the pairs, drawn again from their w. Of the original's
    training, path length regularisation, the mixing of two z and new noise in each
    image are left out, and the discriminator learns from the images that the generator
    has just learnt from. The history holds the means of `LOSSES` since the row before,
    those of the contrasts not weighted.

    Args:
        generator: The domain's StyleGAN2, where training begins.
        encoder: CLIP; gradients flow through it to the images.
        pairs: Made by both.
        config: `params:baselines.lafite`.
        seed: Seed of the run.
        device: Where to compute.
        start: Where to go on from.

    Raises:
        InputError: If `start` is unfinished and of other settings, if the pairs are of
            other models, if the generator is no StyleGAN2, or if a loss is not finite.
    """
    check_models(generator, encoder, pairs)

    def prepare() -> Task:
        lafite, discriminator = build_networks(generator, encoder, config, seed=seed)
        shift_styles(lafite, lafite.mapping.w_avg)
        generator.to(device)
        batches = PairBatches(
            pairs,
            LatentStatistics(torch.zeros(1), torch.ones(1)),  # w as it is
            num_pairs=len(pairs),
            batch_size=config.bs,
            buffer_pairs=len(pairs),
            seed=seed,
            device=device,
        )

        def batch(step: int) -> dict[str, Batch]:
            w, clip_embedding = batches(step)
            w = repeat_latents(w, pairs.recipe["latent_repeats"])
            with torch.no_grad():
                real = generator.synthesis(w, noise_mode="const")
            random = make_generator(seed, "lafite", step, device=device)
            noise = torch.randn(clip_embedding.shape, generator=random, device=device)
            text = pseudo_text(clip_embedding, noise, config.noise_share)
            z = torch.randn(
                (len(text), lafite.config.z_dim), generator=random, device=device
            )
            return {"batch": Batch(step, real, text, z)}

        networks = nn.ModuleDict({"generator": lafite, "discriminator": discriminator})
        networks.to(device)
        losses = Losses(lafite, discriminator, encoder.to(device), config)
        generates = torch.optim.Adam(
            parameter_groups(lafite, config), betas=(config.beta1, _BETA2), fused=True
        )
        discriminates = torch.optim.Adam(
            [(f"discriminator.{n}", p) for n, p in discriminator.named_parameters()],
            lr=config.lr_discriminator,
            betas=(0.0, _BETA2),
            fused=True,
        )
        return Task(
            network=networks,
            average=averaged_copy(lafite),
            source=lafite,
            objectives=[
                Objective(generates, losses.of_generator),
                Objective(discriminates, losses.of_discriminator),
            ],
            batch=batch,
            learning_rate=partial(
                decayed_lr, decay=config.lr_decay, max_it=config.max_it
            ),
            ema_decay=partial(ema_decay, beta=config.ema_beta, power=config.ema_power),
            lr_setting=f"baselines.lafite.lr = {config.lr}",
            measure=lambda step, is_validated: losses.take_means(),
        )

    run = Run(
        entry="lafite_state",
        group="lafite",
        settings={"lafite": asdict(config), "seed": seed, "pairs": pairs.settings},
        making={
            **describe_provenance(device, __name__, generator, encoder),
            "pairs": pairs.made_by,
        },
        max_it=config.max_it,
        save_it=config.save_it,
    )
    yield from fit(prepare, run, start)


class Batch(NamedTuple):
    """What a step learns from.

    Attributes:
        step: 1 or more.
        real: Images, [n, 3, resolution, resolution].
        text: What stands for texts of them, [n, text_dim].
        z: Of the images to draw, [n, z_dim].
    """

    step: int
    real: Tensor
    text: Tensor
    z: Tensor


class Losses:
    """The losses of generator and discriminator, and their means for the history."""

    def __init__(
        self,
        lafite: Lafite,
        discriminator: Discriminator,
        encoder: Encoder,
        config: LafiteTrainingConfig,
    ) -> None:
        """Keep the networks, on their device.

        Args:
            lafite: Draws w - w_avg (see `shift_styles`).
            discriminator: Tells real from drawn.
            encoder: CLIP.
            config: `params:baselines.lafite`.
        """
        self._lafite = lafite
        self._discriminator = discriminator
        self._encoder = encoder
        self._config = config
        self._fake = torch.zeros(0)  # what the generator has just learnt from
        self._sums = torch.zeros(len(LOSSES), device=lafite.mapping.w_avg.device)
        self._num_summed = 0

    def of_generator(self, batch: Batch) -> Tensor:
        """Return the loss of what it draws; in the first steps it does not learn."""
        config, text = self._config, batch.text
        self._discriminator.requires_grad_(False)
        with torch.set_grad_enabled(batch.step > config.discriminator_first):
            w = self._lafite.mapping(batch.z) - self._lafite.mapping.w_avg
            fake = self._lafite.synthesise(w, text)
            logits, features = self._judge(fake, text)
            adversarial = F.softplus(-logits).mean()
            clip = self._contrast(self._encoder.encode_image(fake), text)
            loss = adversarial + config.itd * features + config.itc * clip
        self._fake = fake.detach()
        self._sums[:3] += torch.stack([adversarial, clip, features]).detach()
        self._num_summed += 1
        return loss

    def of_discriminator(self, batch: Batch) -> Tensor:
        """Return the loss of telling real images from what was just drawn."""
        config, text = self._config, batch.text
        self._discriminator.requires_grad_(True)
        is_penalised = config.r1_gamma > 0 and batch.step % config.r1_every == 0
        real = batch.real.detach().requires_grad_(is_penalised)
        logits, features = self._judge(real, text)
        of_real = F.softplus(-logits).mean()
        of_fake = F.softplus(self._judge(self._fake, text)[0]).mean()
        loss = of_real + of_fake + config.itd * features
        if is_penalised:
            weight = config.r1_every * config.r1_gamma / 2
            loss = loss + weight * gradient_penalty(logits, real)
        self._sums[3:] += torch.stack([of_real, of_fake]).detach()
        return loss

    def take_means(self) -> Mapping[str, float]:
        """Return the mean of each of `LOSSES` since the last call."""
        means = (self._sums / max(1, self._num_summed)).tolist()
        self._sums.zero_()
        self._num_summed = 0
        return dict(zip(LOSSES, means, strict=True))

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


def pseudo_text(clip_embedding: Tensor, noise: Tensor, fraction: float) -> Tensor:
    """Return what stands for texts of images: h, unit length, [n, clip_dim].

    h = normalise((1 - share) e / |e| + share n / |n|) (Zhou et al. 2021, Equation 1,
    as the published code has it).

    Args:
        clip_embedding: Of the images, e, [n, clip_dim].
        noise: Standard normal, n, [n, clip_dim].
        fraction: In [0, 1).
    """
    noisy = perturb_embedding(clip_embedding, fraction / (1 - fraction), noise)
    return F.normalize(noisy, dim=1)


def export_lafite(
    state: TrainingState,
    generator: Generator,
    encoder: Encoder,
    config: LafiteTrainingConfig,
    *,
    seed: int,
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the averaged generator as `load_lafite` reads it, with its mean of w.

    Args:
        state: A state that `train_lafite` has yielded.
        generator: The one that the training started from.
        encoder: The one whose embeddings the networks take.
        config: The settings of the training.
        seed: Decides the z that the mean of w is taken over.
    """
    lafite = averaged_lafite(state, generator, encoder, config)
    z = torch.randn(
        (_NUM_Z_FOR_W_AVG, lafite.config.z_dim),
        generator=make_generator(seed, "lafite_w_avg"),
    )
    with torch.no_grad():
        lafite.mapping.w_avg.copy_(lafite.mapping(z)[:, 0].mean(dim=0))
    lafite.config = replace(lafite.config, training_images=state.step * config.bs)
    return lafite_weights(lafite)


def averaged_lafite(
    state: TrainingState,
    generator: Generator,
    encoder: Encoder,
    config: LafiteTrainingConfig,
) -> Lafite:
    """Return the averaged generator of a state that `train_lafite` yields, frozen."""
    lafite, _ = build_networks(generator, encoder, config, seed=0)
    lafite.load_state_dict(state.ema)
    shift_styles(lafite, -lafite.mapping.w_avg)
    return lafite.eval().requires_grad_(False)
