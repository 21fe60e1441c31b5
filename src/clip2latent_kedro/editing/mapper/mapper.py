"""StyleCLIP's latent mapper of one target."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from clip2latent_kedro.editing.mapper.network import STEP, LevelsMapper
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Generator, Identity


@dataclass(frozen=True)
class StyleMapper:
    """A trained mapper, w -> offset of w.

    Attributes:
        network: The mapping networks of the levels, frozen.
        identity: Of the file that it is in: equal digests give equal edits.
        text: What the edited picture shows.
        neutral: The same without it; empty if unknown.
        generator_identity: Whose w it moves; None of another program's file, which
            does not say.
        encoder_identity: Whose embeddings it was trained by; likewise.
        identity_encoder_identity: Likewise of the identity loss; None without one.
        settings: Of its training, as plain JSON.
        losses: Means on other w at the end of it, by term.
        training_seconds: What its training took; None if unknown.
    """

    network: LevelsMapper
    identity: Identity
    text: str
    neutral: str = ""
    generator_identity: Identity | None = None
    encoder_identity: Identity | None = None
    identity_encoder_identity: Identity | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    losses: Mapping[str, float] = field(default_factory=dict)
    training_seconds: float | None = None

    def to(self, device: str) -> "StyleMapper":
        """Move to a device and return self."""
        self.network.to(device)
        return self

    def offset(self, w: Tensor) -> Tensor:
        """Return what strength 1 adds to w, 0.1 M(w), [n, num_ws, w_dim].

        Patashnik et al. 2021, section 5; the factor is that of the authors' code.
        """
        moved: Tensor = STEP * self.network(w)
        return moved

    def check_generator(self, generator: Generator) -> None:
        """Check that this is the generator that it was trained for.

        Raises:
            InputError: If it is another one, or has w of another size.
        """
        trained = self.generator_identity
        if trained is not None and trained.digest != generator.identity.digest:
            msg = (
                f"The mapper {self.identity} was trained for the generator {trained}, "
                f"got {generator.identity}. Use the former, or train another mapper "
                f"with kedro run --pipeline=mappers."
            )
            raise InputError(msg)
        if self.network.shape.w_dim != generator.w_dim:
            msg = (
                f"The mapper {self.identity} moves w of {self.network.shape.w_dim} "
                f"channels, got {generator.identity}, which has {generator.w_dim}. Use "
                f"the generator that it was trained for."
            )
            raise InputError(msg)
