"""A small CLIP in one small file: only the token embeddings that it has learned.

open_clip's vocabulary has 49,408 tokens; a model trained on a small language knows
a few hundred, and the rest of its table would be most of the file. Stored are the
rows of the known tokens after one row that stands for every unknown token. Loading
expands them to the full table, so that CLIP's own token ids index it. A model is
trained as open_clip's class, and read into a network of the same weights
(`clip_network`) that takes no import of open_clip.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
from annotated_types import Len
from torch import Tensor

from clip2latent_kedro.checked import (
    Checked,
    Fraction,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Rule,
)
from clip2latent_kedro.encoders.clip_network import (
    ClipNetwork,
    TextConfig,
    VisionConfig,
)
from clip2latent_kedro.encoders.clip_tokens import ClipTokenizer
from clip2latent_kedro.encoders.open_clip import OpenClipEncoder
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.reading import (
    MISSHAPEN,
    check_fit,
    first_line,
    load_network,
    parse_json,
    read_settings,
    read_weights,
)

if TYPE_CHECKING:
    from open_clip.model import CLIP

UNKNOWN = 0  # row of the compact embedding
_EMBEDDING = "token_embedding.weight"


@dataclass(frozen=True)
class CompactClipConfig(Checked):
    """Architecture of a small CLIP, as stored in its file.

    Attributes:
        embed_dim: Size of the joint embedding.
        vision: Fields of open_clip's `CLIPVisionCfg` that `VisionConfig` has too.
        text: Fields of its `CLIPTextCfg` that `TextConfig` has too.
        tokens: Known token ids, ascending. The last is the end
            of text, whose row must come last: open_clip pools at the largest id.
        image_mean: Mean of each channel for the image tower, in [0, 1].
        image_std: Standard deviation of each channel.
    """

    embed_dim: PositiveInt
    vision: dict[str, Any]
    text: dict[str, Any]
    tokens: list[NonNegativeInt]
    image_mean: Annotated[list[Fraction], Len(3, 3)]
    image_std: Annotated[list[PositiveFloat], Len(3, 3)]

    def rules(self) -> Iterator[Rule]:
        """Yield that the tokens are an ascending list."""
        is_ascending = bool(self.tokens) and self.tokens == sorted(set(self.tokens))
        yield is_ascending, "tokens", "ascending numbers"

    @property
    def vocab_size(self) -> int:
        """Rows of the compact embedding."""
        return len(self.tokens) + 1

    def build(self) -> "CLIP":
        """Return a new model to be trained, on the compact vocabulary."""
        from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

        return CLIP(
            self.embed_dim,
            CLIPVisionCfg(**self.vision),
            CLIPTextCfg(**self.text, vocab_size=self.vocab_size),
        )

    def network(self, vocab_size: int) -> ClipNetwork:
        """Return the network that takes the weights of such a model.

        Raises:
            InputError: If a tower has a field that the network does not know.
        """
        vision = read_settings(VisionConfig, self.vision, "vision")
        text = read_settings(TextConfig, self.text, "text")
        return ClipNetwork(self.embed_dim, vision, text, vocab_size)


def compact_rows(tokens: Sequence[int], vocab_size: int) -> Tensor:
    """Return the compact row of every token id, [vocab_size] int64."""
    rows = torch.full((vocab_size,), UNKNOWN)
    rows[torch.tensor(tokens)] = torch.arange(1, len(tokens) + 1)
    return rows


def known_tokens(tokenizer: ClipTokenizer, texts: Sequence[str]) -> list[int]:
    """Return the ids that some texts use, with start and end of text, ascending."""
    known = {tokenizer.sot_token_id, tokenizer.eot_token_id}
    return sorted(known.union(*(tokenizer.encode(text) for text in texts)))


def pack_clip(
    weights: Mapping[str, Tensor], config: CompactClipConfig
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return tensors and metadata of a safetensors file.

    Matrices are stored in half precision. Vectors stay as they are: they are small,
    and the variances of batch normalisation may leave the range of a half.

    Args:
        weights: State dict of the model on the compact vocabulary.
        config: Its architecture and tokens.
    """
    tensors = {
        name: (value.half() if value.ndim > 1 else value).contiguous()
        for name, value in weights.items()
    }
    return tensors, {"config": json.dumps(asdict(config), sort_keys=True)}


def unpack_clip(
    tensors: Mapping[str, Tensor], config: CompactClipConfig, vocab_size: int
) -> ClipNetwork:
    """Return the model on the full vocabulary, in single precision."""
    weights = {
        name: value.float() if value.is_floating_point() else value
        for name, value in tensors.items()
    }
    check_fit(lambda: config.network(config.vocab_size), weights)
    rows = compact_rows(config.tokens, vocab_size)
    weights[_EMBEDDING] = weights[_EMBEDDING][rows]  # [vocab_size, width]
    return load_network(lambda: config.network(vocab_size), weights)


def load_compact_clip(path: Path | None, options: Mapping[str, Any]) -> OpenClipEncoder:
    """Return the encoder stored in a safetensors file (see `pack_clip`).

    Args:
        path: The file.
        options: None are known.

    Raises:
        InputError: If the file is not there or not a compact CLIP, or if there are
            options.
    """
    if options:
        msg = f"A compact_clip takes no options, got {sorted(options)}. Remove them."
        raise InputError(msg)
    if path is None or not path.is_file():
        msg = (
            f"A compact CLIP is expected at {path}: no such file. Set filepath, or run "
            f"the pipeline that trains it."
        )
        raise InputError(msg)
    mend = "Set filepath to such a file."
    tensors, metadata = read_weights(path, mend=mend)
    try:
        config = read_settings(CompactClipConfig, parse_json(metadata["config"]))
        tokenizer = ClipTokenizer(config.text["context_length"])
        model = unpack_clip(tensors, config, tokenizer.vocab_size)
        return OpenClipEncoder(
            model,
            tokenizer,
            name=f"compact_clip/{path.stem}",
            architecture=json.dumps(asdict(config), sort_keys=True),
            image_mean=config.image_mean,
            image_std=config.image_std,
        )
    except MISSHAPEN as error:
        msg = (
            f"{path} must be a compact CLIP in safetensors form, but could not be read "
            f"as one ({first_line(error)}). {mend}"
        )
        raise InputError(msg) from error
