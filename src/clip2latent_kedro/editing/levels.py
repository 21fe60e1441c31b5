"""Coarse, middle and fine rows of w."""

from clip2latent_kedro.interfaces import Generator

Levels = tuple[slice, slice, slice]
"""Rows of w that decide the coarse, the middle and the fine of a picture."""

_STYLEGAN2_ENDS = (4, 8)  # rows below 16 px and below 64 px
_STYLEGAN3 = "stylegan3"


def split_levels(num_ws: int) -> Levels:
    """Return the levels of a StyleGAN2, by the resolution that a row is used at.

    Rows 0 to 3 decide 4 and 8 px, rows 4 to 7 decide 16 and 32 px, the others more.
    These are the levels of StyleGAN (Karras et al. 2019, section 3.1) and of
    StyleCLIP's mappers. A generator of 32 px or less has no fine rows.

    Args:
        num_ws: Rows of w, 1 or more.
    """
    first, second = (min(end, num_ws) for end in _STYLEGAN2_ENDS)
    return slice(0, first), slice(first, second), slice(second, num_ws)


def split_in_thirds(num_ws: int) -> Levels:
    """Return three levels of equal size, as nearly as may be.

    They suit StyleGAN3, most of whose layers do not double the resolution: of its 16
    rows 0 to 4 are coarse, 5 to 10 middle and 11 to 15 fine.

    Args:
        num_ws: Rows of w, 1 or more.
    """
    first, second = round(num_ws / 3), round(2 * num_ws / 3)
    return slice(0, first), slice(first, second), slice(second, num_ws)


def levels_of(generator: Generator) -> Levels:
    """Return the levels of a generator: thirds of a StyleGAN3's, or of a StyleGAN2's.

    Args:
        generator: Whose identity's name says of what kind it is.
    """
    if generator.identity.name.partition("/")[0] == _STYLEGAN3:
        return split_in_thirds(generator.num_ws)
    return split_levels(generator.num_ws)
