"""Whether there is a face in a picture, by dlib's detector.

It slides a window over histograms of gradients (Dalal and Triggs 2005; King 2009) and
wants faces of some 80 pixels; smaller pictures are enlarged first. It knows nothing of
the networks that read the faces, so that the share of pictures in which it finds one
tells artefacts from faces.
"""

import torch
from torch import Tensor

from clip2latent_kedro.downloads.packages import import_installed
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.worlds.faces.resizing import resize

_SIDE = 128  # pixels that a picture is enlarged to


class FaceDetector:
    """dlib's detector of faces seen from the front; on the CPU, without gradients."""

    def __init__(self) -> None:
        """Build it: its weights are in dlib's code.

        Raises:
            InputError: If dlib is not installed.
        """
        dlib = import_installed("dlib", "dlib-bin")
        self._detector = dlib.get_frontal_face_detector()
        self.identity = Identity("dlib/frontal_face_detector", dlib.__version__)

    def detect(self, image: Tensor) -> Tensor:
        """Return whether a face is found, [n] bool, in images [n, 3, h, w] in [-1, 1].

        Pictures smaller than 128 pixels are enlarged to that.
        """
        large = image.detach()
        if min(image.shape[-2:]) < _SIDE and len(image):
            large = resize(large, _SIDE)
        found = [len(self._detector(each)) > 0 for each in image_to_uint8(large)]
        return torch.tensor(found, dtype=torch.bool, device=image.device)
