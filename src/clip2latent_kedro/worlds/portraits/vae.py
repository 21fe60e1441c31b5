"""A variational autoencoder of portraits: another generator for the method to join.

It learns from renders alone, without labels and without z. The loss is

    image_loss(decoder(w), x) + beta * KL(q(w | x) || N(0, I)),   w ~ q(w | x)

(Kingma and Welling 2014). beta is small: pictures are sharp, and codes far from normal,
for which a flow from N(0, I) makes up that is fitted to them afterwards.

The flow's velocity v learns by regression (Liu et al. 2023, Eq. 1): for a code x of
unit size, z ~ N(0, I) and t uniform in (0, 1),

    | v((1 - t) z + t x, t) - (x - z) |^2

Codes are drawn from q(w | x), noise included, as the decoder knows them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import torch
from annotated_types import Ge, MultipleOf
from torch import Tensor, nn
from torch.nn import functional as F

from clip2latent_kedro.checked import (
    Checked,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Rule,
)
from clip2latent_kedro.generators.decoders import describe_vae
from clip2latent_kedro.generators.vae import (
    FLOW_PREFIX,
    NUM_GROUPS,
    LatentFlow,
    VaeConfig,
    VaeDecoder,
)
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.runtime import derive_seed, make_generator, seeded_weights
from clip2latent_kedro.training import Task, TrainingState
from clip2latent_kedro.worlds.portraits.attributes import sample_z
from clip2latent_kedro.worlds.portraits.generator import face_weight, image_loss
from clip2latent_kedro.worlds.portraits.renderer import render
from clip2latent_kedro.worlds.training import regression_task

_THUMBNAIL = 4  # pixels of a picture to one of its thumbnail
_NUM_MEASURED = 1024  # renders that the thumbnails' axes are measured on
_LEAST_LOG_VARIANCE, _MOST_LOG_VARIANCE = -12.0, 4.0
_FIRST_LOG_VARIANCE = -4.0
_ENCODED_AT_ONCE = 256
_FIRST_SHARE = 0.3  # of the convolutions in a code, before training


@dataclass(frozen=True)
class VaeTrainingConfig(Checked):
    """Size and training of the VAE.

    Attributes:
        latent_dim: Channels of w.
        channels: Of the decoder's feature maps from 4 pixels on, see `VaeConfig`; the
            encoder has the same in the other order.
        beta: Weight of the divergence from N(0, I) beside the mean loss of a pixel.
        steps: Training steps.
        batch_size: Renders a step.
        lr: Peak learning rate of AdamW.
        save_every: Steps between two saved states.
    """

    latent_dim: PositiveInt
    channels: list[Annotated[int, Ge(1), MultipleOf(NUM_GROUPS)]]
    beta: NonNegativeFloat
    steps: PositiveInt
    batch_size: PositiveInt
    lr: PositiveFloat
    save_every: PositiveInt

    def rules(self) -> Iterator[Rule]:
        """Yield that a thumbnail has as many axes as w has channels."""
        most = min(3 * (self.resolution // _THUMBNAIL) ** 2, _NUM_MEASURED)
        expected = f"at most {most} at {self.resolution} pixels"
        yield self.latent_dim <= most, "latent_dim", expected

    @property
    def resolution(self) -> int:
        """Pixels a side of the pictures."""
        return self.decoder().resolution

    def decoder(self, flow_width: int = 0, flow_depth: int = 0) -> VaeConfig:
        """Return the decoder's sizes, with those of a flow if there is one."""
        return VaeConfig(self.latent_dim, tuple(self.channels), flow_width, flow_depth)


@dataclass(frozen=True)
class FlowTrainingConfig(Checked):
    """Size and training of the flow.

    Attributes:
        width: Channels of its layers.
        depth: Number of its layers.
        num_codes: Renders whose codes it is fitted to.
        steps: Training steps.
        batch_size: Codes a step.
        lr: Peak learning rate of AdamW.
        save_every: Steps between two saved states.
    """

    width: PositiveInt
    depth: PositiveInt
    num_codes: PositiveInt
    steps: PositiveInt
    batch_size: PositiveInt
    lr: PositiveFloat
    save_every: PositiveInt


