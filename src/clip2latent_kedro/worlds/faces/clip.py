"""The CLIP of the faces: trained on samples of the generator and captions of them."""

import random

import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import uint8_to_image
from clip2latent_kedro.runtime import derive_seed, seeded_weights
from clip2latent_kedro.training import Task, TrainingState
from clip2latent_kedro.worlds.clip_training import (
    ClipTrainingConfig,
    ClipWithHead,
    PairBatch,
    PairSource,
    clip_training_task,
    pack_trained_clip,
)
from clip2latent_kedro.worlds.faces.attributes import ATTRIBUTES
from clip2latent_kedro.worlds.faces.captions import write_captions
from clip2latent_kedro.worlds.faces.phrases import grammar_fragments
from clip2latent_kedro.worlds.faces.readings import ReadFaces

_MOST_SHIFT = 2  # pixels


def clip_task(
    config: ClipTrainingConfig, faces: ReadFaces, *, seed: int, device: str
) -> Task:
    """Return the training of a CLIP on faces and captions.

    Args:
        config: `params:faces.clip`.
        faces: Those that training sees.
        seed: Gives weights, the order of pictures, and captions.
        device: Where to train.

    Raises:
        InputError: If there is no face of which something is certain.
    """
    faces = faces.select((faces.certain >= 0).any(1))
    if not len(faces):
        msg = (
            "The readings of faces must be certain of something in some of them, got "
            "none. Raise faces.readings.num_shards."
        )
        raise InputError(msg)
    architecture = config.architecture(grammar_fragments())
    with seeded_weights(derive_seed(seed, "clip_weights")):
        model = ClipWithHead(architecture.build(), ATTRIBUTES)
    return clip_training_task(
        model,
        config,
        architecture,
        _pairs(config, faces, seed),
        focus={},
        seed=seed,
        device=device,
        lr_setting="faces.clip.lr (clip_held_out.lr where it is that model's)",
    )


def _pairs(config: ClipTrainingConfig, faces: ReadFaces, seed: int) -> PairSource:
    """Return faces, moved by a pixel or two, with captions drawn for each step anew."""

    def draw(step: int, generator: torch.Generator) -> PairBatch:
        chosen = torch.randint(len(faces), (config.batch_size,), generator=generator)
        certain = faces.certain[chosen]
        rng = random.Random(derive_seed(seed, "clip_captions", step))
        captions = write_captions(certain, rng, split="train")
        sides = (-_MOST_SHIFT, _MOST_SHIFT + 1)
        down, right = torch.randint(*sides, (2,), generator=generator).tolist()
        return PairBatch(
            texts=[caption.text for caption in captions],
            visible=certain,
            stated=torch.tensor([caption.labels for caption in captions]),
            draw=lambda rows: move(
                uint8_to_image(faces.images[chosen[rows]]), down, right
            ),
        )

    return draw


def move(image: Tensor, down: int, right: int) -> Tensor:
    """Return images moved by some pixels; what comes in repeats their edges.

    Args:
        image: [n, 3, h, w].
        down: Pixels, negative for up.
        right: Pixels, negative for left.
    """
    height, width = image.shape[2:]
    rows = (torch.arange(height) - down).clamp(0, height - 1)
    columns = (torch.arange(width) - right).clamp(0, width - 1)
    return image[:, :, rows][:, :, :, columns]


def export_clip(
    state: TrainingState, config: ClipTrainingConfig
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return tensors and metadata of the safetensors file that is shipped.

    The averaged weights without the attribute head; `load_compact_clip` reads them.
    """
    return pack_trained_clip(state, config.architecture(grammar_fragments()))
