"""What is measured on the pixels of a face: light, tone and background.

Each is a number with one threshold and a width about it; the logistic function makes
of them a probability, which says how far from the threshold a picture is and nothing of
how often anyone errs. The places are fixed, as the generator puts faces in the middle.
So these are facts about pixels, sound as far as words go: "in dim light" is said of
dark skin in daylight too, since a picture of 64 pixels does not tell the two apart; and
the background is that of both upper sides, where long hair may stand as well.
"""

import torch
from torch import Tensor

_GREY = (0.299, 0.587, 0.114)  # of red, green and blue
_SIDE = 64  # pixels that the places below are told in
_FACE = (slice(20, 50), slice(18, 46))  # rows and columns
_BESIDE = ((slice(2, 34), slice(1, 6)), (slice(2, 34), slice(58, 63)))
_LIGHT, _LIGHT_WIDTH = 0.31, 0.05  # grey of the face, 0 to 1
_TONE, _TONE_WIDTH = 0.43, 0.1  # log of its red over its blue
_BACKGROUND, _BACKGROUND_WIDTH = 0.36, 0.06  # grey beside the face
_BLUE, _BLUE_WIDTH = 0.02, 0.012  # blue beside it, above the most of red and green
_DARK = 0.02  # keeps the log finite


def measure_light(image: Tensor) -> Tensor:
    """Return the probabilities of `dim` and `bright`, [n, 2].

    Args:
        image: [n, 3, h, w] in [-1, 1], each a face that fills the picture.
    """
    return _two_values((_grey(_mean(image, _FACE)) - _LIGHT) / _LIGHT_WIDTH)


def measure_tone(image: Tensor) -> Tensor:
    """Return the probabilities of `cold` and `warm`, [n, 2] (see `measure_light`)."""
    colour = _mean(image, _FACE)
    ratio = ((colour[:, 0] + _DARK) / (colour[:, 2] + _DARK)).log()
    return _two_values((ratio - _TONE) / _TONE_WIDTH)


def measure_background(image: Tensor) -> Tensor:
    """Return the probabilities of `dark`, `light` and `blue`, [n, 3].

    Blue is first told from the rest, which is then dark or light.
    """
    colour = torch.stack([_mean(image, place) for place in _BESIDE]).mean(0)
    excess = colour[:, 2] - colour[:, :2].max(1).values
    blue = ((excess - _BLUE) / _BLUE_WIDTH).sigmoid()[:, None]
    others = _two_values((_grey(colour) - _BACKGROUND) / _BACKGROUND_WIDTH)
    return torch.cat([others * (1 - blue), blue], dim=1)


def _two_values(score: Tensor) -> Tensor:
    """Return [n, 2]: the probabilities that a score, [n], is below 0 and above."""
    return torch.stack([(-score).sigmoid(), score.sigmoid()], dim=1)


def _mean(image: Tensor, place: tuple[slice, slice]) -> Tensor:
    """Return the mean colour of a place, [n, 3], from 0 to 1."""
    rows, columns = (
        _scaled(part, size) for part, size in zip(place, image.shape[2:], strict=True)
    )
    return (image[:, :, rows, columns].mean((2, 3)).clamp(-1, 1) + 1) / 2


def _scaled(part: slice, size: int) -> slice:
    start, stop = (round(end * size / _SIDE) for end in (part.start, part.stop))
    return slice(start, max(stop, start + 1))


def _grey(colour: Tensor) -> Tensor:
    return colour @ colour.new_tensor(_GREY)
