"""The frozen models that mappers are trained with, and the w that these are of."""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from clip2latent_kedro.editing.mapper.config import MapperConfig
from clip2latent_kedro.editing.mapper.network import MapperShape, shape_of
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.runtime import make_generator


@dataclass(frozen=True)
class MapperTeachers:
    """The frozen models that mappers are trained with, on one device.

    Attributes:
        generator: w -> image.
        encoder: Embeds texts and images.
        identity_encoder: Image -> features that tell who is in it; None for none.
        device: Where to compute.
    """

    generator: Generator
    encoder: Encoder
    identity_encoder: Encoder | None = None
    device: str = "cpu"

    def identities(self, config: MapperConfig) -> dict[str, dict[str, str] | None]:
        """Return names and digests of the models that a training takes."""
        who = self.identity_encoder if config.id_weight else None
        models = {
            "generator": self.generator.identity,
            "encoder": self.encoder.identity,
            "identity_encoder": None if who is None else who.identity,
        }
        return {
            role: None if identity is None else asdict(identity)
            for role, identity in models.items()
        }

    def mapper_shape(self, config: MapperConfig) -> MapperShape:
        """Return the form of a mapper for the generator.

        Raises:
            InputError: If none of the levels that are to move has a row.
        """
        shape = shape_of(self.generator, config.moved)
        if not shape.moved:
            msg = (
                f"editing.mapper must move coarse, middle or fine rows that there are, "
                f"got {', '.join(config.moved)} for {self.generator.identity}, whose w "
                f"has {self.generator.num_ws} rows. Set no_coarse: false."
            )
            raise InputError(msg)
        return shape


@torch.no_grad()
def draw_latents(
    teachers: MapperTeachers, num: int, psi: float, seed: int, part: int | str
) -> Tensor:
    """Return random w, [num, num_ws, w_dim], that seed and part decide.

    Args:
        teachers: With the generator and the device.
        num: How many.
        psi: Their truncation.
        seed: Of the training.
        part: The step, or what else they are for.
    """
    random = make_generator(seed, "mapper_latents", part)
    z = torch.randn(num, teachers.generator.z_dim, generator=random)
    return teachers.generator.mapping(z.to(teachers.device), psi=psi)
