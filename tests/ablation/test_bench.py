"""Drawing and scoring of variants, in a world of three colours."""

from dataclasses import replace

import numpy as np
import torch
from ablation.world import make_bench, make_settings

from clip2latent_kedro.ablation.bench import choose_best
from clip2latent_kedro.study import Drawn, Queries


def test_each_kept_sample_is_the_best_of_its_own_rounds():
    angles = np.array([[60, 10, 40, 80, 0, 20], [5, 5, 50, 0, 90, 1]])  # 2 prompts
    radians = np.deg2rad(angles)
    embedding = np.stack([np.cos(radians), np.sin(radians)], axis=-1)
    numbers = np.arange(12).reshape(2, 6)
    images = np.broadcast_to(numbers[..., None, None, None], (2, 6, 1, 1, 3))
    distance = np.abs(numbers[:, :, None] - numbers[:, None, :])
    drawn = Drawn(images, embedding, distance, numbers[..., None], None, embedding * 2)
    queries = Queries(["a", "b"], torch.tensor([[1.0, 0], [1, 0]]), np.empty((2, 0)))
    # samples 0, 2, 4 are the rounds of kept sample 0; 1, 3, 5 those of kept sample 1
    best = choose_best(drawn, queries, 3, 2)
    assert best.images[..., 0, 0, 0].tolist() == [[4, 1], [6, 9]]
    assert best.seen[..., 0].tolist() == [[4, 1], [6, 9]]
    np.testing.assert_array_equal(best.held_out_embedding, best.image_embedding * 2)
    assert best.w is None
    assert best.pixel_distance.tolist() == [[[0, 3], [3, 0]], [[0, 3], [3, 0]]]
    first = choose_best(drawn, queries, 2, 2)
    assert first.seen[..., 0].tolist() == [[2, 1], [6, 9]]
    assert choose_best(drawn, queries, 1, 2).seen[..., 0].tolist() == [[0, 1], [6, 7]]


def test_what_is_chosen_does_not_depend_on_what_is_chosen_beside_it():
    bench, settings = make_bench(spread=1.0), make_settings()
    more = {"num_samples": 2, "strip_prompts": 2, "seed": 3}
    together = bench.try_settings(bench.prior, settings, [1, 2, 5], **more)
    for best_of, (scores, pictures) in zip((1, 2, 5), together, strict=True):
        ((alone, own),) = bench.try_settings(bench.prior, settings, [best_of], **more)
        assert alone.keys() == scores.keys()
        for name in alone:
            np.testing.assert_allclose(alone[name], scores[name], rtol=1e-5)
        assert np.abs(own.astype(int) - pictures).max() <= 1  # of another batch
    cosines = [scores["clip_score"] for scores, _ in together]
    assert cosines == sorted(cosines)
    assert cosines[2] > cosines[0]


def test_pictures_are_drawn_again_of_their_embeddings():
    """Without spread the colour of a picture is that of its embedding."""
    bench = make_bench()
    settings = replace(make_settings(), condition="image")
    ((scores, pictures),) = bench.try_settings(
        bench.prior, settings, [1], num_samples=2, strip_prompts=2, seed=0
    )
    assert scores["clip_diversity"] < 1e-6
    assert pictures.shape == bench.given.shape == (2, 4, 4, 3)
    texts = bench.try_settings(
        bench.prior, make_settings(), [1], num_samples=2, strip_prompts=2, seed=0
    )
    assert texts[0][0]["clip_score"] != scores["clip_score"]
