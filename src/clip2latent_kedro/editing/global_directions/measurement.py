"""The relevance of each channel of S, once for a generator and an encoder.

StyleCLIP (Patashnik et al. 2021, arXiv 2103.17249, Section 6) moves one channel c of
the styles s of a picture, all else left as it is, to both sides of its mean:

    delta i  = unit(CLIP(G(s | s_c = mean_c + k sigma_c)))
             - unit(CLIP(G(s | s_c = mean_c - k sigma_c)))
    row_c    = unit(mean over pictures of unit(delta i))

As in its code (global_torch/SingleChannel.py), k is 5, and pictures are clipped to what
can be shown before CLIP sees them. A difference of exactly zero counts as zero here,
where the code divides by its length.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from clip2latent_kedro.editing.global_directions.config import RelevanceConfig
from clip2latent_kedro.editing.global_directions.relevance import RelevanceBlock
from clip2latent_kedro.interfaces import Encoder, Generator, StyledGenerator
from clip2latent_kedro.methods.method import UnavailableError
from clip2latent_kedro.pairs.contents import ShardProgress
from clip2latent_kedro.pairs.recipe import keep_progress
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.provenance import describe_provenance
from clip2latent_kedro.runtime import make_generator

_CHUNK = 1024  # samples of w that are drawn together


def require_styles(generator: Generator) -> StyledGenerator:
    """Return the generator if it has a space S.

    Raises:
        UnavailableError: If it has none.
    """
    if not isinstance(generator, StyledGenerator):
        msg = (
            f"Global directions need the space S of a StyleGAN2 or StyleGAN3, got "
            f"{generator.identity}. Edit in w instead."
        )
        raise UnavailableError(msg)
    return generator


def describe_recipe(
    generator: StyledGenerator,
    encoder: Encoder,
    config: RelevanceConfig,
    *,
    seed: int,
    device: str,
) -> dict[str, Any]:
    """Return all that decides the relevance, as plain JSON; under `versions`, the code.

    The size of batches is not in it, which rounds at most.
    """
    settings = asdict(config)
    del settings["batch_size"]
    layers = generator.style_layers
    return {
        **settings,
        "seed": seed,
        "num_channels": sum(layer.num_channels for layer in layers),
        "generator": f"{generator.identity.name}@{generator.identity.digest}",
        "encoder": f"{encoder.identity.name}@{encoder.identity.digest}",
        "embed_preprocess": getattr(encoder, "embed_preprocess", None),
        "versions": describe_provenance(device, __name__, generator, encoder),
    }


def measure_relevance(
    generator: Generator,
    encoder: Encoder,
    config: RelevanceConfig,
    *,
    seed: int,
    device: str,
    progress: ShardProgress,
    resume: bool,
) -> Iterator[RelevanceBlock]:
    """Yield the blocks of channels that are not stored yet, or one empty one.

    Args:
        generator: With a space S.
        encoder: Image -> embedding.
        config: Numbers of pictures, samples and channels.
        seed: Of the run.
        device: Where to compute.
        progress: What is stored already.
        resume: Whether to keep it; otherwise the first block replaces it.

    Raises:
        UnavailableError: If the generator has no space S.
        InputError: If what is stored was made under other settings.
    """
    styled = require_styles(generator)
    recipe = describe_recipe(styled, encoder, config, seed=seed, device=device)
    kept = ShardProgress()
    if resume:
        kept = keep_progress(recipe, progress, entry="channel_relevance")
    total, size = recipe["num_channels"], config.channels_per_block
    starts = dict(enumerate(range(0, total, size)))
    missing = {i: start for i, start in starts.items() if i not in kept.valid_shards}
    if not missing:
        yield RelevanceBlock(0, total, {}, recipe)
        return

    styled.to(device)
    encoder.to(device)
    began = time.perf_counter()
    mean, std = measure_styles(styled, config, seed=seed)
    w = draw_w(styled, config.num_images, psi=config.psi, seed=seed, purpose="images")
    with torch.inference_mode():
        styles = styled.styles(w)
    is_moved = find_moved(styled, include_colours=config.include_colours).to(device)

    num_channels = sum(min(size, total - start) for start in missing.values())
    with progress_bar("channels", total=num_channels, unit="channels") as advance:
        for index, start in missing.items():
            channels = torch.arange(start, min(start + size, total), device=device)
            moved = channels[is_moved[channels]]
            direction = torch.zeros(len(channels), encoder.embed_dim, device=device)
            agreement = torch.zeros(len(channels), device=device)
            if len(moved):
                rows = moved - start
                direction[rows], agreement[rows] = measure_channels(
                    styled, encoder, styles, moved, mean, std, config
                )
            arrays = {
                "mean": mean[channels],
                "std": std[channels],
                "direction": direction,
                "agreement": agreement,
            }
            stored = {name: array.float().cpu() for name, array in arrays.items()}
            spent = time.perf_counter() - began
            stored["seconds"] = torch.full((len(channels),), spent / len(channels))
            numbers = {name: array.numpy() for name, array in stored.items()}
            fresh = kept.recipe is None and index == 0
            yield RelevanceBlock(index, total, numbers, recipe, fresh)
            advance(len(channels))
            began = time.perf_counter()


def draw_w(
    generator: Generator, num: int, *, psi: float, seed: int, purpose: str
) -> Tensor:
    """Return random w, [num, num_ws, w_dim], where the generator is.

    Args:
        generator: z -> w.
        num: How many.
        psi: Truncation.
        seed: Of the run.
        purpose: What they are for; others are independent.
    """
    device = generator.w_avg.device
    chunks = []
    with torch.inference_mode():
        for first in range(0, num, _CHUNK):
            random = make_generator(seed, "relevance", purpose, first)
            z = torch.randn(_CHUNK, generator.z_dim, generator=random)
            z = z[: num - first].to(device)
            chunks.append(generator.mapping(z, psi=psi))
    return torch.cat(chunks)


def measure_styles(
    generator: StyledGenerator, config: RelevanceConfig, *, seed: int
) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of the channels of S, each [num_channels].

    Args:
        generator: With a space S.
        config: `num_statistics` and `psi`.
        seed: Of the run.
    """
    total = config.num_statistics
    sums: list[Tensor] = []  # of each chunk, in double precision
    squares: list[Tensor] = []
    with torch.inference_mode():
        centre = generator.styles(generator.w_avg.expand(1, generator.num_ws, -1))
        for first in range(0, total, _CHUNK):
            num = min(_CHUNK, total - first)
            purpose = f"statistics:{first}"
            w = draw_w(generator, num, psi=config.psi, seed=seed, purpose=purpose)
            # From near the mean, so that squares of small differences are summed.
            offset = (generator.styles(w) - centre).double()
            sums.append(offset.sum(0))
            squares.append(offset.square().sum(0))
        shift = torch.stack(sums).sum(0) / total
        variance = torch.stack(squares).sum(0) / total - shift.square()
        mean = centre[0].double() + shift
        return mean.float(), variance.clamp_min(0).sqrt().float()


