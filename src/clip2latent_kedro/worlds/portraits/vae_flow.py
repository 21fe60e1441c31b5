"""Fits a flow from N(0, I) to the codes of the portraits' VAE, and exports both.

The flow's velocity v learns by regression (Liu et al. 2023, Eq. 1): for a code x of
unit size, z ~ N(0, I) and t uniform in (0, 1),

    | v((1 - t) z + t x, t) - (x - z) |^2

Codes are drawn from q(w | x), noise included, as the decoder knows them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from clip2latent_kedro.checked import Checked, PositiveFloat, PositiveInt
from clip2latent_kedro.generators.decoders import describe_vae
from clip2latent_kedro.generators.vae import FLOW_PREFIX, LatentFlow
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.runtime import derive_seed, make_generator, seeded_weights
from clip2latent_kedro.training import Task, TrainingState
from clip2latent_kedro.worlds.portraits.attributes import sample_z
from clip2latent_kedro.worlds.portraits.renderer import render
from clip2latent_kedro.worlds.portraits.training import regression_task
from clip2latent_kedro.worlds.portraits.vae import VaeTrainingConfig, averaged_vae

_ENCODED_AT_ONCE = 256


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

    learnt = list(flow.named_parameters())
    return regression_task(
        flow,
        [{"params": learnt, "lr": config.lr, "weight_decay": 0.0}],
        loss_of,
        max_it=config.steps,
        rise=0.02,
        fall=0.8,
        ema_beta=0.998,
        lr_setting="portraits.vae_flow.lr",
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
