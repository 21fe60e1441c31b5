import numpy as np
import pytest

from clip2latent_kedro.metrics.modality_gap import modality_gap


def test_by_hand():
    gap = modality_gap(np.array([[2.0, 0], [0, 3]]), np.array([[5.0, 0], [4, 3]]))
    # Means of the directions: [0.5, 0.5] and [0.9, 0.3].
    assert gap.mean_cosine == pytest.approx(0.6 / (0.5**0.5 * 0.9**0.5))


def test_several_of_a_text_are_compared_with_all_images_of_it():
    rng = np.random.default_rng(0)
    text, image = rng.standard_normal((3, 2, 5)), rng.standard_normal((3, 4, 5))
    gap = modality_gap(text, image)
    text /= np.linalg.norm(text, axis=2, keepdims=True)
    image /= np.linalg.norm(image, axis=2, keepdims=True)
    pairs = [u @ v for n in range(3) for u in text[n] for v in image[n]]
    assert gap.paired_cosine == pytest.approx(np.mean(pairs))
    difference = text.mean((0, 1)) - image.mean((0, 1))
    assert gap.mean_distance == pytest.approx(np.linalg.norm(difference))


def test_texts_and_images_must_match():
    with pytest.raises(ValueError, match="images of 2 texts, got 3"):
        modality_gap(np.ones((2, 4)), np.ones((3, 4)))
