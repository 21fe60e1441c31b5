"""What a variant may change, and what comes of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Annotated, Any, Literal

from annotated_types import Ge

from clip2latent_kedro.checked import Checked, PositiveInt
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.prior.config import TrainConfig
from clip2latent_kedro.prior.diffusion import DiffusionConfig
from clip2latent_kedro.prior.ensemble import Member
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.samplers import SamplingConfig

Condition = Literal["text", "image"]
Overrides = Mapping[str, Any]
"""Values by dotted name, such as `sampling.psi`, or by a name of `OWN`."""

# Settings of a run that an ablation may change, by the group that they stand in.
GROUPS: dict[str, list[str]] = {
    "sampling": [field.name for field in fields(SamplingConfig)],
    "data": ["bs", "embed_noise_scale"],
    "model.network": [field.name for field in fields(NetworkConfig)],
    "model.diffusion": [field.name for field in fields(DiffusionConfig)],
    "train": [
        field.name
        for field in fields(TrainConfig)
        if field.name not in ("val_it", "val_pairs", "best_by", "save_it")
    ],
}
OWN = {
    "num_pairs": "pairs that the prior is trained on; null for all",
    "best_of": "samples that CLIP chooses one from",
    "condition": "text, or image: embeddings of pictures that training never saw",
}
KNOWN = [f"{group}.{name}" for group, names in GROUPS.items() for name in names]
KNOWN += OWN


def needs_training(name: str) -> bool:
    """Return whether another value of a setting means another prior."""
    return name == "num_pairs" or not name.startswith(("sampling.", *OWN))


def describe_override(name: str, value: Any) -> str:
    """Return an override in words, such as `psi 0.7`."""
    absent = "all" if name == "num_pairs" else "none"
    return f"{name.rpartition('.')[2]} {absent if value is None else value}"


@dataclass(frozen=True)
class Settings(Checked):
    """Everything that an ablation may change.

    Attributes:
        sampling: `params:sampling`.
        data: `params:data`.
        network: `params:model.network`.
        diffusion: `params:model.diffusion`.
        train: `params:train`.
        num_pairs: Pairs that the prior is trained on; None for all.
        best_of: Samples that CLIP chooses one from.
        condition: What the pictures are drawn of.
    """

    sampling: SamplingConfig
    data: DataConfig
    network: NetworkConfig
    diffusion: DiffusionConfig
    train: TrainConfig
    num_pairs: Annotated[int, Ge(2)] | None = None
    best_of: PositiveInt = 1
    condition: Condition = "text"

    def change(self, overrides: Overrides) -> "Settings":
        """Return the settings with some of them changed.

        Args:
            overrides: With names of `KNOWN`.

        Raises:
            InputError: If a value is out of its range.
        """
        changed: dict[str, Any] = {}
        for name, value in overrides.items():
            group, _, field = name.rpartition(".")
            if not group:
                changed[name] = value
                continue
            attribute = group.rpartition(".")[2]
            part = changed.get(attribute, getattr(self, attribute))
            changed[attribute] = replace(part, **{field: value})
        return replace(self, **changed)

    def as_member(self, seed: int) -> Member:
        """Return what decides a prior that is trained so."""
        return Member(
            self.data, self.network, self.diffusion, self.train, seed, self.num_pairs
        )

    def training(self) -> dict[str, Any]:
        """Return all that decides such a prior but the pairs, as plain JSON."""
        member = asdict(self.as_member(0))
        del member["seed"]
        for name in ("val_it", "val_pairs", "best_by", "save_it"):
            del member["train"][name]  # they decide nothing that an ablation sees
        return member
