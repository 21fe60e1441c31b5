"""The portraits' own CLIP: a small open_clip model trained on renders and captions.

The model is trained first on everything, then on what is hard to see.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from clip2latent_kedro.checked import (
    Checked,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Rule,
)
from clip2latent_kedro.encoders.compact_clip import CompactClipConfig
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
from clip2latent_kedro.worlds.portraits.attributes import (
    ATTRIBUTES,
    labels_of,
    visible_mask,
)
from clip2latent_kedro.worlds.portraits.captions import sample_split, write_captions
from clip2latent_kedro.worlds.portraits.phrases import grammar_fragments
from clip2latent_kedro.worlds.portraits.renderer import render


@dataclass(frozen=True)
class ClipFinetuneConfig(Checked):
    """A second training that looks closer (see `finetune_task`).

    Attributes:
        steps: Training steps.
        lr: Peak learning rate of AdamW.
        attribute_weight: Of the attribute heads' loss beside the contrastive one.
        focus: Weight of the named attributes in the heads' loss; 1 for the others.
        save_every: Steps between two saved states.
    """

    steps: PositiveInt
    lr: PositiveFloat
    attribute_weight: NonNegativeFloat
    focus: dict[str, NonNegativeFloat]
    save_every: PositiveInt

    def rules(self) -> Iterator[Rule]:
        """Yield that attributes are named."""
        names = f"numbers by attribute, of {', '.join(ATTRIBUTES)}"
        yield self.focus.keys() <= set(ATTRIBUTES), "focus", names


def clip_task(config: ClipTrainingConfig, *, seed: int, device: str) -> Task:
    """Return the training of the portraits' CLIP on renders and captions.

    Args:
        config: `params:portraits.clip`.
        seed: Gives weights, pictures and captions.
        device: Where to train.
    """
    with seeded_weights(derive_seed(seed, "clip_weights")):
        model = _build(config)
    lr = "portraits.clip.lr (clip_held_out.lr where it is that model's)"
    return _task(model, config, {}, seed, device, lr)


def finetune_task(
    config: ClipFinetuneConfig,
    trained: TrainingState,
    architecture: ClipTrainingConfig,
    *,
    seed: int,
    device: str,
) -> Task:
    """Return a training that goes on with weight on what is hard to see.

    Contrast alone passes over a small mouth as long as hats and shirts tell the
    pictures of a batch apart.

    Args:
        config: `params:portraits.clip_finetune`.
        trained: The last state of `clip_task`; its averaged weights are the start.
        architecture: `params:portraits.clip`.
        seed: Gives pictures and captions, others than those of `clip_task`.
        device: Where to train.
    """
    model = _build(architecture)
    model.load_state_dict(trained.ema)
    closer = asdict(config)
    focus = closer.pop("focus")
    seed = derive_seed(seed, "finetune")
    lr = "portraits.clip_finetune.lr"
    return _task(model, replace(architecture, **closer), focus, seed, device, lr)


def _build(config: ClipTrainingConfig) -> ClipWithHead:
    return ClipWithHead(_architecture(config).build(), ATTRIBUTES)


def _architecture(config: ClipTrainingConfig) -> CompactClipConfig:
    return config.architecture(grammar_fragments())


def _task(
    model: ClipWithHead,
    config: ClipTrainingConfig,
    focus: Mapping[str, float],
    seed: int,
    device: str,
    lr: str,
) -> Task:
    return clip_training_task(
        model,
        config,
        _architecture(config),
        _pairs(config, seed, device),
        focus=focus,
        seed=seed,
        device=device,
        lr_setting=lr,
    )


def _pairs(config: ClipTrainingConfig, seed: int, device: str) -> PairSource:
    """Return renders with captions, drawn for each step anew."""

    def draw(step: int, generator: torch.Generator) -> PairBatch:
        z = sample_split(config.batch_size, generator, split="train")
        labels = labels_of(z)
        rng = random.Random(derive_seed(seed, "clip_captions", step))
        captions = write_captions(labels, rng, split="train")
        return PairBatch(
            texts=[caption.text for caption in captions],
            visible=labels.masked_fill(~visible_mask(labels), -1),
            stated=torch.tensor([caption.labels for caption in captions]),
            draw=lambda rows: render(z[rows].to(device), resolution=config.image_size),
        )

    return draw


def export_clip(
    state: TrainingState, config: ClipTrainingConfig
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return tensors and metadata of the safetensors file that is shipped.

    The averaged weights without the attribute head; `load_compact_clip` reads them.
    """
    return pack_trained_clip(state, _architecture(config))