def find_moved(generator: StyledGenerator, *, include_colours: bool) -> Tensor:
    """Return which channels of S are moved, [num_channels] bool.

    Args:
        generator: With a space S.
        include_colours: Whether those of ToRGB are.
    """
    layers = generator.style_layers
    is_moved = [include_colours or layer.kind != "colours" for layer in layers]
    sizes = [layer.num_channels for layer in layers]
    return torch.tensor(is_moved).repeat_interleave(torch.tensor(sizes))


@torch.inference_mode()
def measure_channels(
    generator: StyledGenerator,
    encoder: Encoder,
    styles: Tensor,
    channels: Tensor,
    mean: Tensor,
    std: Tensor,
    config: RelevanceConfig,
) -> tuple[Tensor, Tensor]:
    """Return the rows of some channels, [k, clip_dim], and their agreement, [k].

    Args:
        generator: With a space S.
        encoder: Image -> embedding.
        styles: Of the pictures, [n, num_channels].
        channels: Which to move, one at a time, [k].
        mean: Of all channels, [num_channels].
        std: Likewise.
        config: `num_sigmas` and `batch_size`.
    """
    num, k = len(styles), len(channels)
    # One picture for each channel, side and picture, in this order.
    rows = torch.arange(k * 2 * num, device=styles.device)
    embeddings = []
    for batch in torch.split(rows, config.batch_size):
        channel = channels[batch // (2 * num)]
        side = 2 * (batch // num % 2) - 1
        changed = styles[batch % num]
        value = mean[channel] + side * config.num_sigmas * std[channel]
        changed[torch.arange(len(batch), device=batch.device), channel] = value
        image = generator.synthesis_from_styles(changed).clamp(-1, 1)
        embeddings.append(F.normalize(encoder.encode_image(image).float(), dim=1))
    embedding = torch.cat(embeddings).view(k, 2, num, -1)
    difference = F.normalize(embedding[:, 1] - embedding[:, 0], dim=2)
    row = difference.mean(1)  # [k, clip_dim]
    return F.normalize(row, dim=1), row.norm(dim=1)
