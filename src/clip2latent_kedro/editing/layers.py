"""Which rows of w decide what: coarse, middle and fine ones."""

from collections.abc import Sequence
from typing import Literal

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Generator

LayerGroup = Literal["coarse", "middle", "fine"]
Layers = LayerGroup | list[int]
_COARSE, _MIDDLE, _ALL = 4, 8, 18  # where groups end at 1024 px, of 18 rows
_LEAST_BY_RESOLUTION = 10  # rows of a StyleGAN2 at 64 px, the first with fine ones
_LEAST = 3  # one for each group


def layer_groups(
    num_ws: int, *, by: Literal["resolution", "depth"] = "resolution"
) -> dict[LayerGroup, list[int]]:
    """Return the rows of w in each group.

    At 1024 px, 18 rows, they are 0-3, 4-7 and 8-17: those of 4 and 8 px, of 16 and
    32 px, of 64 px and more, two rows for each resolution. A StyleGAN2 of another size
    has the same rows at the same resolutions, and so the same groups with fewer or more
    fine rows. Below 64 px none would be fine, and the rows of a StyleGAN3 have no
    resolution of their own: its cutoffs rise evenly from the first layer to the last,
    whatever the size. Both are divided by depth, at the same shares of the rows as
    above. For a StyleGAN3 of 16 rows that is 0-3, 4-6 and 7-15: at 1024 px the cutoffs
    of details of up to 10 px an image, of 16 to 40, and of 64 and more.

    Args:
        num_ws: Rows of w.
        by: `depth` for a StyleGAN3.

    Raises:
        InputError: If there are fewer rows than groups.
    """
    if num_ws < _LEAST:
        msg = (
            f"Style mixing takes a generator of {_LEAST} rows of w or more, got "
            f"{num_ws}: there is nothing to mix. Use a StyleGAN."
        )
        raise InputError(msg)
    first, second = _COARSE, _MIDDLE
    if by == "depth" or num_ws < _LEAST_BY_RESOLUTION:
        first = min(max(1, round(num_ws * _COARSE / _ALL)), num_ws - 2)
        second = min(max(first + 1, round(num_ws * _MIDDLE / _ALL)), num_ws - 1)
    rows = list(range(num_ws))
    return {
        "coarse": rows[:first],
        "middle": rows[first:second],
        "fine": rows[second:],
    }


def read_layers(layers: Layers | None, generator: Generator) -> list[int]:
    """Return the rows of w that a setting names.

    Args:
        layers: A group, a list of rows, or None for all.
        generator: Whose rows they are.

    Raises:
        InputError: If it has none of these.
    """
    if layers is None:
        return list(range(generator.num_ws))
    if isinstance(layers, str):
        is_stylegan3 = generator.identity.name.startswith("stylegan3")
        by: Literal["resolution", "depth"] = "depth" if is_stylegan3 else "resolution"
        return layer_groups(generator.num_ws, by=by)[layers]
    check_layers(layers, generator.num_ws, "layers")
    return list(layers)


def check_layers(layers: Sequence[int], num_ws: int, name: str) -> None:
    """Check that rows of w are there.

    Raises:
        InputError: If one is not; the message begins with the name.
    """
    if not all(0 <= layer < num_ws for layer in layers):
        msg = f"{name} must be of 0 to {num_ws - 1}, got {list(layers)[:20]}."
        raise InputError(msg)
