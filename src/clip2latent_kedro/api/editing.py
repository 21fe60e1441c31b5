"""How `Clip2StyleGAN` reads what is to be edited, and how."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from clip2latent_kedro.api.inputs import as_queries, read_w
from clip2latent_kedro.api.parts import EditingParts, gather_models
from clip2latent_kedro.api.sources import LoadedModels
from clip2latent_kedro.conditioning import Query, embed_queries
from clip2latent_kedro.editing.inversion.config import InversionConfig
from clip2latent_kedro.editing.inversion.invert import invert_pictures
from clip2latent_kedro.editing.inversion.latent_files import (
    LATENT_ENDINGS,
    read_latents,
)
from clip2latent_kedro.editing.mix_request import (
    MixedIn,
    Rows,
    draw_mixed_in,
    read_rows,
)
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.editing.prepared import EditStep, PreparedEdit
from clip2latent_kedro.editing.request import Asked, EditReader
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import read_image
from clip2latent_kedro.latents import Latents, Source
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.text_to_image import GeneratedImages, TextToImage

_NOTHING = "There must be a picture or a w to edit, got none."


@dataclass(frozen=True)
class Editor:
    """Reads edits, what is mixed in, and what is there already.

    Attributes:
        loaded: Where targets and settings come from.
        find_parts: Returns what edits take beside the model; asked when it is needed.
        model: Generator, encoder and prior.
        sampling: How pictures are drawn.
    """

    loaded: LoadedModels
    find_parts: Callable[[], EditingParts]
    model: TextToImage
    sampling: SamplingConfig

    @cached_property
    def models(self) -> EditingModels:
        """All that edits are prepared with."""
        return gather_models(self.find_parts(), self.model, self.sampling)

    def read_edit(
        self,
        edit: Asked,
        strength: float | Sequence[float] | None,
        method: str | None,
        *,
        num_images: int,
    ) -> Sequence[EditStep]:
        """Return the steps of an edit (see `EditReader.read`)."""
        reader = EditReader(
            generator=self.model.generator,
            find_models=lambda: self.models,
            targets=self.loaded.targets,
            neutral=self.loaded.neutral,
        )
        return reader.read(
            edit, strength=strength, method=method, num_images=num_images
        ).steps

    def read_mix(
        self,
        mix: Any,
        layers: Rows,
        queries: Sequence[Query],
        *,
        num_samples: int,
        seed: int,
        negative: Sequence[Query] | None = None,
    ) -> list[EditStep]:
        """Return the step that mixes another w in.

        Args:
            mix: A prompt, a seed, or w.
            layers: Which rows are taken from it.
            queries: What the pictures are of.
            num_samples: Pictures of each.
            seed: Of the pictures.
            negative: What guidance leads away from.

        Raises:
            InputError: If one cannot be used.
        """
        generator = self.model.generator
        rows = read_rows(layers, generator)
        w = read_w(mix, generator)
        if w is None:
            is_seed = isinstance(mix, Integral) and not isinstance(mix, bool)
            if isinstance(mix, Real) and not is_seed:
                msg = f"mix must be a prompt, a whole number or w, got {mix!r}."
                raise InputError(msg)
            others: list[Any] = [int(mix)] if is_seed else as_queries(mix)
            if len(others) != 1:
                msg = f"mix must be one prompt, one seed or w, got {len(others)}."
                raise InputError(msg)
            w = draw_mixed_in(
                self.model,
                others[0],
                queries,
                self.sampling,
                num_samples=num_samples,
                seed=seed,
                negative=negative,
            )
        num_images = len(queries) * num_samples
        if len(w) not in (1, num_images):
            msg = f"mix must be one w or {num_images} of them, got {len(w)}."
            raise InputError(msg)
        return [EditStep(MixedIn(w, rows), 1.0)]

    def read_source(
        self, pictures: Any, inversion: Mapping[str, Any], *, seed: int
    ) -> Source:
        """Return the latents of w that are given, or of pictures that are inverted.

        Args:
            pictures: See `Clip2StyleGAN.edit`.
            inversion: Changed settings of `InversionConfig`.
            seed: Of the inversion.

        Raises:
            InputError: If they are neither, or cannot be read or inverted.
        """
        known = [field.name for field in fields(InversionConfig)]
        if not isinstance(inversion, Mapping):
            msg = (
                f"inversion must be a mapping of settings, such as {{'space': 'w+'}}, "
                f"got {inversion!r:.80}."
            )
            raise InputError(msg)
        if unknown := sorted(map(str, set(inversion) - set(known))):
            msg = f"inversion must set {', '.join(known)}, got {unknown[0]!r}."
            raise InputError(msg)
        latents = self._read_latents(pictures)
        if latents is not None and not len(latents.w):
            raise InputError(_NOTHING)
        if latents is None:
            latents = self._invert(pictures, inversion, seed)
        device, offset = self.model.device, latents.style_offset
        moved = None if offset is None else offset.to(device)
        return Source(Latents(latents.w.to(device), moved))

    def edit_source(
        self,
        source: Source,
        edit: Asked,
        strength: float | Sequence[float] | None,
        method: str | None,
        mix: Any,
        layers: Rows,
        *,
        seed: int,
    ) -> GeneratedImages:
        """Return images of edited latents, [n, 1, 3, h, w], each scored by its own.

        Args:
            source: Of n pictures.
            edit: See `Clip2StyleGAN.edit`, as are the other arguments.
            strength: Of all edits, or of each.
            method: A key of `EDIT_METHODS`.
            mix: What rows of w are taken from.
            layers: Which rows.
            seed: Of what is mixed in.
        """
        before = self._synthesise(source.latents)
        queries: list[Query] = list(torch.from_numpy(before.images[:, 0]))
        steps: list[EditStep] = []
        if mix is not None:
            steps += self.read_mix(mix, layers, queries, num_samples=1, seed=seed)
        if edit is not None:
            num_images = len(queries)
            steps += self.read_edit(edit, strength, method, num_images=num_images)
        prepared, encoder = PreparedEdit(steps), self.model.encoder
        direction = embed_queries(encoder, queries, self.model.device).direction
        if (toward := prepared.toward(encoder)) is not None:
            direction = functional.normalize(direction + toward.to(direction), dim=-1)
        return self._synthesise(prepared(source), direction)

    def _synthesise(
        self, latents: Latents, direction: Tensor | None = None
    ) -> GeneratedImages:
        offset = latents.style_offset
        return self.model.generate_images(
            latents.w[:, None],
            direction,
            style_offset=None if offset is None else offset[:, None],
            keep=as_floats,
        )

    def _read_latents(self, pictures: Any) -> Latents | None:
        """Return latents that are given or stored; None of pictures."""
        is_path = isinstance(pictures, str | Path)
        if is_path and str(pictures).lower().endswith(LATENT_ENDINGS):
            return read_latents(pictures, self.model.generator)
        w = read_w(pictures, self.model.generator)
        return None if w is None else Latents(w)

    def _invert(self, pictures: Any, changes: Mapping[str, Any], seed: int) -> Latents:
        is_array = isinstance(pictures, Tensor | np.ndarray)
        is_list = isinstance(pictures, list | tuple) or (
            is_array and pictures.ndim == 4
        )
        given = list(pictures) if is_list else [pictures]
        if not given:
            raise InputError(_NOTHING)
        images = [read_image(picture) for picture in given]
        config = self.loaded.inversion
        if self.models.perceptual is None:
            config = replace(config, perceptual_weight=0.0)
        config = replace(config, **changes)
        return invert_pictures(
            images, self.models, config, seed=seed, progress="inversion"
        )


def as_floats(image: Tensor) -> np.ndarray:
    """Return images [n, 3, h, w] as floats within [-1, 1]."""
    floats: np.ndarray = image.float().clamp(-1, 1).cpu().numpy()
    return floats
