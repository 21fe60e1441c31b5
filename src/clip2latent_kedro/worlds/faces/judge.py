"""The judge of faces: the networks and measures that the captions came from.

The package index has no other networks that read gender and age of 64 pixels, so this
judge is what wrote the labels of the captions. It is not independent of them: it says
whether a picture is what the labels would call so. It has no part in the CLIPs, the
generator and the prior, so what pleases a CLIP alone does not please it. Whether there
is a face at all is told by dlib's detector, which the captions know nothing of.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.worlds.faces.attributes import ATTRIBUTES, labels_of
from clip2latent_kedro.worlds.faces.detector import FaceDetector
from clip2latent_kedro.worlds.faces.reader import FaceReader, load_reader


class FacesJudge:
    """The reader behind the protocols `Judge` and `CertainJudge`, with a detector.

    Its probabilities are what the networks say, and for measures of pixels logistic
    functions of the distance from a threshold (see `measures`).
    """

    def __init__(self, reader: FaceReader, detector: FaceDetector) -> None:
        """Join them."""
        self.reader = reader
        self.detector = detector
        self.attributes: Mapping[str, Sequence[str]] = ATTRIBUTES
        both = reader.identity.digest + detector.identity.digest
        digest = hashlib.sha256(both.encode()).hexdigest()
        self.identity = Identity("faces_judge", digest)

    def classify(self, image: Tensor) -> Tensor:
        """Return value indices, [n, num_attributes], of images in [-1, 1]."""
        return labels_of(self.probabilities(image))

    def probabilities(self, image: Tensor) -> list[Tensor]:
        """Return each attribute's probabilities, [n, num_values], of images."""
        return self.reader.probabilities(image)

    def detect(self, image: Tensor) -> Tensor:
        """Return whether a face is found, [n] bool."""
        return self.detector.detect(image)

    def to(self, device: str) -> "FacesJudge":
        """Move what can be moved to a device and return self."""
        self.reader.to(device)
        return self


def load_faces_judge(path: Path | None, options: Mapping[str, Any]) -> FacesJudge:
    """Return the judge, whose weights come with the extra `faces`.

    Args:
        path: None, as there is no file of its own.
        options: None are known.

    Raises:
        InputError: If there is a path or an option, or a package is missing.
    """
    if path is not None or options:
        msg = (
            f"A faces_judge takes no filepath and no options, got {path} and "
            f"{sorted(options)}. Remove them."
        )
        raise InputError(msg)
    return FacesJudge(load_reader(), FaceDetector())
