"""The portraits' own CLIP: a small open_clip model trained on renders and captions.

Besides the contrastive loss, one linear head reads the attributes from either
embedding: from an image's all that are visible, from a text's those it states. It
speeds learning up several times and is dropped at export.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clip2latent_kedro.encoders.compact_clip import (
    CompactClipConfig,
    known_tokens,
    pack_clip,
)
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.portraits.attributes import ATTRIBUTES
from clip2latent_kedro.portraits.fitting import FitState, check_ranges
from clip2latent_kedro.portraits.phrases import grammar_fragments

if TYPE_CHECKING:
    from open_clip.model import CLIP

_NUM_VALUES = [len(values) for values in ATTRIBUTES.values()]
NOT_STATED = -100  # what cross_entropy ignores
# The temperature may not fall under 1 / 100, as in CLIP (Radford et al. 2021).
_MAX_LOGIT_SCALE = math.log(100)
HEAD_WIDTH = 32  # of an attention head of the image tower


@dataclass(frozen=True)
class ClipTrainingConfig:
    """Size and training of the portraits' CLIP.

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
        weight_decay: Of matrices; vectors have none.
        ema_beta: Decay of the averaged weights that are exported.
        token_dropout: Share of tokens that read as the unknown one.
        attribute_weight: Of the attribute heads' loss beside the contrastive one.
        save_every: Steps between two saved states.
    """

    embed_dim: int
    image_size: int
    vision_layers: list[int] | int
    vision_width: int
    vision_patch_size: int | None
    context_length: int
    text_width: int
    text_heads: int
    text_layers: int
    steps: int
    batch_size: int
    lr: float
    weight_decay: float
    ema_beta: float
    token_dropout: float
    attribute_weight: float
    save_every: int

    def __post_init__(self) -> None:
        """Check what open_clip would fail on later, and ranges."""
        check_ranges(self, "portraits.{clip,clip_held_out}")
        if self.image_size % 32:
            msg = (
                f"image_size of the portraits' CLIP must be a multiple of 32, got "
                f"{self.image_size}. Use 64."
            )
            raise InputError(msg)
        if self.text_width % self.text_heads:
            msg = (
                f"text_width of the portraits' CLIP must be a multiple of text_heads, "
                f"got {self.text_width} and {self.text_heads}. Use 128 and 4."
            )
            raise InputError(msg)
        self._check_vision()
        if not 0 <= self.token_dropout < 1:
            msg = (
                f"token_dropout must be in [0, 1), got {self.token_dropout}. Use 0.02."
            )
            raise InputError(msg)

    def _check_vision(self) -> None:
        layers, patch = self.vision_layers, self.vision_patch_size
        if patch is None and (isinstance(layers, int) or len(layers) != 4):
            msg = (
                f"vision_layers must have 4 numbers, one a stage, got {layers}. Use "
                f"[1, 1, 1, 1], or set vision_patch_size for a transformer."
            )
            raise InputError(msg)
        if patch is None:
            if self.vision_width % 2:
                msg = (
                    f"vision_width of residual blocks must be even, got "
                    f"{self.vision_width}. Use 16."
                )
                raise InputError(msg)
            return
        if not isinstance(layers, int) or layers < 1:
            msg = (
                f"vision_layers must be one number, 1 or more, where there is a "
                f"vision_patch_size, got {layers}. Use 4."
            )
            raise InputError(msg)
        if patch < 1 or self.image_size % patch or self.vision_width % HEAD_WIDTH:
            msg = (
                f"vision_patch_size must divide image_size = {self.image_size}, and "
                f"{HEAD_WIDTH} vision_width, got {patch} and {self.vision_width}. Use "
                f"8 and 128."
            )
            raise InputError(msg)

    def architecture(self) -> CompactClipConfig:
        """Return the model's architecture and tokens, as its file states them."""
        from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
        from open_clip.tokenizer import SimpleTokenizer

        return CompactClipConfig(
            embed_dim=self.embed_dim,
            vision=self._vision(),
            text={
                "context_length": self.context_length,
                "width": self.text_width,
                "heads": self.text_heads,
                "layers": self.text_layers,
            },
            tokens=known_tokens(SimpleTokenizer(), list(grammar_fragments())),
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


@dataclass(frozen=True)
class ClipFinetuneConfig:
    """A second training that looks closer (see `finetune_clip`).

    Attributes:
        steps: Training steps.
        lr: Peak learning rate of AdamW.
        attribute_weight: Of the attribute heads' loss beside the contrastive one.
        focus: Weight of the named attributes in the heads' loss; 1 for the others.
        save_every: Steps between two saved states.
    """

    steps: int
    lr: float
    attribute_weight: float
    focus: dict[str, float]
    save_every: int

    def __post_init__(self) -> None:
        """Check names and ranges."""
        check_ranges(self, "portraits.clip_finetune")
        unknown = sorted(set(self.focus) - set(ATTRIBUTES))
        if unknown:
            msg = (
                f"portraits.clip_finetune.focus must name attributes "
                f"({', '.join(ATTRIBUTES)}), got {', '.join(unknown)}."
            )
            raise InputError(msg)


@dataclass(frozen=True)
class ClipBatch:
    """Pairs of one training step.

    Attributes:
        image: [n, 3, h, w], preprocessed.
        tokens: Rows of the compact embedding, [n, context_length] int64, the shortest
            caption first; the end of text is the largest.
        visible: Labels of the image, [n, num_attributes], -100 where hidden.
        stated: Labels of the caption, [n, num_attributes], -100 where not stated.
    """

    image: Tensor
    tokens: Tensor
    visible: Tensor
    stated: Tensor


class ClipWithHead(nn.Module):
    """CLIP on the compact vocabulary and the attribute head that both towers share."""

    def __init__(self, clip: "CLIP") -> None:
        """Add a head with zero weights."""
        super().__init__()
        self.clip = clip
        self.head = nn.Linear(clip.visual.output_dim, sum(_NUM_VALUES))
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
        self, batch: ClipBatch, attribute_weight: float, focus: Mapping[str, float]
    ) -> Tensor:
        """Return the loss of a batch, a scalar (see `ClipTrainingConfig`)."""
        image_embedding = self.clip.encode_image(batch.image)
        text_embedding = self.encode_tokens(batch.tokens)
        loss = contrastive_loss(
            image_embedding,
            text_embedding,
            self.clip.logit_scale.clamp(max=_MAX_LOGIT_SCALE).exp(),
        )
        attributes = attribute_loss(self.head(image_embedding), batch.visible, focus)
        attributes = attributes + attribute_loss(
            self.head(text_embedding), batch.stated, focus
        )
        return loss + attribute_weight * attributes


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
    logits: Tensor, labels: Tensor, focus: Mapping[str, float]
) -> Tensor:
    """Return the cross-entropy of all attributes, averaged over those that count.

    Args:
        logits: [n, num_values of all attributes].
        labels: [n, num_attributes], -100 where the attribute does not count.
        focus: Weights of attributes that count more than once.
    """
    losses = [
        focus.get(name, 1.0)
        * F.cross_entropy(rows, column, ignore_index=NOT_STATED, reduction="sum")
        for name, rows, column in zip(
            ATTRIBUTES,
            torch.split(logits, _NUM_VALUES, dim=1),
            labels.unbind(1),
            strict=True,
        )
    ]
    return torch.stack(losses).sum() / (labels != NOT_STATED).sum()


def export_clip(
    state: FitState, config: ClipTrainingConfig
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return tensors and metadata of the safetensors file that is shipped.

    The averaged weights without the attribute head; `load_compact_clip` reads them.
    """
    weights = {
        name.removeprefix("clip."): value
        for name, value in state.weights().items()
        if name.startswith("clip.")
    }
    return pack_clip(weights, config.architecture())
