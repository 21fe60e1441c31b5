"""Settings of the latent mapper's training: `params:editing.mapper`."""

from collections.abc import Iterator
from dataclasses import dataclass

from clip2latent_kedro.checked import (
    Checked,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Rule,
)
from clip2latent_kedro.editing.mapper.network import LEVEL_NAMES, LevelName


@dataclass(frozen=True)
class MapperConfig(Checked):
    """How a mapper is trained for each target (Patashnik et al. 2021, section 5).

    Attributes:
        only: Names of the targets to train for; None for all.
        no_coarse: Leave the coarse rows as they are.
        no_middle: Likewise the middle ones.
        no_fine: Likewise the fine ones, where colours are to stay.
        clip_weight: Weight of 1 - cosine of picture and text.
        id_weight: Weight of 1 - cosine of the features that tell who it is, before
            and after; without such features it is left out.
        l2_weight: Weight of the mean squared change of w.
        psi: Truncation of the w that it is trained on.
        bs: Pictures a step.
        max_it: Training steps.
        lr: Peak learning rate of Adam.
        rise: Share of the steps in which it rises, linearly.
        fall: Share of the steps, the last, in which it falls to 0, as a cosine.
        num_measured: Other w that losses are measured on.
        save_it: Steps between saved states.
        num_processes: In which targets are trained side by side; None for as many as
            there are cores, 0 for none. It does not change what is learned.
    """

    only: list[str] | None
    no_coarse: bool
    no_middle: bool
    no_fine: bool
    clip_weight: PositiveFloat
    id_weight: NonNegativeFloat
    l2_weight: NonNegativeFloat
    psi: NonNegativeFloat
    bs: PositiveInt
    max_it: PositiveInt
    lr: PositiveFloat
    rise: NonNegativeFloat
    fall: NonNegativeFloat
    num_measured: PositiveInt
    save_it: PositiveInt
    num_processes: NonNegativeInt | None

    @property
    def moved(self) -> list[LevelName]:
        """Levels that move."""
        stays = (self.no_coarse, self.no_middle, self.no_fine)
        pairs = zip(LEVEL_NAMES, stays, strict=True)
        return [name for name, is_still in pairs if not is_still]

    def rules(self) -> Iterator[Rule]:
        """Yield that something moves."""
        yield bool(self.moved), "no_fine", "false where no other level moves"
