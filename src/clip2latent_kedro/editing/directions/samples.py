"""What directions are learned from: random w, with what is seen in their pictures."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.editing.edit import EditTarget
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import CertainJudge, Encoder, Generator, Judge
from clip2latent_kedro.methods.method import UnavailableError
from clip2latent_kedro.progress import progress_bar
from clip2latent_kedro.runtime import make_generator

MIN_CLASS = 5  # latents of each kind, at the least
_LEAST = 1e-6  # of a probability, under the logarithm


@dataclass(frozen=True)
class LabelledLatents:
    """Random latents of a generator, with what is seen in their pictures.

    Attributes:
        w: [n, w_dim].
        attributes: Values by name, as the judge has them; empty without one.
        labels: Value indices, a column for each of `attributes`, [n, num_attributes].
        log_odds: Of each value of each attribute, by a judge that says how sure it
            is, [n, num_values]; empty of another.
        embedding: Of the pictures, unit length, [n, clip_dim]; None if not asked for.
    """

    w: Tensor
    attributes: Mapping[str, Sequence[str]]
    labels: Tensor
    log_odds: Sequence[Tensor] = ()
    embedding: Tensor | None = None

    def values_of(self, attribute: str) -> Tensor:
        """Return the value indices of an attribute, [n]."""
        return self.labels[:, list(self.attributes).index(attribute)]


@dataclass(frozen=True)
class Contrast:
    """Latents that show what a target asks for, among those that do not.

    Attributes:
        w: [n, w_dim].
        classes: Index of what each shows, [n].
        goal: The one that is asked for.
        score: How surely each shows it, [n]; None where that is not known.
        others: Value indices of the attributes that should stay, by name, [n] each.
    """

    w: Tensor
    classes: Tensor
    goal: int
    score: Tensor | None
    others: Mapping[str, Tensor]

    @property
    def has(self) -> Tensor:
        """Which show it, [n] bool."""
        return self.classes == self.goal


@torch.no_grad()
def sample_latents(
    generator: Generator,
    encoder: Encoder | None,
    judge: Judge | None,
    *,
    num_samples: int,
    seed: int,
    device: str = "cpu",
    batch_size: int = 64,
) -> LabelledLatents:
    """Return random w of a generator, with what judge and encoder see.

    Args:
        generator: z -> w -> image, on the device.
        encoder: Embeds the pictures; None if no target needs it.
        judge: Names their attributes; None if there is none.
        num_samples: How many.
        seed: Decides z.
        device: Where to compute.
        batch_size: Pictures at a time.

    Raises:
        UnavailableError: If the layers of the generator do not share one w.
    """
    random = make_generator(seed, "direction_samples")
    z = torch.randn(num_samples, generator.z_dim, generator=random)
    rows, labels, embeddings = [], [], []
    log_odds: list[list[Tensor]] = []
    with progress_bar("Labelling latents", total=num_samples, unit="pictures") as step:
        for batch in torch.split(z, batch_size):
            w = generator.mapping(batch.to(device))
            if not torch.equal(w, w[:, :1].expand_as(w)):
                msg = (
                    f"Directions are learned of a w that all layers share, which "
                    f"{generator.identity.name} has not. Give directions from a file."
                )
                raise UnavailableError(msg)
            rows.append(w[:, 0].float().cpu())
            image = generator.synthesis(w, noise_mode="const")
            if judge is not None:
                labels.append(judge.classify(image).cpu())
            if isinstance(judge, CertainJudge):
                shares = judge.probabilities(image)
                log_odds.append([_log_odds(share).cpu() for share in shares])
            if encoder is not None:
                embedded = encoder.encode_image(image).float().cpu()
                embeddings.append(functional.normalize(embedded, dim=1))
            step(len(batch))
    return LabelledLatents(
        torch.cat(rows),
        {} if judge is None else judge.attributes,
        torch.cat(labels) if labels else torch.zeros(num_samples, 0, dtype=torch.int64),
        [torch.cat(parts) for parts in zip(*log_odds, strict=True)],
        torch.cat(embeddings) if embeddings else None,
    )


def needs_text(target: EditTarget, attributes: Mapping[str, Sequence[str]]) -> bool:
    """Return whether a target can be told by its texts alone.

    Raises:
        InputError: If the judge does not know its value, or what it must have.
    """
    if not attributes or target.attribute is None or target.value is None:
        return True
    for attribute, value in {target.attribute: target.value, **target.only}.items():
        if value not in attributes.get(attribute, ()):
            msg = (
                f"The target {target.name} must have a value that the judge knows, got "
                f"{attribute} {value}. Known: {_list_known(attributes, attribute)}."
            )
            raise InputError(msg)
    return False


def contrast_of(
    latents: LabelledLatents,
    target: EditTarget,
    text_direction: Tensor | None,
    *,
    share: float,
) -> Contrast:
    """Return the latents that a target is learned from.

    By the judge, if it has a word for the target: latents of which the target asks
    something else (`only`) are left out. Or zero-shot: those whose pictures are
    farthest along the direction of the text, in the space of CLIP, against those that
    are farthest the other way.

    Args:
        latents: What `sample_latents` returned.
        target: What an edit is to bring about.
        text_direction: Of its texts, unit length, [clip_dim]; only for the second.
        share: Of the latents, how many at each end; only for the second.

    Raises:
        UnavailableError: If too few latents show it, or do not.
        InputError: Where `needs_text` raises it.
    """
    if needs_text(target, latents.attributes):
        if text_direction is None or latents.embedding is None:
            msg = (
                f"The target {target.name} is told by its texts, as the judge has no "
                f"word for it, and the pictures are not embedded. Give an encoder."
            )
            raise UnavailableError(msg)
        score = latents.embedding @ text_direction.to(latents.embedding)
        rows = _both_ends(score, share)
        classes = (torch.arange(len(rows)) >= len(rows) // 2).long()
        found = Contrast(latents.w[rows], classes, 1, score[rows], {})
    else:
        found = _contrast_by_judge(latents, target)
    num_with = int(found.has.sum())
    if min(num_with, len(found.w) - num_with) < MIN_CLASS:
        msg = (
            f"The direction {target.name} takes {MIN_CLASS} pictures with it and "
            f"{MIN_CLASS} without, got {num_with} of {len(found.w)}. Raise "
            f"editing.directions.num_samples."
        )
        raise UnavailableError(msg)
    return found


def _contrast_by_judge(latents: LabelledLatents, target: EditTarget) -> Contrast:
    attributes = latents.attributes
    assert target.attribute is not None
    assert target.value is not None
    rows = torch.ones(len(latents.w), dtype=torch.bool)
    for attribute, value in target.only.items():
        index = attributes[attribute].index(value)
        rows &= latents.values_of(attribute) == index
    column = list(attributes).index(target.attribute)
    goal = attributes[target.attribute].index(target.value)
    score = latents.log_odds[column][rows, goal] if latents.log_odds else None
    aside = {target.attribute, *target.free, *target.only}
    others = {name: latents.values_of(name)[rows] for name in attributes}
    return Contrast(
        latents.w[rows],
        latents.labels[rows, column],
        goal,
        score,
        {name: values for name, values in others.items() if name not in aside},
    )


def _both_ends(score: Tensor, share: float) -> Tensor:
    """Return the rows of the lowest scores, then as many of the highest."""
    order = score.argsort(stable=True)
    num = min(len(order) // 2, max(MIN_CLASS, round(share * len(order))))
    return torch.cat([order[:num], order[len(order) - num :]])


def _log_odds(probability: Tensor) -> Tensor:
    clipped = probability.double().clamp(_LEAST, 1 - _LEAST)
    return (clipped.log() - (1 - clipped).log()).float()


def _list_known(attributes: Mapping[str, Iterable[str]], attribute: str) -> str:
    return ", ".join(attributes.get(attribute, attributes))
