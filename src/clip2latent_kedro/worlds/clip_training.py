"""What the trainings of the worlds' small CLIPs have in common.

Besides the contrastive loss, one linear head reads the attributes from either
embedding: from an image's all that are visible, from a text's those it states. It
speeds learning up several times and is dropped at export. A world brings pictures with
captions (`PairSource`), its attributes, and the words of its captions.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import torch
from annotated_types import Ge, MultipleOf
from torch import Tensor, nn
from torch.nn import functional as F

from clip2latent_kedro.checked import (
    Checked,
    Decay,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    Rule,
)
from clip2latent_kedro.encoders.clip_tokens import ClipTokenizer
from clip2latent_kedro.encoders.compact_clip import (
    UNKNOWN,
    CompactClipConfig,
    compact_rows,
    known_tokens,
    pack_clip,
)
from clip2latent_kedro.encoders.open_clip import preprocess
from clip2latent_kedro.runtime import make_generator
from clip2latent_kedro.training import Task, TrainingState
from clip2latent_kedro.training.optimizer import split_by_axes
from clip2latent_kedro.worlds.training import regression_task

if TYPE_CHECKING:
    from open_clip.model import CLIP

Attributes = Mapping[str, Sequence[str]]

NOT_STATED = -100  # what cross_entropy ignores
# The temperature may not fall under 1 / 100, as in CLIP (Radford et al. 2021).
_MAX_LOGIT_SCALE = math.log(100)
HEAD_WIDTH = 32  # of an attention head of the image tower


@dataclass(frozen=True)
class PairBatch:
    """Captions of a batch, and how to draw its pictures.

    Attributes:
        texts: n captions.
        visible: Labels of the pictures, [n, num_attributes] int64, negative where an
            attribute is hidden or unknown.
        stated: Labels of the captions, the same, negative where nothing is said.
        draw: Row numbers, [n] -> their pictures, [n, 3, h, w] in [-1, 1].
    """

    texts: list[str]
    visible: Tensor
    stated: Tensor
    draw: Callable[[Tensor], Tensor]


PairSource = Callable[[int, torch.Generator], PairBatch]
"""(step, random numbers of the step) -> its batch."""


@dataclass(frozen=True)
class ClipTrainingConfig(Checked):
    """Size and training of a world's CLIP.

    Attributes:
        embed_dim: Size of the joint embedding.
        image_size: Pixels a side that the image tower reads; a multiple of 32.
        vision_layers: Of the image tower: residual blocks of its four stages, or the
            number of layers of a transformer.
        vision_width: First channels of the one, or width of the other.
        vision_patch_size: Pixels a side of a transformer's patches; None for residual
            blocks.
        context_length: Tokens that the text tower reads.
        text_width: Its width.
        text_heads: Its attention heads.
        text_layers: Its layers.
        steps: Training steps.
        batch_size: Pairs a step.
        lr: Peak learning rate of AdamW.
        weight_decay: Weight decay of matrices; vectors have none.
        ema_beta: Decay of the averaged weights that are exported.
        token_dropout: Share of tokens that read as the unknown one.
        attribute_weight: Of the attribute heads' loss beside the contrastive one.
        save_every: Steps between two saved states.
    """

    embed_dim: PositiveInt
    image_size: Annotated[int, Ge(1), MultipleOf(32)]
    vision_layers: list[PositiveInt] | PositiveInt
    vision_width: PositiveInt
    vision_patch_size: PositiveInt | None
    context_length: PositiveInt
    text_width: PositiveInt
    text_heads: PositiveInt
    text_layers: PositiveInt
    steps: PositiveInt
    batch_size: PositiveInt
    lr: PositiveFloat
    weight_decay: NonNegativeFloat
    ema_beta: Decay
    token_dropout: Decay
    attribute_weight: NonNegativeFloat
    save_every: PositiveInt

    def rules(self) -> Iterator[Rule]:
        """Yield what open_clip would fail on later."""
        of_text = f"a multiple of text_heads, {self.text_heads}"
        yield self.text_width % self.text_heads == 0, "text_width", of_text
        layers, patch = self.vision_layers, self.vision_patch_size
        if patch is None:
            is_four = isinstance(layers, list) and len(layers) == 4
            stages = "4 numbers, one a stage, without vision_patch_size"
            yield is_four, "vision_layers", stages
            yield self.vision_width % 2 == 0, "vision_width", "even for residual blocks"
            return
        one = "one number where there is a vision_patch_size"
        yield isinstance(layers, int), "vision_layers", one
        of_image = f"a divisor of image_size, {self.image_size}"
        yield self.image_size % patch == 0, "vision_patch_size", of_image
        heads = f"a multiple of {HEAD_WIDTH} where there is a vision_patch_size"
        yield self.vision_width % HEAD_WIDTH == 0, "vision_width", heads

    def architecture(self, fragments: Iterable[str]) -> CompactClipConfig:
        """Return the model's architecture and tokens, as its file states them.

        Args:
            fragments: Pieces of text that hold every word of the captions.
        """
        from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

        return CompactClipConfig(
            embed_dim=self.embed_dim,
            vision=self._vision(),
            text={
                "context_length": self.context_length,
                "width": self.text_width,
                "heads": self.text_heads,
                "layers": self.text_layers,
            },
            tokens=known_tokens(ClipTokenizer(self.context_length), list(fragments)),
            image_mean=list(OPENAI_DATASET_MEAN),
            image_std=list(OPENAI_DATASET_STD),
        )

    def _vision(self) -> dict[str, Any]:
        """Return the fields of open_clip's `CLIPVisionCfg`."""
        common = {"width": self.vision_width, "image_size": self.image_size}
        if isinstance(self.vision_layers, int):
            patch = {"patch_size": self.vision_patch_size, "head_width": HEAD_WIDTH}
            return {"layers": self.vision_layers, **patch, **common}
        return {"layers": list(self.vision_layers), **common}


