"""Any open_clip model behind the `Encoder` protocol.

Only this package and the training of the portraits' own CLIP import open_clip, and
only where they use it: the import takes seconds, which every command would pay.
"""

import copy
import hashlib
import logging
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional as F

from clip2latent_kedro.checked import Checked, read_settings
from clip2latent_kedro.downloads import Source, fetch
from clip2latent_kedro.encoders.open_clip_weights import (
    architecture_name,
    image_settings,
    refuse_torchscript,
    tag_addresses,
    tag_settings,
)
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder, Identity

logger = logging.getLogger(__name__)

Preprocess = Literal["standard", "upstream"]
Precision = Literal["fp32", "fp16", "bf16"]

# What loading a file that is not a checkpoint, or a failed download, can raise.
_UNREADABLE = (
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    EOFError,
    AttributeError,
    pickle.UnpicklingError,
    SafetensorError,
)
# Larger inputs are encoded in pieces of this size.
MAX_BATCH = 256


@dataclass(frozen=True)
class OpenClipOptions(Checked):
    """What the catalog says about an open_clip model.

    Attributes:
        model: Architecture, such as `ViT-B-32` (`-quickgelu` where the weights need
            it and come from a file), or `hf-hub:organisation/name`.
        pretrained: Tag of weights. They are fetched, unless the catalog gives a file,
            which then must hold the weights of this tag.
        precision: Of the weights and the arithmetic.
    """

    model: str
    pretrained: str | None = None
    precision: Precision = "fp32"


class OpenClipEncoder:
    """An open_clip model with its tokenizer and preprocessing.

    Weights are frozen, but gradients flow to images: optimising a latent needs them.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Any,
        *,
        name: str,
        architecture: str,
        image_mean: Sequence[float],
        image_std: Sequence[float],
    ) -> None:
        """Wrap a model.

        Args:
            model: With `encode_image`, `encode_text` and `visual.image_size`.
            tokenizer: As `open_clip.get_tokenizer` returns it.
            name: Of architecture and weights, to be read by people.
            architecture: Whatever changes the outputs beside weights and images.
            image_mean: Mean of each channel that the model expects, in [0, 1].
            image_std: Standard deviation of each channel.
        """
        frozen: Any = model.eval().requires_grad_(False)
        self.model = frozen
        self.tokenizer = tokenizer
        self.name = name
        self.architecture = architecture
        self.image_mean = tuple(image_mean)
        self.image_std = tuple(image_std)
        self.embed_preprocess: Preprocess = "standard"
        self.identity = self._identify(_digest(model))
        size = frozen.visual.image_size
        self.image_size: tuple[int, int] = (
            (size, size) if isinstance(size, int) else tuple(size)
        )
        self.embed_dim = self._embed(torch.zeros(1, 3, *self.image_size)).shape[1]

    def encode_image(self, image: Tensor) -> Tensor:
        """Return embeddings, [n, embed_dim], not normalised, of images in [-1, 1].

        Args:
            image: [n, 3, h, w] of any size; resized by area.
        """
        if image.ndim != 4 or image.shape[1] != 3:
            msg = f"image must have shape [n, 3, h, w], got {list(image.shape)}."
            raise ValueError(msg)
        if len(image) == 0:
            return image.new_zeros(0, self.embed_dim)
        return torch.cat(
            [self._embed(batch) for batch in torch.split(image, MAX_BATCH)]
        )

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Return embeddings, [n, embed_dim], not normalised.

        Raises:
            InputError: If a text is empty or longer than the model's context.
        """
        device = next(self.model.parameters()).device
        if len(texts) == 0:
            return torch.zeros(0, self.embed_dim, device=device)
        self._check_lengths(texts)
        tokens = self.tokenizer(list(texts)).to(device)  # [n, context_length]
        batches = [self.model.encode_text(rows) for rows in tokens.split(MAX_BATCH)]
        return torch.cat(batches).float()

    def with_preprocess(self, form: Preprocess) -> "OpenClipEncoder":
        """Return the same model, sharing its weights, with another preprocessing."""
        twin = copy.copy(self)
        twin.embed_preprocess = form
        twin.identity = twin._identify(self._weights_digest)
        return twin

    def to(self, device: str) -> "OpenClipEncoder":
        """Move to a device and return self."""
        self.model.to(device)
        return self

    def _identify(self, weights_digest: str) -> Identity:
        self._weights_digest = weights_digest
        path = (self.embed_preprocess, self.image_mean, self.image_std)
        parts = repr((weights_digest, self.architecture, path))
        digest = hashlib.sha256(parts.encode()).hexdigest()
        form = self.embed_preprocess
        name = self.name if form == "standard" else f"{self.name}/{form}"
        return Identity(name, digest)

    def _embed(self, image: Tensor) -> Tensor:
        weight = next(self.model.visual.parameters())
        ready = preprocess(
            image.to(weight.device),
            size=self.image_size,
            mean=self.image_mean,
            std=self.image_std,
            form=self.embed_preprocess,
        )
        embedding: Tensor = self.model.encode_image(ready.to(weight.dtype))
        return embedding.float()

    def _check_lengths(self, texts: Sequence[str]) -> None:
        context = self.tokenizer.context_length
        for text in texts:
            if not text.strip():
                msg = (
                    f"A prompt must have at least one word, got {text!r}. "
                    f"Give it some text, or remove its row from the prompts."
                )
                raise InputError(msg)
            length = _num_tokens(self.tokenizer, text)
            if length > context:
                msg = (
                    f"A prompt must fit the {context} tokens that {self.name} reads, "
                    f"got {length} tokens in {text!r}. Shorten it."
                )
                raise InputError(msg)


