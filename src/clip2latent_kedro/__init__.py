"""Text-to-image from any unconditional generator, with no text data."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clip2latent_kedro.api import Clip2StyleGAN

__all__ = ["Clip2StyleGAN", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Return `Clip2StyleGAN`, whose import takes torch, only when it is asked for."""
    if name == "Clip2StyleGAN":
        from clip2latent_kedro.api import Clip2StyleGAN

        return Clip2StyleGAN
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
