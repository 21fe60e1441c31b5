"""The diffusion prior: its objective, and what a sampler calls.

q(x_t | x0) = N(sqrt(alpha_bar_t) x0, (1 - alpha_bar_t) I) (Ho et al. 2020, Eq. 4);
the network predicts x0 (Ramesh et al. 2022, section 2.2), or the noise.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from clip2latent_kedro.checked import Checked, Fraction, PositiveFloat
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.latents import LatentGaussian, LatentStatistics


@dataclass(frozen=True)
class DiffusionConfig(Checked):
    """The diffusion process and its objective (`params:model.diffusion`).

    Attributes:
        cond_drop_prob: Probability that training hides the condition, for guidance.
        image_embed_scale: Factor on the latents x0, after normalisation.
        text_embed_scale: Factor on the condition, before the network.
        beta_schedule: A name of `schedules.SCHEDULES`.
        predict_x_start: Predict x0; otherwise the noise.
    """

    cond_drop_prob: Fraction
    image_embed_scale: PositiveFloat
    text_embed_scale: PositiveFloat
    beta_schedule: Literal["cosine", "linear"]
    predict_x_start: bool


@dataclass(frozen=True)
class EmbeddingStatistics:
    """What the image embeddings of the training pairs have in common.

    Attributes:
        mean: Mean of the unit-length embeddings, [clip_dim].
        norm: Mean length of the embeddings before.
        text_mean: Mean of unit-length embeddings of texts, which need not belong to
            any image, [clip_dim]; None if unknown.
    """

    mean: Tensor
    norm: float
    text_mean: Tensor | None = None


def prior_space(
    statistics: LatentStatistics, *, znorm_latent: bool, image_embed_scale: float
) -> LatentStatistics:
    """Return statistics whose `normalise` takes w to the x0 that the prior models.

    Args:
        statistics: Of the training data, [num_latents, w_dim] each.
        znorm_latent: Normalise each channel; otherwise x0 is w itself.
        image_embed_scale: Factor on x0 after that.
    """
    mean, std = statistics.mean, statistics.std
    if not znorm_latent:
        mean, std = torch.zeros_like(mean), torch.ones_like(std)
    return LatentStatistics(mean, std / image_embed_scale)


def perturb_embedding(
    clip_embedding: Tensor, scale: float | Tensor, noise: Tensor
) -> Tensor:
    """Return embeddings turned at random, of the same norm.

    e' = |e| normalise(e / |e| + scale * n / |n|), whose cosine with e is about
    1 / sqrt(1 + scale^2) in many dimensions (clip2latent, data.py).

    Args:
        clip_embedding: [n, clip_dim].
        scale: Length of the noise against the unit embedding, one for all or [n, 1].
        noise: Gaussian, [n, clip_dim].
    """
    norm = clip_embedding.norm(dim=-1, keepdim=True)
    direction = functional.normalize(clip_embedding, dim=-1)
    turned = direction + scale * functional.normalize(noise, dim=-1)
    noisy: Tensor = norm * functional.normalize(turned, dim=-1)
    return noisy


class DiffusionPrior(nn.Module):
    """p(x0 | clip_embedding): a network, its noise schedule, and its origin.

    Attributes:
        network: Called as `build_network` says.
        alpha_bar: Cumulative signal levels, [T] float64.
        statistics: Between raw w and the prior's x0 (see `prior_space`).
        w_mean: Mean of w over the training data, [num_latents, w_dim]; truncation
            may pull towards it.
        embedding_statistics: Of the training embeddings; None if unknown.
        generator_identity: Whose w these are; None if unknown.
        encoder_identity: Whose embeddings these are; None if unknown.
        gaussian: Shape of the training latents in w; None if unknown.
        condition_inputs: What the network takes beside the embedding, in the order
            of the columns: `noise_level`, `guidance_scale`, both or neither.
        embed_noise_scale: Largest noise on the embeddings in training; 0 if unknown.
        embed_noise_least: Least noise that training has told of; what is said to have
            less is said to have this.
        stored_schedule: alpha_bar and the standard deviation of each single step as
            another program stored them, rounded, [T] each; None if it stored none.
            They serve its own sampler alone (see `samplers.ddpm`).
        guidance_range: Guidance scales that it has learned, [low, high].
        training_seconds: Time that the training took; None if unknown.
    """

    alpha_bar: Tensor

    def __init__(
        self,
        network: nn.Module,
        alpha_bar: Tensor,
        statistics: LatentStatistics,
        embedding_statistics: EmbeddingStatistics | None = None,
        *,
        w_mean: Tensor | None = None,
        predict_x_start: bool = True,
        text_embed_scale: float = 1.0,
        generator_identity: Identity | None = None,
        encoder_identity: Identity | None = None,
        gaussian: LatentGaussian | None = None,
        condition_inputs: tuple[str, ...] = (),
        embed_noise_scale: float = 0.0,
        embed_noise_least: float = 0.0,
    ) -> None:
        """Put the parts together; `w_mean` defaults to the mean of `statistics`."""
        super().__init__()
        self.network = network
        self.register_buffer("alpha_bar", alpha_bar.double(), persistent=False)
        self.statistics = statistics
        self.w_mean = statistics.mean if w_mean is None else w_mean
        self.embedding_statistics = embedding_statistics
        self.predict_x_start = predict_x_start
        self.text_embed_scale = text_embed_scale
        self.generator_identity = generator_identity
        self.encoder_identity = encoder_identity
        self.gaussian = gaussian
        self.condition_inputs = condition_inputs
        self.embed_noise_scale = embed_noise_scale
        self.embed_noise_least = embed_noise_least
        self.stored_schedule: tuple[Tensor, Tensor] | None = None
        self.guidance_range = (0.0, math.inf)
        self.training_seconds: float | None = None

    @property
    def is_distilled(self) -> bool:
        """Whether the guidance scale is an input, and one step enough."""
        return "guidance_scale" in self.condition_inputs

    @property
    def knows_text_mean(self) -> bool:
        """Whether texts can be shifted to where the images' embeddings are."""
        statistics = self.embedding_statistics
        return statistics is not None and statistics.text_mean is not None

    @property
    def latent_shape(self) -> tuple[int, int]:
        """(num_latents, latent_dim) of one x0."""
        num_latents, latent_dim = self.statistics.mean.shape
        return num_latents, latent_dim

    def q_sample(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Return x_t = sqrt(alpha_bar_t) x0 + sqrt(1 - alpha_bar_t) noise.

        Args:
            x0: [n, num_latents, latent_dim].
            t: [n] int64.
            noise: Gaussian, of the shape of x0.
        """
        signal, sigma = self._levels(t, x0)
        return signal * x0 + sigma * noise

    def join_condition(
        self, clip_embedding: Tensor, *, noise_level: float | Tensor = 0.0
    ) -> Tensor:
        """Return conditions as `loss`, `predict_x0` and `denoiser` take them.

        Args:
            clip_embedding: [m, clip_dim].
            noise_level: Scale of the noise on the embedding, one for all or [m, 1];
                read only if the network takes it, and raised to the least of training.

        Returns:
            [m, clip_dim], with the noise level as one more column if it is an input.
        """
        scaled = clip_embedding * self.text_embed_scale
        if "noise_level" not in self.condition_inputs:
            return scaled
        level = torch.as_tensor(noise_level).to(scaled).expand(len(scaled), 1)
        level = level.clamp(min=self.embed_noise_least)
        return torch.cat([scaled, level], dim=1)

    def loss(
        self,
        x0: Tensor,
        condition: Tensor,
        *,
        t: Tensor,
        noise: Tensor,
        keep: Tensor | None,
    ) -> Tensor:
        """Return the mean squared error of the network's prediction, scalar.

        Args:
            x0: Clean latents, [n, num_latents, latent_dim], normalised.
            condition: Of `join_condition`, with its training noise, n rows.
            t: Timesteps, [n] int64.
            noise: Gaussian, of the shape of x0.
            keep: False hides the condition, [n] bool; None keeps all.
        """
        x_t = self.q_sample(x0, t, noise)
        prediction = self.network(x_t, t, condition, keep)
        target = x0 if self.predict_x_start else noise
        error: Tensor = functional.mse_loss(prediction, target)
        return error

    def predict_x0(
        self, x_t: Tensor, t: Tensor, condition: Tensor, keep: Tensor | None = None
    ) -> Tensor:
        """Return the predicted x0, [n, num_latents, latent_dim], without guidance.

        t, condition and keep have m rows, each for n / m latents in a row.
        """
        prediction: Tensor = self.network(x_t, t, condition, keep)
        if self.predict_x_start:
            return prediction
        t = t.repeat_interleave(len(x_t) // len(t))
        signal, sigma = self._levels(t, x_t)
        return (x_t - sigma * prediction) / signal

    def denoiser(
        self,
        condition: Tensor,
        guidance_scale: float | Mapping[int, float] = 1.0,
        *,
        negative: Tensor | None = None,
    ) -> Callable[[Tensor, int], Tensor]:
        """Return (x_t, t) -> x0 with classifier-free guidance (Ho and Salimans 2022).

        x0 = u + (c - u) * guidance_scale, where u lacks the condition. Both come
        from one pass over a batch of 2n; at scale 1 (none) and 0 one branch is
        enough. Nothing is clamped. A network that takes the scale as an input, a
        distilled one, always does with one branch.

        Args:
            condition: Of `join_condition`, m rows. x_t has n of them, a multiple:
                each condition holds for n / m latents in a row.
            guidance_scale: 0 or more, one for all steps or one for each timestep.
            negative: What u has in place of no condition, m rows.

        Raises:
            InputError: If there is a negative condition and a distilled network.
        """
        num, device = len(condition), condition.device
        if self.is_distilled and negative is not None:
            msg = (
                "A negative condition needs a prior that is guided while it samples, "
                "got a distilled one. Use the prior that it was distilled from."
            )
            raise InputError(msg)
        other = condition if negative is None else negative
        twice = torch.cat([condition, other])
        keep_first = torch.arange(2 * num, device=device) < num
        if negative is not None:
            keep_first = torch.ones_like(keep_first)

        def denoise(x_t: Tensor, t: int) -> Tensor:
            scale = guidance_scale
            if isinstance(scale, Mapping):
                scale = scale[t]
            steps = torch.full((num,), t, device=x_t.device)
            if self.is_distilled:
                column = condition.new_full((num, 1), scale)
                guided = torch.cat([condition, column], dim=1)
                return self.predict_x0(x_t, steps, guided)
            if scale in (0, 1):
                half = slice(0, num) if scale == 1 else slice(num, 2 * num)
                return self.predict_x0(x_t, steps, twice[half], keep_first[half])
            both = self.predict_x0(
                torch.cat([x_t, x_t]), steps.repeat(2), twice, keep_first
            )
            conditional, unconditional = both.chunk(2)
            return unconditional + (conditional - unconditional) * scale

        return denoise

    def _levels(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return sqrt(alpha_bar_t) and sqrt(1 - alpha_bar_t), [n, 1, 1]."""
        alpha_bar = self.alpha_bar[t][:, None, None]
        return alpha_bar.sqrt().to(like), (1 - alpha_bar).sqrt().to(like)


def check_identity(
    prior: DiffusionPrior,
    generator_identity: Identity | None = None,
    encoder_identity: Identity | None = None,
) -> None:
    """Check that a prior is used with the models that it was trained on.

    Identities that are None, on either side, are not compared.

    Raises:
        InputError: If the generator or the encoder is another one.
    """
    pairs = {
        "generator": (prior.generator_identity, generator_identity),
        "encoder": (prior.encoder_identity, encoder_identity),
    }
    for role, (trained, given) in pairs.items():
        if trained is None or given is None or trained.digest == given.digest:
            continue
        msg = (
            f"The prior was trained for the {role} {trained}, got the {role} {given}. "
            f"Put {trained} in the catalog, or train a prior for {given}."
        )
        raise InputError(msg)