class ClipWithHead(nn.Module):
    """CLIP on the compact vocabulary and the attribute head that both towers share."""

    def __init__(self, clip: "CLIP", attributes: Attributes) -> None:
        """Add a head with zero weights.

        Args:
            clip: The model.
            attributes: Values of each attribute, by name.
        """
        super().__init__()
        self.clip = clip
        self.attributes = attributes
        num_values = sum(len(values) for values in attributes.values())
        self.head = nn.Linear(clip.visual.output_dim, num_values)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def encode_tokens(self, tokens: Tensor) -> Tensor:
        """Return text embeddings, [n, embed_dim], of tokens [n, length].

        The same as open_clip's `encode_text` on the whole context, in less time: under
        the causal mask what follows the end of text changes nothing, so each quarter
        of the rows is trimmed to its longest text. Sorted rows gain most.
        """
        return torch.cat([self._encode_trimmed(rows) for rows in tokens.chunk(4)])

    def _encode_trimmed(self, tokens: Tensor) -> Tensor:
        clip = self.clip
        end = tokens.argmax(1)  # [n], the end of text is the largest token
        length = int(end.max()) + 1
        x = (
            clip.token_embedding(tokens[:, :length])
            + clip.positional_embedding[:length]
        )
        x = clip.transformer(x, attn_mask=clip.attn_mask[:length, :length])
        x = clip.ln_final(x)  # [n, length, text_width]
        pooled = x[torch.arange(len(x), device=x.device), end]
        embedding: Tensor = pooled @ clip.text_projection
        return embedding

    def forward(
        self,
        image: Tensor,
        tokens: Tensor,
        visible: Tensor,
        stated: Tensor,
        attribute_weight: float,
        focus: Mapping[str, float],
    ) -> Tensor:
        """Return the loss of a batch, a scalar (see `ClipTrainingConfig`).

        Args:
            image: [n, 3, h, w], preprocessed.
            tokens: Rows of the compact embedding, [n, context_length] int64, the
                shortest caption first; the end of text is the largest.
            visible: Labels of the image, [n, num_attributes], -100 where hidden.
            stated: Labels of the caption, the same, -100 where not stated.
            attribute_weight: Of the attributes' loss beside the contrastive one.
            focus: See `attribute_loss`.
        """
        image_embedding = self.clip.encode_image(image)
        text_embedding = self.encode_tokens(tokens)
        scale = self.clip.logit_scale.clamp(max=_MAX_LOGIT_SCALE).exp()
        loss = contrastive_loss(image_embedding, text_embedding, scale)
        read = (image_embedding, visible), (text_embedding, stated)
        of_image, of_text = (
            attribute_loss(self.head(embedding), labels, focus, self.attributes)
            for embedding, labels in read
        )
        return loss + attribute_weight * (of_image + of_text)


