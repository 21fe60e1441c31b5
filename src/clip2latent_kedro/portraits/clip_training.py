"""Training of the portraits' CLIP: first on everything, then on what is hard to see."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from clip2latent_kedro.encoders.compact_clip import (
    UNKNOWN,
    CompactClipConfig,
    compact_rows,
)
from clip2latent_kedro.encoders.open_clip import preprocess
from clip2latent_kedro.portraits.attributes import labels_of, visible_mask
from clip2latent_kedro.portraits.captions import sample_split, write_captions
from clip2latent_kedro.portraits.clip import (
    NOT_STATED,
    ClipBatch,
    ClipFinetuneConfig,
    ClipTrainingConfig,
    ClipWithHead,
)
from clip2latent_kedro.portraits.fitting import FitState, Schedule, fit
from clip2latent_kedro.portraits.renderer import render
from clip2latent_kedro.runtime import derive_seed, make_generator, seeded_weights


def train_clip(
    config: ClipTrainingConfig, seed: int, device: str, state: FitState | None = None
) -> Iterator[FitState]:
    """Train the portraits' CLIP on renders and yield its states (see `fit`).

    Args:
        config: `params:portraits.clip`.
        seed: Gives weights, pictures and captions.
        device: Where to train.
        state: Where to go on from.
    """
    with seeded_weights(derive_seed(seed, "clip_weights")):
        model = ClipWithHead(config.architecture().build())
    lr = "portraits.clip.lr (clip_held_out.lr where it is that model's)"
    yield from _fit_clip(model, config, {}, seed, device, state, "clip", lr)


def finetune_clip(
    trained: FitState,
    config: ClipTrainingConfig,
    finetune: ClipFinetuneConfig,
    seed: int,
    device: str,
    state: FitState | None = None,
) -> Iterator[FitState]:
    """Train on with weight on what is hard to see, and yield states.

    Contrast alone passes over a small mouth as long as hats and shirts tell the
    pictures of a batch apart.

    Args:
        trained: The last state of `train_clip`; its averaged weights are the start.
        config: `params:portraits.clip`.
        finetune: `params:portraits.clip_finetune`.
        seed: Gives pictures and captions, others than those of `train_clip`.
        device: Where to train.
        state: Where to go on from.
    """
    model = ClipWithHead(config.architecture().build())
    model.load_state_dict(trained.weights())
    again = replace(
        config,
        steps=finetune.steps,
        lr=finetune.lr,
        attribute_weight=finetune.attribute_weight,
        save_every=finetune.save_every,
    )
    seed = derive_seed(seed, "finetune")
    name, lr = "clip, finetuned", "portraits.clip_finetune.lr"
    yield from _fit_clip(model, again, finetune.focus, seed, device, state, name, lr)


def _fit_clip(
    model: ClipWithHead,
    config: ClipTrainingConfig,
    focus: Mapping[str, float],
    seed: int,
    device: str,
    state: FitState | None,
    description: str,
    lr: str,
) -> Iterator[FitState]:
    model.train().to(device)
    batches = _Batches(config, config.architecture(), seed, device)
    parameters = list(model.parameters())
    groups = [
        {
            "params": [
                weight for weight in parameters if (weight.ndim > 1) == matrices
            ],
            "lr": config.lr,
            "weight_decay": config.weight_decay if matrices else 0.0,
        }
        for matrices in (True, False)
    ]

    def loss_at(step: int) -> Tensor:
        loss: Tensor = model(batches.draw(step), config.attribute_weight, focus)
        return loss

    yield from fit(
        model,
        groups,
        loss_at,
        Schedule(config.steps, warmup=0.03, decay=0.97, ema_beta=config.ema_beta),
        save_every=config.save_every,
        lr=lr,
        state=state,
        description=description,
        betas=(0.9, 0.98),
    )


class _Batches:
    """Training pairs, made as they are needed from (seed, step) alone."""

    def __init__(
        self,
        config: ClipTrainingConfig,
        architecture: CompactClipConfig,
        seed: int,
        device: str,
    ) -> None:
        from open_clip.tokenizer import SimpleTokenizer

        self.config = config
        self.architecture = architecture
        self.seed = seed
        self.device = device
        self.tokenizer = SimpleTokenizer(context_length=config.context_length)
        self.rows = compact_rows(architecture.tokens, self.tokenizer.vocab_size)

    def draw(self, step: int) -> ClipBatch:
        generator = make_generator(self.seed, "clip_batch", step)
        z = sample_split(self.config.batch_size, generator, split="train")
        labels = labels_of(z)
        rng = random.Random(derive_seed(self.seed, "clip_captions", step))
        captions = write_captions(labels, rng, split="train")
        tokens = self.tokenizer([caption.text for caption in captions])
        order = tokens.argmax(1).argsort(stable=True)  # shortest caption first
        stated = torch.tensor([caption.labels for caption in captions])
        image = preprocess(
            render(z[order].to(self.device), resolution=self.config.image_size),
            size=(self.config.image_size, self.config.image_size),
            mean=self.architecture.image_mean,
            std=self.architecture.image_std,
            form="standard",
        )
        visible = labels.masked_fill(~visible_mask(labels), NOT_STATED)
        stated = stated.masked_fill(stated < 0, NOT_STATED)
        return ClipBatch(
            image.contiguous(memory_format=torch.channels_last),
            self._drop_tokens(tokens, generator)[order].to(self.device),
            visible[order].to(self.device),
            stated[order].to(self.device),
        )

    def _drop_tokens(self, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """Return compact rows, [n, context_length], some words made unknown."""
        words = tokens < self.tokenizer.sot_token_id
        dropped = torch.rand(tokens.shape, generator=generator)
        dropped = dropped < self.config.token_dropout
        return self.rows[tokens].masked_fill(words & dropped, UNKNOWN)