class VaeEncoder(nn.Module):
    """Picture -> mean and log variance of its code.

    The mean is the thumbnail's coordinates along its principal axes, with more weight
    on the face, and what convolutions add to them. The axes are not trained, so that a
    code tells much from the first step on, and does not drift.
    """

    def __init__(self, config: VaeTrainingConfig) -> None:
        """Build with random weights; the thumbnail's are set by `write_thumbnail`."""
        super().__init__()
        widths = [3, *reversed(config.channels)]
        self.convolutions = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(channels_in, channels_out, 4, stride=2, padding=1),
                    nn.GroupNorm(NUM_GROUPS, channels_out),
                    nn.SiLU(),
                )
                for channels_in, channels_out in pairwise(widths)
            )
        )
        self.output = nn.Linear(16 * widths[-1], 2 * config.latent_dim)
        num_pixels = 3 * (config.resolution // _THUMBNAIL) ** 2
        self.thumbnail = nn.Linear(num_pixels, config.latent_dim)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance, [n, latent_dim] each, of [n, 3, h, w]."""
        features = self.convolutions(image).flatten(1)
        fine, log_variance = self.output(features).chunk(2, dim=1)
        mean = self.thumbnail(_thumbnails(image)) + fine
        return mean, log_variance.clamp(_LEAST_LOG_VARIANCE, _MOST_LOG_VARIANCE)

    @torch.no_grad()
    def write_thumbnail(self, image: Tensor) -> None:
        """Set the weights that the class describes, from pictures [n, 3, h, w]."""
        pixels = _thumbnails(image)
        mean = pixels.mean(dim=0)
        _, length, axes = torch.linalg.svd(pixels - mean, full_matrices=False)
        latent_dim = self.thumbnail.out_features
        axes = axes[:latent_dim] / (length[:latent_dim, None] / len(image) ** 0.5)
        self.thumbnail.weight.copy_(axes)
        self.thumbnail.bias.copy_(-axes @ mean)
        self.thumbnail.requires_grad_(False)
        self.output.weight[:latent_dim] *= _FIRST_SHARE
        self.output.weight[latent_dim:] = 0
        self.output.bias[latent_dim:] = _FIRST_LOG_VARIANCE


class Vae(nn.Module):
    """Encoder and decoder, as they are trained together."""

    def __init__(self, config: VaeTrainingConfig) -> None:
        """Build with random weights."""
        super().__init__()
        self.encoder = VaeEncoder(config)
        self.decoder = VaeDecoder(config.decoder())

    def forward(self, image: Tensor, noise: Tensor, beta: float) -> Tensor:
        """Return the loss.

        Args:
            image: [n, 3, h, w] in [-1, 1].
            noise: Standard normal, [n, latent_dim].
            beta: Weight of the divergence.
        """
        mean, log_variance = self.encoder(image)
        drawn = self.decoder(mean + noise * (log_variance / 2).exp())
        divergence = mean.square() + log_variance.exp() - 1 - log_variance
        loss: Tensor = beta * divergence.sum(dim=1).mean() / 2
        return loss + image_loss(drawn, image)


def vae_task(config: VaeTrainingConfig, *, seed: int, device: str) -> Task:
    """Return the training of the VAE on renders.

    Args:
        config: `params:portraits.vae`.
        seed: Gives weights, pictures and noise.
        device: Where to train.
    """
    with seeded_weights(derive_seed(seed, "vae_weights")):
        model = Vae(config)
    z = sample_z(_NUM_MEASURED, make_generator(seed, "vae_thumbnails"))
    model.encoder.write_thumbnail(render(z, resolution=config.resolution))
    model.to(device)

    def loss_of(step: int) -> Tensor:
        random = make_generator(seed, "vae", step)
        z = sample_z(config.batch_size, random).to(device)
        noise = torch.randn(config.batch_size, config.latent_dim, generator=random)
        image = render(z, resolution=config.resolution)
        loss: Tensor = model(image, noise.to(device), config.beta)
        return loss

    lr = "portraits.vae.lr"
    return regression_task(
        model, config, loss_of, rise=0.02, fall=0.8, ema_beta=0.995, lr_setting=lr
    )


def averaged_vae(state: TrainingState, config: VaeTrainingConfig) -> Vae:
    """Return the averaged weights, frozen."""
    model = Vae(config)
    model.load_state_dict(state.ema)
    return model.eval().requires_grad_(False)


def flow_task(
    config: FlowTrainingConfig,
    trained: TrainingState,
    architecture: VaeTrainingConfig,
    *,
    seed: int,
    device: str,
) -> Task:
    """Return the training of the flow on a VAE's codes.

    Args:
        config: `params:portraits.vae_flow`.
        trained: The last state of the VAE.
        architecture: `params:portraits.vae`.
        seed: Gives weights, pictures and noise.
        device: Where to train.
    """
    mean, log_variance = encode_renders(
        trained, architecture, config.num_codes, seed, device
    )
    with seeded_weights(derive_seed(seed, "flow_weights")):
        flow = LatentFlow(architecture.latent_dim, config.width, config.depth)
    spread = mean.var(dim=0) + log_variance.exp().mean(dim=0)
    flow.mean.copy_(mean.mean(dim=0))
    flow.std.copy_(spread.sqrt())
    mean = (mean - flow.mean) / flow.std
    std = (log_variance / 2).exp() / flow.std
    flow, mean, std = flow.to(device), mean.to(device), std.to(device)

    def loss_of(step: int) -> Tensor:
        random = make_generator(seed, "flow", step)
        rows = torch.randint(len(mean), (config.batch_size,), generator=random)
        shape = (2, config.batch_size, architecture.latent_dim)
        noise, z = torch.randn(shape, generator=random).to(device)
        t = torch.rand(config.batch_size, generator=random).to(device)
        rows = rows.to(device)
        x = mean[rows] + std[rows] * noise
        velocity = flow(torch.lerp(z, x, t[:, None]), t)
        loss: Tensor = (velocity - (x - z)).square().mean()
        return loss

    lr = "portraits.vae_flow.lr"
    return regression_task(
        flow, config, loss_of, rise=0.02, fall=0.8, ema_beta=0.998, lr_setting=lr
    )


@torch.inference_mode()
def encode_renders(
    trained: TrainingState,
    architecture: VaeTrainingConfig,
    num: int,
    seed: int,
    device: str,
) -> tuple[Tensor, Tensor]:
    """Return mean and log variance of codes, [num, latent_dim] each.

    Args:
        trained: The last state of the VAE.
        architecture: `params:portraits.vae`.
        num: How many renders.
        seed: Gives the renders.
        device: Where to encode.
    """
    encoder = averaged_vae(trained, architecture).encoder.to(device)
    z = sample_z(num, make_generator(seed, "vae_codes"))
    means, log_variances = [], []
    with progress_bar("vae, codes", total=num) as advance:
        for rows in torch.split(z, _ENCODED_AT_ONCE):
            image = render(rows.to(device), resolution=architecture.resolution)
            mean, log_variance = encoder(image)
            means.append(mean.cpu())
            log_variances.append(log_variance.cpu())
            advance(len(rows))
    return torch.cat(means), torch.cat(log_variances)


def export_vae(
    vae: TrainingState,
    flow: TrainingState,
    architecture: VaeTrainingConfig,
    config: FlowTrainingConfig,
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return averaged weights of decoder and flow, and metadata, as `load_vae` reads.

    In half precision; the encoder stays behind.
    """
    decoder = averaged_vae(vae, architecture).decoder.state_dict()
    flowing = {FLOW_PREFIX + name: value for name, value in flow.ema.items()}
    weights = {name: value.half() for name, value in {**decoder, **flowing}.items()}
    described = describe_vae(architecture.decoder(config.width, config.depth))
    return weights, {"config": described}


def _thumbnails(image: Tensor) -> Tensor:
    """Return weighted local means of pictures, [n, 3 * (h / 4) * (w / 4)]."""
    local = F.avg_pool2d(image, _THUMBNAIL)
    return (local * face_weight(local)).flatten(1)
