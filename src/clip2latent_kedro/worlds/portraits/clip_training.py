"""Training of the portraits' CLIP: first on everything, then on what is hard to see."""

import random
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from clip2latent_kedro.encoders.compact_clip import (
    UNKNOWN,
    CompactClipConfig,
    compact_rows,
)
from clip2latent_kedro.encoders.open_clip import preprocess
from clip2latent_kedro.runtime import derive_seed, make_generator, seeded_weights
from clip2latent_kedro.training import Task, TrainingState
from clip2latent_kedro.training.optimizer import split_by_axes
from clip2latent_kedro.worlds.portraits.attributes import labels_of, visible_mask
from clip2latent_kedro.worlds.portraits.captions import sample_split, write_captions
from clip2latent_kedro.worlds.portraits.clip import (
    NOT_STATED,
    ClipBatch,
    ClipFinetuneConfig,
    ClipTrainingConfig,
    ClipWithHead,
)
from clip2latent_kedro.worlds.portraits.renderer import render
from clip2latent_kedro.worlds.portraits.training import regression_task


def clip_task(config: ClipTrainingConfig, *, seed: int, device: str) -> Task:
    """Return the training of the portraits' CLIP on renders and captions.

    Args:
        config: `params:portraits.clip`.
        seed: Gives weights, pictures and captions.
        device: Where to train.
    """
    with seeded_weights(derive_seed(seed, "clip_weights")):
        model = ClipWithHead(config.architecture().build())
    lr = "portraits.clip.lr (clip_held_out.lr where it is that model's)"
    return _task(model, config, {}, seed, device, lr)


def finetune_task(
    finetune: ClipFinetuneConfig,
    trained: TrainingState,
    config: ClipTrainingConfig,
    *,
    seed: int,
    device: str,
) -> Task:
    """Return a training that goes on with weight on what is hard to see.

    Contrast alone passes over a small mouth as long as hats and shirts tell the
    pictures of a batch apart.

    Args:
        finetune: `params:portraits.clip_finetune`.
        trained: The last state of `clip_task`; its averaged weights are the start.
        config: `params:portraits.clip`.
        seed: Gives pictures and captions, others than those of `clip_task`.
        device: Where to train.
    """
    model = ClipWithHead(config.architecture().build())
    model.load_state_dict(trained.ema)
    again = replace(
        config,
        steps=finetune.steps,
        lr=finetune.lr,
        attribute_weight=finetune.attribute_weight,
        save_every=finetune.save_every,
    )
    seed = derive_seed(seed, "finetune")
    lr = "portraits.clip_finetune.lr"
    return _task(model, again, finetune.focus, seed, device, lr)


def _task(
    model: ClipWithHead,
    config: ClipTrainingConfig,
    focus: Mapping[str, float],
    seed: int,
    device: str,
    lr: str,
) -> Task:
    model.train().to(device)
    batches = _Batches(config, config.architecture(), seed, device)
    groups = split_by_axes(model.named_parameters(), weight_decay=config.weight_decay)

    def loss_of(step: int) -> Tensor:
        loss: Tensor = model(batches.draw(step), config.attribute_weight, focus)
        return loss

    return regression_task(
        model,
        [{**group, "lr": config.lr} for group in groups],
        loss_of,
        max_it=config.steps,
        rise=0.03,
        fall=0.97,
        ema_beta=config.ema_beta,
        lr_setting=lr,
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
