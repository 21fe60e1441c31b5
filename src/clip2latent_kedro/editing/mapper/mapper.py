"""StyleCLIP's latent mapper of one target."""

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class StyleMapper:
    """A trained mapper, w -> offset of w.

    Attributes:
        network: The mapping networks of the levels.
    """

    network: nn.Module

    def to(self, device: str) -> "StyleMapper":
        """Move to a device and return self."""
        self.network.to(device)
        return self
