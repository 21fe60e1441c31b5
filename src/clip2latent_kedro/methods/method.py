"""What a method of the comparison is asked, and what it must offer."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Generator

if TYPE_CHECKING:
    from clip2latent_kedro.methods.models import Models


class UnavailableError(InputError):
    """The domain does not have what a method needs; the message says what brings it."""


def not_trained(name: str) -> UnavailableError:
    """Return the error for a method that must be trained first, by its entry."""
    return UnavailableError(
        f"There is no {name}. Point the catalog entry {name} at its file, which the "
        f"pipeline baselines makes."
    )


@dataclass(frozen=True)
class Queries:
    """Prompts, with all that is known of them.

    Attributes:
        texts: The prompts.
        embedding: Of the texts, as the encoder gives it, [num_prompts, clip_dim].
        stated: Value indices that the texts state, -1 for an attribute left open,
            [num_prompts, num_attributes] int; no columns without a judge.
        held_out_embedding: Of the texts by the encoder that only scores, [num_prompts,
            its clip_dim]; None without one.
    """

    texts: list[str]
    embedding: Tensor
    stated: np.ndarray
    held_out_embedding: Tensor | None = None

    def take(self, prompts: Sequence[int]) -> "Queries":
        """Return some of the prompts, by their numbers."""
        rows = list(prompts)
        held_out = self.held_out_embedding
        return replace(
            self,
            texts=[self.texts[row] for row in rows],
            embedding=self.embedding[rows],
            stated=self.stated[rows],
            held_out_embedding=None if held_out is None else held_out[rows],
        )


@dataclass(frozen=True)
class Trajectory:
    """Where a method that goes step by step was on its way.

    Attributes:
        steps: After how many steps, rising, k of them.
        samples: What it had then, [k, num_prompts, num_samples, ...].
    """

    steps: Sequence[int]
    samples: Tensor


@dataclass(frozen=True)
class NoSettings:
    """The settings of a method that has none."""


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """One way from prompts to images, in two stages that are timed apart.

    Attributes:
        Settings: A frozen, validated dataclass. Its fields are all that a row of the
            evaluation, a variant of a sweep or one of an ablation can set.
        parameters: The group of the parameter tree that `Settings` extends and that
            gives its values, such as `sampling`, in which `{variant}` stands for
            the value of one of the method's own settings; None without such a group.
        gives_w: Whether samples are w, [num_prompts, num_samples, num_ws, w_dim].
        settings: The settings of this one, an instance of `Settings`.
        made_with: Digests or recipes of what decides its samples beside the generator
            and the encoder, as plain JSON.
        prompts: Numbers of the prompts that it has samples of; None for all.
        is_deterministic: Whether the samples of a prompt are all the same.
        ignores_seed: Whether they are the same for every seed.
        training_seconds: What its training took beside that of the two frozen models;
            None if unknown.
        caveats: Sentences that a claim about it must not leave unsaid.
    """

    Settings: ClassVar[type] = NoSettings
    parameters: ClassVar[str | None] = None
    gives_w: ClassVar[bool] = True

    settings: Any = field(default_factory=NoSettings)
    made_with: Mapping[str, Any] = field(default_factory=dict)
    prompts: Sequence[int] | None = None
    is_deterministic: bool = False
    ignores_seed: bool = False
    training_seconds: float | None = None
    caveats: Sequence[str] = ()

    @classmethod
    @abstractmethod
    def build(cls, settings: Any, models: "Models", queries: Queries) -> Self:
        """Return the method, ready to sample.

        Args:
            settings: An instance of `Settings`.
            models: All that it may sample with.
            queries: All prompts that it will be asked.

        Raises:
            UnavailableError: If the domain lacks something that the method takes.
            InputError: If the settings do not suit the models; the caller says whose
                settings they are.
        """

    @abstractmethod
    def sample(self, queries: Queries, *, num_samples: int, seed: int) -> Tensor:
        """Return what decides each image, [num_prompts, num_samples, ...].

        The most promising sample comes first if one is. Sample j of prompt i depends
        on (seed, i, j) and on the queries alone. A method may have fewer samples.
        """

    @abstractmethod
    def synthesise(self, samples: Tensor) -> Tensor:
        """Return images, [n, 3, h, w] in [-1, 1], of n samples, [n, ...]."""

    def sample_with_trajectory(
        self, queries: Queries, *, num_samples: int, seed: int
    ) -> tuple[Tensor, Trajectory | None]:
        """Return what `sample` does, and the way there if the method goes in steps."""
        return self.sample(queries, num_samples=num_samples, seed=seed), None

    def timed(self, guidance_scale: float) -> "Method | None":
        """Return the method that is timed: this one without its curve and its bars.

        Args:
            guidance_scale: Of the timing's protocol, if the method has such a setting.

        Returns:
            None if the samples are not made from text.

        Raises:
            InputError: If the method cannot have this guidance.
        """
        return self

    def list_settings(self) -> dict[str, Any]:
        """Return all settings by name, as plain JSON, the method's own ones first."""
        values = asdict(self.settings)
        own = [name for name in self.own_settings() if name in values]
        return {name: values[name] for name in [*own, *values]}

    @classmethod
    def own_settings(cls) -> list[str]:
        """Return the names of settings that `parameters` lacks."""
        of_group = cls.Settings.__base__ if cls.parameters is not None else None
        known = {f.name for f in fields(of_group)} if of_group is not None else set()
        return [f.name for f in fields(cls.Settings) if f.name not in known]


@dataclass(frozen=True, kw_only=True)
class LatentMethod(Method):
    """A method whose samples are w of the domain's generator.

    Attributes:
        generator: w -> image, on the device of the embeddings.
    """

    generator: Generator

    def synthesise(self, samples: Tensor) -> Tensor:
        """Return images of w."""
        return self.generator.synthesis(samples, noise_mode="const")
