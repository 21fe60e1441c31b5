"""Edits of a user's pictures, and pictures that no prior draws.

They stand apart from `pictures`: what is drawn without them does not depend on their
code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from clip2latent_kedro.conditioning import Query, embed_queries
from clip2latent_kedro.editing.edit import EditTarget
from clip2latent_kedro.editing.inversion.config import InversionConfig
from clip2latent_kedro.editing.inversion.invert import invert_pictures
from clip2latent_kedro.editing.inversion.latent_files import read_latents
from clip2latent_kedro.editing.mix_request import MixedIn, draw_mixed_in, read_rows
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.editing.prepared import EditStep, PreparedEdit
from clip2latent_kedro.editing.request import EditReader
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import is_picture, read_image
from clip2latent_kedro.inference.config import InferenceConfig, is_stored_w
from clip2latent_kedro.inference.pictures import read_query
from clip2latent_kedro.inference.records import content_of
from clip2latent_kedro.interfaces import Encoder
from clip2latent_kedro.latents import Latents, Source
from clip2latent_kedro.provenance import describe_provenance
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.text_to_image import TextToImage

_READS = "clip2latent_kedro.editing.inversion.latent_files"
_INVERTS = "clip2latent_kedro.editing.inversion.invert"


@dataclass(frozen=True)
class PictureEdits:
    """What is done to each picture (see `records.Changes`).

    Attributes:
        model: Generator, encoder and prior.
        models: All that edits and inversions take.
        edit: What is changed; None for nothing.
        mix: A prompt, the path of a stored w, or another seed; None for nothing.
        rows: Which rows of w are mixed in.
        inversion: How a prompt that is a picture is inverted; None if it is varied.
        negative: What guidance leads away from in what is mixed in.
    """

    model: TextToImage
    models: EditingModels
    edit: PreparedEdit | None = None
    mix: str | int | None = None
    rows: Sequence[int] = ()
    inversion: InversionConfig | None = None
    negative: str | None = None

    def describe_start(self, prompt: str) -> Mapping[str, Any] | None:
        """Return what latents depend on that no prior draws, with their number."""
        device, generator = self.model.device, self.model.generator
        if is_stored_w(prompt):
            number = len(read_latents(prompt, generator).w)
            made_by = describe_provenance(device, _READS)
            return {"kind": "stored_w", "num_samples": number, "made_by": made_by}
        if self.inversion is None or not is_picture(prompt):
            return None
        distance, inverter = self.models.perceptual, self.models.image_inverter
        return {
            "kind": "inversion",
            "num_samples": 1,
            "settings": asdict(self.inversion),
            "perceptual": None if distance is None else distance.identity.digest,
            "image_inverter": None if inverter is None else inverter.identity.digest,
            "made_by": describe_provenance(device, _INVERTS, distance, inverter),
        }

    def find_start(self, prompt: str, *, seed: int) -> Source | None:
        """Return the latents of a stored w, or of a picture that is inverted."""
        device = self.model.device
        if is_stored_w(prompt):
            latents = read_latents(prompt, self.model.generator)
        elif self.inversion is None or not is_picture(prompt):
            return None
        else:
            picture = read_image(prompt)
            latents = invert_pictures(
                [picture], self.models, self.inversion, seed=seed, progress="inversion"
            )
        offset = latents.style_offset
        moved = None if offset is None else offset.to(device)
        return Source(Latents(latents.w.to(device), moved))

    def describe_change(self) -> Mapping[str, Any] | None:
        """Return what is done to every picture; None for nothing."""
        if self.edit is None and self.mix is None:
            return None
        words = [] if self.mix is None else [f"mix {self.mix}"]
        words += [] if self.edit is None else [self.edit.words]
        change: dict[str, Any] = {"words": ", ".join(words)}
        if self.mix is not None:
            is_text = isinstance(self.mix, str)
            of = content_of(str(self.mix)) if is_text else self.mix
            change["mix"] = {"of": of, "rows": list(self.rows)}
        if self.edit is not None:
            change["edit"] = self.edit.describe()
        made_by = describe_provenance(self.model.device, __name__, self.edit)
        return {**change, "made_by": made_by}

    def change(
        self, source: Source, query: Query, sampling: SamplingConfig, *, seed: int
    ) -> Latents:
        """Return the latents of a query's pictures, mixed and edited."""
        steps: list[EditStep] = []
        if self.mix is not None:
            w = self._mixed_in(source, query, sampling, seed)
            steps.append(EditStep(MixedIn(w, self.rows), 1.0))
        if self.edit is not None:
            steps += self.edit.steps
        return PreparedEdit(steps)(source)

    def toward(self, encoder: Encoder) -> Tensor | None:
        """Return what the texts of the edit add to a query's direction."""
        return None if self.edit is None else self.edit.toward(encoder)

    def _mixed_in(
        self, source: Source, query: Query, sampling: SamplingConfig, seed: int
    ) -> Tensor:
        """Return the w that is mixed in, [1 or n, num_ws, w_dim]."""
        mix = self.mix
        assert mix is not None
        if isinstance(mix, str) and is_stored_w(mix):
            return read_latents(mix, self.model.generator).w
        negative = None if self.negative is None else [read_query(self.negative)]
        return draw_mixed_in(
            self.model,
            mix if isinstance(mix, int) else read_query(mix),
            [query],
            sampling,
            num_samples=len(source.latents.w),
            seed=seed,
            negative=negative,
        )


def read_edits(
    model: TextToImage,
    models: EditingModels,
    config: InferenceConfig,
    inversion: InversionConfig,
    targets: Mapping[str, EditTarget],
    neutral: str,
) -> PictureEdits:
    """Return what `params:inference` asks to be done to each picture.

    Args:
        model: Generator, encoder and prior.
        models: All that edits and inversions take.
        config: What is asked for.
        inversion: How pictures are inverted, if they are.
        targets: Edits that a name is enough for.
        neutral: The text that an edit to a single text starts from.

    Raises:
        InputError: If an edit, a row or what is mixed in is not known.
    """
    edit = None
    if config.edit is not None:
        reader = EditReader(
            generator=model.generator,
            find_models=lambda: models,
            targets=targets,
            neutral=neutral,
        )
        edit = reader.read(
            config.edit, strength=config.edit_strength, method=config.edit_method
        )
    rows: list[int] = []
    if config.mix is not None:
        rows = read_rows(config.mix_layers, model.generator)
        if isinstance(config.mix, str) and not is_stored_w(config.mix):
            embed_queries(model.encoder, [read_query(config.mix)], model.device)
        elif isinstance(config.mix, str):
            number = len(read_latents(config.mix, model.generator).w)
            if number != 1:
                msg = f"mix must be one w, got {number} in {config.mix}. Store one."
                raise InputError(msg)
    return PictureEdits(
        model,
        models,
        edit,
        config.mix,
        rows,
        inversion if config.start == "inversion" else None,
        config.negative,
    )
