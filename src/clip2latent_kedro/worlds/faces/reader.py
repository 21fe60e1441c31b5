"""All attributes of a face: what networks of others read, and what pixels say."""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.worlds.faces.age_gender import AgeGenderReader, load_age_gender
from clip2latent_kedro.worlds.faces.attributes import ATTRIBUTES
from clip2latent_kedro.worlds.faces.emotion import (
    EMOTIONS,
    EmotionReader,
    load_emotion,
)
from clip2latent_kedro.worlds.faces.measures import (
    measure_background,
    measure_light,
    measure_tone,
)
from clip2latent_kedro.worlds.faces.pose import PoseReader, load_pose

# Sad, angry and disgusted faces of this generator are hardly told apart, nor frightened
# and surprised ones; what is left are three expressions that can be seen.
_EXPRESSIONS = {
    "smiling": ("happy",),
    "serious": ("neutral", "sad", "angry", "disgust"),
    "surprised": ("surprise", "fear"),
}
_AGE, _AGE_WIDTH = 28.0, 5.0  # years, about the samples' median


@dataclass(frozen=True)
class FaceReader:
    """What reads the attributes.

    Attributes:
        age_gender: Reads `age` and `gender`.
        emotion: Reads `expression`.
        pose: Reads `pose`; the rest is measured.
    """

    age_gender: AgeGenderReader
    emotion: EmotionReader
    pose: PoseReader

    @property
    def identity(self) -> Identity:
        """Of all of them as one."""
        parts = (self.age_gender, self.emotion, self.pose)
        digests = "".join(part.identity.digest for part in parts)
        return Identity("faces_reader", hashlib.sha256(digests.encode()).hexdigest())

    @torch.inference_mode()
    def probabilities(self, image: Tensor) -> list[Tensor]:
        """Return for each of `ATTRIBUTES` the values' probabilities, [n, num_values].

        Args:
            image: [n, 3, h, w] in [-1, 1], each a face that fills the picture.
        """
        found = self.age_gender.read(image)
        man = found.male_probability
        old = ((found.age - _AGE) / _AGE_WIDTH).sigmoid()
        read = {
            "gender": torch.stack([1 - man, man], dim=1),
            "age": torch.stack([1 - old, old], dim=1),
            "expression": join_emotions(self.emotion.probabilities(image)),
            "pose": self.pose.probabilities(image),
            "light": measure_light(image),
            "tone": measure_tone(image),
            "background": measure_background(image),
        }
        return [read[name] for name in ATTRIBUTES]

    def to(self, device: str) -> "FaceReader":
        """Move what can be moved to a device and return self."""
        self.emotion.to(device)
        return self


def join_emotions(probabilities: Tensor) -> Tensor:
    """Return the probabilities of the expressions, [n, 3].

    Args:
        probabilities: Of `EMOTIONS`, [n, 7].
    """
    columns = [
        sum(probabilities[:, EMOTIONS.index(name)] for name in names)
        for names in _EXPRESSIONS.values()
    ]
    return torch.stack([torch.as_tensor(column) for column in columns], dim=1)


def load_reader() -> FaceReader:
    """Return the reader with the weights of others (see the extra `faces`).

    Raises:
        InputError: If a package of the extra is missing, or has other weights.
    """
    return FaceReader(load_age_gender(), load_emotion(), load_pose())