def preprocess(
    image: Tensor,
    *,
    size: tuple[int, int],
    mean: Sequence[float],
    std: Sequence[float],
    form: Preprocess,
) -> Tensor:
    """Return what the image tower reads, [n, 3, *size].

    `standard` is y = (p - mean) / std with p the image in [0, 1]. `upstream` is
    clip2latent's own path, which normalises twice with a clamp between:
    (clamp(y, 0, 1) - mean) / std.

    Args:
        image: [n, 3, h, w] in [-1, 1]; resized by area.
        size: Height and width.
        mean: One number a channel.
        std: One number a channel.
        form: `standard` or `upstream`.
    """
    if tuple(image.shape[-2:]) != tuple(size):
        image = F.interpolate(image, size=size, mode="area")
    channel_mean = image.new_tensor(mean)[:, None, None]
    channel_std = image.new_tensor(std)[:, None, None]
    y = (image / 2 + 0.5 - channel_mean) / channel_std
    if form == "upstream":
        y = (y.clamp(0, 1) - channel_mean) / channel_std
    return y


def choose_preprocess(encoder: Encoder, form: Preprocess, *, setting: str) -> Encoder:
    """Return the encoder as it reads images in a form (see `preprocess`).

    Texts are embedded the same in either form. Another form is another identity.

    Args:
        encoder: One with a method `with_preprocess(form)` has both forms; another
            has its own way alone, which is its `standard`.
        form: `standard` or `upstream`.
        setting: What asks for it, for the message.

    Raises:
        InputError: If there is no such form, or the encoder does not have it.
    """
    if form not in get_args(Preprocess):
        choices = ", ".join(get_args(Preprocess))
        msg = f"{setting} must be one of {choices}, got {form!r}. Correct it."
        raise InputError(msg)
    choose = getattr(encoder, "with_preprocess", None)
    if choose is not None:
        view: Encoder = choose(form)
        return view
    if form != "standard":
        msg = (
            f"{setting} must be standard for the encoder {encoder.identity.name}, "
            f"which reads images in one way only, got {form!r}."
        )
        raise InputError(msg)
    return encoder


def load_open_clip(path: Path | None, options: Mapping[str, Any]) -> OpenClipEncoder:
    """Return an open_clip model with weights from a file or a download.

    A tag also says which activation and which statistics of images its weights need;
    a file alone has those of the architecture.

    Args:
        path: Checkpoint in any form that open_clip reads; None to fetch the tag's.
        options: The fields of `OpenClipOptions`.

    Raises:
        InputError: If the model or its weights are unknown or cannot be had.
    """
    choice = read_settings(OpenClipOptions, options, "options")
    architecture = architecture_name(choice.model)
    _check_model(architecture, choice.pretrained, path)
    known = tag_settings(architecture, choice.pretrained)
    if path is None and (addresses := tag_addresses(known)):
        path = fetch(Source(addresses[0], mirrors=addresses[1:]))
    if path is not None:
        refuse_torchscript(path, architecture)
    quick_gelu = bool(known.get("quick_gelu"))
    import open_clip

    try:
        model = open_clip.create_model(
            architecture,
            pretrained=None if path is None else str(path),
            precision=choice.precision,
            force_quick_gelu=quick_gelu,
            force_preprocess_cfg=image_settings(known),
        )
        tokenizer = open_clip.get_tokenizer(architecture)
    except _UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if path is not None:
            msg = (
                f"{path} must hold weights of the open_clip model {architecture}, but "
                f"it could not be read as such ({reason}). Correct filepath or model."
            )
        else:
            msg = (
                f"The open_clip model {architecture} could not be had from Hugging "
                f"Face ({reason}). Connect this machine, or choose a model of "
                f"open_clip's own list, whose weights may be a file."
            )
        raise InputError(msg) from error
    if quick_gelu and not architecture.endswith("-quickgelu"):
        architecture += "-quickgelu"
        logger.info("%s weights need QuickGELU: %s.", choice.pretrained, architecture)
    weights = choice.pretrained or ("hub" if path is None else path.name)
    statistics = model.visual.preprocess_cfg
    return OpenClipEncoder(
        model,
        tokenizer,
        name=f"{architecture}/{weights}",
        architecture=architecture,
        image_mean=statistics["mean"],
        image_std=statistics["std"],
    )


def _check_model(architecture: str, pretrained: str | None, path: Path | None) -> None:
    if path is not None and not path.is_file():
        msg = f"The weights of {architecture} are expected at {path}: no such file."
        raise InputError(msg)
    if architecture.startswith("hf-hub:"):
        return
    import open_clip

    if architecture not in open_clip.list_models():
        msg = (
            f"model must be an open_clip architecture such as ViT-B-32 "
            f"(`open_clip.list_models()`), got {architecture!r}. Correct it."
        )
        raise InputError(msg)
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if pretrained not in tags and not (pretrained is None and path):
        msg = (
            f"pretrained must be one of {', '.join(tags) or '(none known)'} for "
            f"{architecture}, got {pretrained!r}. Choose one, or leave it out and set "
            f"filepath to a checkpoint on this machine."
        )
        raise InputError(msg)


def _num_tokens(tokenizer: Any, text: str) -> int:
    if hasattr(tokenizer, "encode"):  # open_clip's own byte-pair encoding
        return len(tokenizer.encode(text)) + 2  # start and end of text
    return len(tokenizer.tokenizer(text).input_ids)


def _digest(model: nn.Module) -> str:
    """Return SHA-256 (hex) of a model's weights, their names and types."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        raw = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(raw.numpy())
    return digest.hexdigest()
