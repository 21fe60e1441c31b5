"""Edits along a direction of w, and to where the pictures of a target lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from clip2latent_kedro.checked import Checked, Fraction
from clip2latent_kedro.editing.directions.config import DirectionKind
from clip2latent_kedro.editing.directions.direction import (
    Direction,
    apply_directions,
    digest_direction,
)
from clip2latent_kedro.editing.edit import EditMethod, EditTarget, Source
from clip2latent_kedro.editing.layers import Layers, read_layers
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.latents import LatentGaussian, Latents
from clip2latent_kedro.methods.digests import digest_arrays
from clip2latent_kedro.methods.method import UnavailableError
from clip2latent_kedro.methods.optimisation.coordinates import (
    fit_generator_gaussian,
    repeat_gaussian,
)


@dataclass(frozen=True)
class DirectionSettings(Checked):
    """Which direction, which rows of w, and how far.

    Attributes:
        source: Its name among the directions; null for the target's name.
        kind: How it was learned; null for the one that has the plain name.
        layers: A group of rows that move, a list of them, or null for all.
        quantile: Share of the cloud of latents that an edit stays within; null for no
            limit.
    """

    source: str | None = None
    kind: DirectionKind | None = None
    layers: Layers | None = None
    quantile: Fraction | None = None


@dataclass(frozen=True)
class TransportSettings(DirectionSettings):
    """The same for a transport, whose kind has a name of its own."""

    kind: DirectionKind | None = "transport"


@dataclass(frozen=True, kw_only=True)
class DirectionEdit(EditMethod):
    """w + strength * offset, in standard deviations of w along a learned direction.

    One with a direction of one's own is made directly, rather than by `prepare`.

    Attributes:
        direction: Along which to move.
        layers: Rows that may move; None for all.
        cloud: What edits stay within a share of, one row for each layer; None for no
            limit.
    """

    Settings: ClassVar[type] = DirectionSettings
    strengths: ClassVar[Sequence[float]] = (1.0, 2.0, 3.0, 4.0, 6.0)

    direction: Direction
    layers: Sequence[int] | None = None
    cloud: LatentGaussian | None = None

    @classmethod
    def prepare(
        cls, settings: DirectionSettings, models: EditingModels, target: EditTarget
    ) -> Self:
        """Return the edit along one of the directions that there are."""
        name = settings.source or target.name
        if settings.kind is not None:
            name = f"{name}_{settings.kind}"
        direction = find_direction(models.directions, name)
        direction.check_fit(models.generator)
        layers = read_layers(settings.layers, models.generator)
        cloud = None if settings.quantile is None else find_cloud(models)
        made_with = {"direction": digest_direction(direction)}
        if cloud is not None:
            made_with["cloud"] = digest_arrays(vars(cloud))
        return cls(
            settings=settings,
            target=target,
            direction=direction,
            layers=None if settings.layers is None else layers,
            cloud=cloud,
            made_with=made_with,
            preparation=dict(direction.preparation),
        )

    def apply(self, source: Source, strength: float) -> Latents:
        """Return latents moved along the direction."""
        quantile = getattr(self.settings, "quantile", None)
        w = apply_directions(
            source.latents.w,
            [(self.direction, strength)],
            layers=self.layers,
            cloud=self.cloud,
            quantile=1.0 if quantile is None else quantile,
        )
        return Latents(w, source.latents.style_offset)


@dataclass(frozen=True, kw_only=True)
class TransportEdit(DirectionEdit):
    """w + strength * P (mean - w): to where the pictures of a target lie."""

    Settings: ClassVar[type] = TransportSettings
    strengths: ClassVar[Sequence[float]] = (0.5, 0.75, 1.0, 1.25, 1.5)


def find_direction(directions: Mapping[str, Direction], name: str) -> Direction:
    """Return a direction by name.

    Raises:
        UnavailableError: If there is none; the message names those that there are.
    """
    if name not in directions:
        known = ", ".join(sorted(directions)) or "none"
        msg = (
            f"There is no direction {name!r}, there are: {known}. Run the pipeline "
            f"directions, or point the catalog entry directions at a file."
        )
        raise UnavailableError(msg)
    return directions[name]


def find_cloud(models: EditingModels) -> LatentGaussian:
    """Return where latents lie, one row for each layer of the generator.

    That of the data of the first prior that knows it, or else of random w.
    """
    of_domain = models.models
    for prior in of_domain.priors.values():
        if prior.gaussian is not None:
            return repeat_gaussian(prior.gaussian, of_domain.latent_repeats)
    return fit_generator_gaussian(models.generator, device=models.device)
