"""Texts of edits in CLIP's space: averaged over templates, and their differences."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from clip2latent_kedro.checked import Rule
from clip2latent_kedro.editing.edit import EditTarget
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder

Templates = Literal["imagenet"] | Sequence[str]

# StyleCLIP leaves it out of CLIP's eighty.
_LEFT_OUT = "a photo of many {}."


def templates_rule(templates: Templates) -> Rule:
    """Return the rule of settings that each template has a place for the text."""
    is_fit = isinstance(templates, str) or all("{}" in each for each in templates)
    expected = "imagenet or a list of sentences with {} where the text is put in"
    return bool(templates) and is_fit, "templates", expected


def read_templates(templates: Templates) -> list[str]:
    """Return sentences with `{}` where a text is put in.

    Args:
        templates: The sentences themselves, or `imagenet` for the 79 of StyleCLIP:
            those by which CLIP classifies ImageNet, but for one.

    Raises:
        InputError: If there is none, or one has no place for the text.
    """
    if templates == "imagenet":
        from open_clip.zero_shot_metadata import OPENAI_IMAGENET_TEMPLATES

        sentences = [str(fill("{}")) for fill in OPENAI_IMAGENET_TEMPLATES]
        return [each for each in sentences if each != _LEFT_OUT]
    if isinstance(templates, str) or not templates:
        msg = (
            f"templates must be imagenet or a list of one sentence or more, got "
            f'{templates!r}. Use ["{{}}"] for the text alone.'
        )
        raise InputError(msg)
    for sentence in templates:
        if "{}" not in sentence:
            msg = (
                f"Each of templates must have {{}} where the text is put in, got "
                f"{sentence!r}. Use {{}} alone for the text as it is."
            )
            raise InputError(msg)
    return list(templates)


@torch.no_grad()
def embed_templates(
    encoder: Encoder, text: str, templates: Templates = ("{}",)
) -> Tensor:
    """Return the unit mean of a text's unit embeddings in all templates, [clip_dim].

    Args:
        encoder: Of texts.
        text: Put in the place of `{}`.
        templates: See `read_templates`.

    Raises:
        InputError: If the encoder does not know the text, or a template is unfit.
    """
    return _embed(encoder, [text], templates)[0]


@torch.no_grad()
def text_direction(
    encoder: Encoder, target: EditTarget, templates: Templates = ("{}",)
) -> Tensor:
    """Return unit(target - neutral), [clip_dim] (StyleCLIP, Section 6: delta t).

    Args:
        encoder: Of texts.
        target: Its two texts are embedded as by `embed_templates`.
        templates: See `read_templates`.

    Raises:
        InputError: If the encoder does not know a text or tells no difference between
            the two, or a template is unfit.
    """
    wanted, neutral = _embed(encoder, [target.target, target.neutral], templates)
    difference = wanted - neutral
    if difference.norm() < 1e-6:
        msg = (
            f"The target and the neutral text of an edit must differ for the encoder, "
            f"got {target.target!r} and {target.neutral!r}. Say in the target what is "
            f"to change."
        )
        raise InputError(msg)
    return F.normalize(difference, dim=0)


def _embed(encoder: Encoder, texts: Sequence[str], templates: Templates) -> Tensor:
    """Return unit means over the templates, [num_texts, clip_dim]."""
    sentences = read_templates(templates)
    filled = [sentence.replace("{}", text) for text in texts for sentence in sentences]
    embedding = F.normalize(encoder.encode_text(filled).float(), dim=1)
    means = embedding.view(len(texts), len(sentences), -1).mean(1)
    return F.normalize(means, dim=1)
