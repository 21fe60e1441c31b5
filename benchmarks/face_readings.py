"""What the readers of faces say of samples, by how far z is pulled to its centre.

    uv run --extra faces python benchmarks/face_readings.py

Prints a line of JSON for the machine and one for each psi: the share of samples in
which the detector finds a face; of those that are read as male, and as either with over
0.9; the ages at 5, 50 and 95 % of the samples; the share that is read as happy; and the
processor time of each reader, milliseconds a picture, on one thread.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from clip2latent_kedro.downloads import fetch
from clip2latent_kedro.generators import load_generator
from clip2latent_kedro.runtime import describe_machine, make_generator
from clip2latent_kedro.worlds.faces.age_gender import load_age_gender
from clip2latent_kedro.worlds.faces.detector import FaceDetector
from clip2latent_kedro.worlds.faces.emotion import EMOTIONS, load_emotion

T = TypeVar("T")
QUANTILES = (0.05, 0.5, 0.95)
CERTAIN = 0.9


def main() -> None:
    """Print the readings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--generator", default="package://gan_face_generate/weights.tar"
    )
    parser.add_argument("--samples", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--psi", nargs="+", type=float, default=[0.3, 0.5, 0.7, 0.85, 1.0, 1.3]
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    generator = load_generator("dcgan", fetch(arguments.generator))
    detector, age_gender, emotion = FaceDetector(), load_age_gender(), load_emotion()
    random = make_generator(arguments.seed, "face_readings")
    z = torch.randn(arguments.samples, generator.z_dim, generator=random)
    print(json.dumps({"machine": describe_machine(), **vars(arguments)}))
    for psi in arguments.psi:
        image = synthesise(generator.mapping(z, psi=psi), generator.synthesis)
        found, detector_ms = timed(detector.detect, image)
        read, age_gender_ms = timed(age_gender.read, image)
        shown, emotion_ms = timed(emotion.probabilities, image)
        male = read.male_probability
        row = {
            "detected": share(found),
            "male": share(male > 0.5),
            "gender_certain": share((male - 0.5).abs() > CERTAIN - 0.5),
            "ages": [
                round(q) for q in read.age.quantile(torch.tensor(QUANTILES)).tolist()
            ],
            "happy": share(shown.argmax(dim=1) == EMOTIONS.index("happy")),
            "detector_ms": detector_ms,
            "age_gender_ms": age_gender_ms,
            "emotion_ms": emotion_ms,
        }
        print(json.dumps({"psi": psi, **row}), flush=True)


@torch.inference_mode()
def synthesise(w: Tensor, synthesis: Callable[[Tensor], Tensor]) -> Tensor:
    """Return images of w, a batch at a time."""
    return torch.cat([synthesis(part) for part in w.split(64)])


def timed(read: Callable[[Tensor], T], image: Tensor) -> tuple[T, float]:
    """Return what is read, and the milliseconds of processor time for each picture."""
    began = time.process_time()
    found = read(image)
    return found, round((time.process_time() - began) / len(image) * 1e3, 2)


def share(values: Tensor) -> float:
    """Return the mean of booleans."""
    return round(float(values.float().mean()), 3)


if __name__ == "__main__":
    main()