def contrastive_loss(
    image_embedding: Tensor, text_embedding: Tensor, scale: Tensor
) -> Tensor:
    """Return the symmetric InfoNCE of matching rows (Radford et al. 2021, Fig. 3).

    A caption may fit other pictures of the batch too. One-hot targets are right all
    the same: their optimum is log p(image | text) / p(image), the best ranking.

    Args:
        image_embedding: [n, d].
        text_embedding: [n, d].
        scale: What the cosines are multiplied by, a scalar.
    """
    image_unit = F.normalize(image_embedding, dim=1)
    text_unit = F.normalize(text_embedding, dim=1)
    logits = scale * image_unit @ text_unit.T
    target = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def attribute_loss(
    logits: Tensor,
    labels: Tensor,
    focus: Mapping[str, float],
    attributes: Attributes,
) -> Tensor:
    """Return the cross-entropy of all attributes, averaged over those that count.

    Args:
        logits: [n, num_values of all attributes].
        labels: [n, num_attributes], -100 where the attribute does not count.
        focus: Weights of attributes that count more than once.
        attributes: Values of each attribute, by name.
    """
    num_values = [len(values) for values in attributes.values()]
    losses = [
        focus.get(name, 1.0)
        * F.cross_entropy(rows, column, ignore_index=NOT_STATED, reduction="sum")
        for name, rows, column in zip(
            attributes,
            torch.split(logits, num_values, dim=1),
            labels.unbind(1),
            strict=True,
        )
    ]
    return torch.stack(losses).sum() / (labels != NOT_STATED).sum()


def clip_training_task(
    model: ClipWithHead,
    config: ClipTrainingConfig,
    architecture: CompactClipConfig,
    pairs: PairSource,
    *,
    focus: Mapping[str, float],
    seed: int,
    device: str,
    lr_setting: str,
) -> Task:
    """Return the training of a CLIP on pictures and captions of a world.

    Args:
        model: With its first weights.
        config: Of the training.
        architecture: Of the model, whose tokens those of the captions are among.
        pairs: Where pictures and captions come from.
        focus: See `attribute_loss`.
        seed: Gives pairs and unknown words.
        device: Where to train.
        lr_setting: Where users set the learning rate.
    """
    model.train().to(device)
    tokenizer = ClipTokenizer(config.context_length)
    compact = compact_rows(architecture.tokens, tokenizer.vocab_size)

    def loss_of(step: int) -> Tensor:
        # Pairs, made as they are needed from (seed, step) alone.
        generator = make_generator(seed, "clip_batch", step)
        batch = pairs(step, generator)
        tokens = tokenizer(batch.texts)
        order = tokens.argmax(1).argsort(stable=True)  # shortest caption first
        # Some words are made unknown.
        dropped = torch.rand(tokens.shape, generator=generator) < config.token_dropout
        dropped &= tokens < tokenizer.sot_token_id
        tokens = compact[tokens].masked_fill(dropped, UNKNOWN)
        image = preprocess(
            batch.draw(order).to(device),
            size=(config.image_size, config.image_size),
            mean=architecture.image_mean,
            std=architecture.image_std,
            form="standard",
        )
        rows = (tokens, _or_not_stated(batch.visible), _or_not_stated(batch.stated))
        loss: Tensor = model(
            image.contiguous(memory_format=torch.channels_last),
            *(table[order].to(device) for table in rows),
            config.attribute_weight,
            focus,
        )
        return loss

    groups = split_by_axes(model.named_parameters(), weight_decay=config.weight_decay)
    return regression_task(
        model,
        config,
        loss_of,
        rise=0.03,
        fall=0.97,
        ema_beta=config.ema_beta,
        lr_setting=lr_setting,
        parameter_groups=[{**group, "lr": config.lr} for group in groups],
        betas=(0.9, 0.98),
    )


def _or_not_stated(labels: Tensor) -> Tensor:
    return labels.masked_fill(labels < 0, NOT_STATED)


def pack_trained_clip(
    state: TrainingState, architecture: CompactClipConfig
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return tensors and metadata of the safetensors file that is shipped.

    The averaged weights without the attribute head; `load_compact_clip` reads them.

    Args:
        state: Of the training of a `ClipWithHead`.
        architecture: Of the model.
    """
    weights = {
        name.removeprefix("clip."): value
        for name, value in state.ema.items()
        if name.startswith("clip.")
    }
    return pack_clip(weights, architecture)
