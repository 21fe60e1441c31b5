"""CLIP2GAN: one w for each text, by a mapping network trained on images."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from clip2latent_kedro.interfaces import Generator
from clip2latent_kedro.methods.clip2gan import BRIDGES, Bridge, Clip2Gan, map_to_w
from clip2latent_kedro.study.method import Queries
from clip2latent_kedro.study.models import Models
from clip2latent_kedro.study.rows import Allowed, LackingError, Row, RowSpec

ALLOWED = Allowed(own={"bridge": BRIDGES})
CAVEAT = (
    "CLIP2GAN is known by its abstract alone: network, noise and mean shift are ours. "
    "Its default settings are the best of 7 that were tried on prompts of the bank, "
    "those of clip2latent's sampling of 91."
)


@dataclass(frozen=True)
class MappedText:
    """w of the text itself; all samples of a prompt are the same.

    Attributes:
        generator: w -> image.
        model: On the device of the embeddings.
        bridge: From texts to where the model knows embeddings.
    """

    gives_w: ClassVar[bool] = True

    generator: Generator
    model: Clip2Gan
    bridge: Bridge

    def sample(self, queries: Queries, *, num_samples: int, seed: int) -> Tensor:
        """Return w, [num_prompts, num_samples, num_ws, w_dim]."""
        w = map_to_w(self.model, queries.embedding, bridge=self.bridge)
        return w[:, None].repeat(1, num_samples, 1, 1)

    def synthesise(self, samples: Tensor) -> Tensor:
        """Return images of w."""
        return self.generator.synthesis(samples, noise_mode="const")


def build(spec: RowSpec, models: Models, queries: Queries) -> Row:
    """Return a row of CLIP2GAN.

    Raises:
        LackingError: If none has been trained for this generator and this encoder, or
            the bridge needs a mean that it does not know.
    """
    model: Clip2Gan = models.need_baseline("clip2gan").to(models.device)
    encoder = models.embedder or models.encoder
    for role, trained, given in (
        ("generator", model.generator_identity, models.generator.identity),
        ("encoder", model.encoder_identity, encoder.identity),
    ):
        if trained.digest != given.digest:
            msg = (
                f"clip2gan was trained for the {role} {trained}, got {given}. Run the "
                f"pipeline baselines, or point the catalog entry clip2gan at another."
            )
            raise LackingError(msg)
    bridge: Bridge = ALLOWED.get(spec.settings, "bridge")
    if bridge == "mean_shift" and model.embedding_statistics.text_mean is None:
        msg = (
            f"evaluation.rows.{spec.name}.bridge must be none for a clip2gan that does "
            f"not know the mean of texts. Give it a prompt_bank, or set bridge: none."
        )
        raise LackingError(msg)
    method = MappedText(models.generator, model, bridge)
    return Row(
        method,
        settings={"bridge": bridge},
        made_with={"clip2gan": model.identity.digest},
        timed=method,
        one_answer=True,
        training_seconds=model.training_seconds,
        caveats=(CAVEAT,),
    )
