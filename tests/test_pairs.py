"""w depends on (seed, i) alone; stored pairs are continued, refused or made again."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from shipped import load_portraits
from torch import Tensor
from world import make_data

from clip2latent_kedro.engines import here
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.pairs import (
    GenerationConfig,
    ShardProgress,
    TrainingPairs,
    describe_recipe,
    generate_pairs,
    keep_progress,
    sample_w,
    sample_z,
    summarise_pairs,
    summarise_trained,
)


class LinearGenerator:
    """w = A z + layer number; the image is a random but fixed function of w."""

    z_dim, w_dim, num_ws, resolution = 8, 8, 6, 16
    identity = Identity("linear", "00")

    def __init__(self) -> None:
        random = torch.Generator().manual_seed(0)
        self.matrix = torch.randn(8, 8, generator=random)
        self.paint = torch.randn(48, 768, generator=random) / 48
        self.synthesised: list[int] = []

    @property
    def w_avg(self) -> Tensor:
        return torch.zeros(self.w_dim)

    def mapping(self, z: Tensor, *, psi: float = 1.0) -> Tensor:
        layer = torch.arange(self.num_ws).to(z)[:, None]
        return psi * (z @ self.matrix.T)[:, None] + layer

    def synthesis(self, w: Tensor, *, noise_mode: str = "const") -> Tensor:
        assert noise_mode == "const"
        self.synthesised.append(len(w))
        return (w.flatten(1) @ self.paint).tanh().view(-1, 3, 16, 16)

    def to(self, device: str) -> "LinearGenerator":
        return self


class MeanEncoder:
    """The mean of each channel in four quarters, and the size of the image."""

    embed_dim = 13
    identity = Identity("quarters/v1", "11")

    def encode_image(self, image: Tensor) -> Tensor:
        quarters = torch.nn.functional.adaptive_avg_pool2d(image, 2).flatten(1)
        return torch.cat([quarters, torch.full((len(image), 1), image.shape[-1])], 1)

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        raise InputError("no text")

    def to(self, device: str) -> "MeanEncoder":
        return self


DATA = make_data(n_latents=3, latent_dim=8, latent_repeats=[1, 2, 3])
GENERATION = GenerationConfig(
    n_samples=150,
    batch_size=7,
    out_image_size=8,
    psi=1.0,
    samples_per_shard=40,
    save_images=False,
    dtype="float32",
)


def stream(
    data=DATA,
    generation=GENERATION,
    *,
    generator=None,
    encoder=None,
    seed=3,
    engine=None,
    progress=None,
    resume=True,
):
    return generate_pairs(
        generator or LinearGenerator(),
        encoder or MeanEncoder(),
        data,
        generation,
        seed=seed,
        engine=engine or here("cpu"),
        progress=progress or ShardProgress(),
        resume=resume,
    )


def make(*settings, **options):
    return list(stream(*settings, **options))


def join(shards, name="w"):
    return np.concatenate([shard.arrays[name] for shard in shards])


def test_w_comes_from_one_z_per_group_read_at_the_group_start():
    """Group g is A z_g + (layers before it): 0, 1, 3 for groups of 1, 2, 3 layers."""
    generator = LinearGenerator()
    w = sample_w(generator, DATA, range(5, 9), seed=3, psi=0.5, device="cpu")
    z = sample_z(3, 0, num_latents=3, z_dim=8)[5:9]
    expected = 0.5 * z @ generator.matrix.T + torch.tensor([0.0, 1, 3])[:, None]
    torch.testing.assert_close(w, expected)


def test_groups_of_a_sample_are_independent():
    z = torch.cat([sample_z(3, block, 2, 8) for block in range(40)])  # [2560, 2, 8]
    correlation = np.corrcoef(z[:, 0].flatten(), z[:, 1].flatten())[0, 1]
    assert abs(correlation) < 4 / np.sqrt(z[:, 0].numel())
    assert abs(z.mean()) < 4 / np.sqrt(z.numel())
    assert abs(z.var() - 1) < 4 * np.sqrt(2 / z.numel())


def test_fewer_samples_are_the_first_ones_and_seeds_differ():
    few = make(generation=replace(GENERATION, n_samples=50))
    np.testing.assert_array_equal(join(few), join(make())[:50])
    assert not np.isclose(join(make(seed=4)), join(make())).any()


def test_resumed_equals_uninterrupted():
    whole = make()
    stored = whole[0], whole[2]
    progress = ShardProgress(whole[0].recipe, frozenset({0, 2}))
    resumed = {shard.index: shard for shard in [*stored, *make(progress=progress)]}
    assert sorted(resumed) == [0, 1, 2, 3]
    for name in ("w", "clip_embedding"):
        np.testing.assert_array_equal(
            join(whole, name), join([resumed[i] for i in range(4)], name)
        )


def test_a_whole_store_gives_one_empty_shard_and_computes_nothing():
    recipe = make()[0].recipe
    (shard,) = make(progress=ShardProgress(recipe, frozenset(range(4))))
    assert not shard.arrays
    assert not shard.fresh


def test_without_resume_everything_is_made_and_replaced():
    recipe = make()[0].recipe
    progress = ShardProgress({**recipe, "seed": 9}, frozenset(range(4)), problem="x")
    shards = make(progress=progress, resume=False)
    assert [shard.fresh for shard in shards] == [True, False, False, False]


def test_embedding_and_images_are_of_the_area_resized_image():
    (shard,) = make(
        generation=replace(
            GENERATION, n_samples=3, samples_per_shard=9, save_images=True
        )
    )
    generator = LinearGenerator()
    w = torch.from_numpy(shard.arrays["w"]).repeat_interleave(
        torch.tensor([1, 2, 3]), dim=1
    )
    image = torch.nn.functional.avg_pool2d(generator.synthesis(w), 2)
    torch.testing.assert_close(
        torch.from_numpy(shard.arrays["clip_embedding"]),
        MeanEncoder().encode_image(image),
    )
    assert shard.arrays["images"].shape == (3, 8, 8, 3)
    assert shard.arrays["images"].dtype == np.uint8
    back = torch.from_numpy(shard.arrays["images"]).permute(0, 3, 1, 2) / 127.5 - 1
    torch.testing.assert_close(back, image, atol=1 / 255 + 1e-6, rtol=0)


def test_dtype_and_native_size():
    settings = {"dtype": "float16", "out_image_size": None, "psi": 0.7}
    (shard,) = make(generation=replace(GENERATION, n_samples=2, **settings))
    assert {array.dtype for array in shard.arrays.values()} == {np.dtype("float16")}
    assert (shard.arrays["clip_embedding"][:, -1] == 16).all()


@pytest.mark.parametrize(
    ("change", "seed", "message"),
    [
        ({"psi": 0.5}, 3, r"psi \(stored 1.0, asked 0.5\).*resume:false"),
        ({"precision": "bfloat16"}, 3, r"precision .*asked 'bfloat16'"),
        ({}, 4, r"seed \(stored 3, asked 4\)"),
    ],
)
def test_other_settings_are_refused_and_named(change, seed, message):
    progress = ShardProgress(make()[0].recipe)
    with pytest.raises(InputError, match=message):
        make(generation=replace(GENERATION, **change), seed=seed, progress=progress)
    with pytest.raises(InputError, match="cannot be resumed: torn"):
        make(progress=ShardProgress(problem="torn."))


def test_another_batch_size_is_not_another_setting():
    config = replace(GENERATION, batch_size=1)
    recipe = describe_recipe(LinearGenerator(), MeanEncoder(), DATA, config, 3, "cpu")
    stored = ShardProgress(make()[0].recipe, frozenset({1}))
    assert keep_progress(recipe, stored) == stored


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"torch": "1.0"}, "torch (stored '1.0', asked "),
        ({"code": "0" * 64}, "code (stored '000000000000...', asked "),
        ({"device": "cuda"}, "device (stored 'cuda', asked 'cpu')"),
    ],
)
def test_pairs_of_other_code_versions_or_devices_are_made_again(change, reason, caplog):
    recipe = make()[0].recipe
    other = {**recipe, "versions": {**recipe["versions"], **change}}
    with caplog.at_level(logging.WARNING):
        shards = make(progress=ShardProgress(other, frozenset(range(4))))
    assert [shard.fresh for shard in shards] == [True, False, False, False]
    assert shards[0].recipe == recipe
    assert "training_pairs are made again: " + reason in caplog.text


def test_the_size_of_a_batch_rounds_embeddings_and_leaves_w_as_it_is():
    """What `pairs.generation` states, of the models that come with the project."""
    generator, encoder = load_portraits()
    repeats = [generator.num_ws]
    data = make_data(latent_repeats=repeats, latent_dim=generator.w_dim)

    def pairs_of(batch_size, samples_per_shard):
        sizes = {"batch_size": batch_size, "samples_per_shard": samples_per_shard}
        config = replace(GENERATION, n_samples=70, out_image_size=None, **sizes)
        models = {"generator": generator, "encoder": encoder}
        shards = make(data, config, **models, seed=0)
        return join(shards), join(shards, "clip_embedding")

    w, embedding = pairs_of(64, 70)
    for sizes in [(1, 70), (64, 30)]:
        other_w, other = pairs_of(*sizes)
        np.testing.assert_array_equal(w, other_w)
        apart = np.linalg.norm(embedding - other, axis=1)
        assert (apart < 1e-5 * np.linalg.norm(embedding, axis=1)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"latent_repeats": [1, 2, 2]}, "add up to the 6 layers of linear.*= 5"),
        ({"latent_dim": 9}, "width of w of linear, 8, got 9"),
    ],
)
def test_groups_that_do_not_fit_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        make(data=replace(DATA, **change))


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_one_shard_is_made_while_the_one_before_is_stored():
    """It, and no more: memory holds two shards."""
    generator = LinearGenerator()
    generation = replace(GENERATION, batch_size=40)
    shards = stream(generation=generation, generator=generator)
    next(shards)
    wait_until(lambda: generator.synthesised == [40, 40])
    time.sleep(0.05)
    assert generator.synthesised == [40, 40]
    assert len(list(shards)) == 3
    assert generator.synthesised == [40, 40, 40, 30]


def test_an_abandoned_run_stops_at_the_next_batch():
    class SlowGenerator(LinearGenerator):
        def synthesis(self, w, *, noise_mode="const"):
            time.sleep(0.002)
            return super().synthesis(w)

    generator = SlowGenerator()
    sizes = {"batch_size": 1, "n_samples": 100_000, "samples_per_shard": 10}
    shards = stream(generation=replace(GENERATION, **sizes), generator=generator)
    next(shards)
    shards.close()
    made = len(generator.synthesised)
    time.sleep(0.05)
    assert len(generator.synthesised) == made <= 21
    assert not [t for t in threading.enumerate() if t.name.startswith("pairs")]


def test_an_error_of_the_models_is_raised_where_shards_are_asked_for():
    class BrokenGenerator(LinearGenerator):
        def synthesis(self, w, *, noise_mode="const"):
            if len(self.synthesised) == 2:
                raise ArithmeticError
            return super().synthesis(w)

    generation = replace(GENERATION, batch_size=40)
    shards = stream(generation=generation, generator=BrokenGenerator())
    next(shards), next(shards)
    with pytest.raises(ArithmeticError):
        next(shards)


class MatrixEncoder(MeanEncoder):
    """The same, by a matrix product, which autocast lowers."""

    def encode_image(self, image: Tensor) -> Tensor:
        exact = super().encode_image(image)
        return exact @ torch.eye(self.embed_dim)


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_precision_changes_embeddings_a_little_and_w_in_no_bit(precision):
    generation = replace(GENERATION, precision=precision)
    shards = make(generation=generation, encoder=MatrixEncoder())
    exact = make()
    np.testing.assert_array_equal(join(shards), join(exact))
    difference = join(shards, "clip_embedding") - join(exact, "clip_embedding")
    assert (np.abs(difference).max() > 1e-5) == (precision == "bfloat16")
    np.testing.assert_allclose(difference, 0, atol=0.02)
    assert shards[0].recipe.get("precision", "float32") == precision
    assert shards[0].arrays["clip_embedding"].dtype == np.float32


def test_compiling_needs_a_compiler(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(
        InputError, match=r"data_generation\.compile must be false .*no-such-compiler"
    ):
        make(generation=replace(GENERATION, compile=True))


def test_pairs_that_are_held_out_are_measured_again_without():
    w = np.arange(10, dtype=np.float32).reshape(10, 1, 1)
    pairs = TrainingPairs(w, np.ones((10, 2), np.float32), {})
    summary = summarise_pairs(pairs, max_samples=6)
    assert summarise_trained(summary, pairs, 4) is summary
    assert summarise_trained(summary, pairs, 5) == summarise_pairs(pairs, 5)
    assert summarise_trained(summary, pairs, 5)["mean"] == [[2.0]]


def test_summary_has_the_closed_form():
    w = np.array([[[0.0, 1.0]], [[2.0, 1.0]], [[100.0, 9.0]]], dtype=np.float32)
    clip_embedding = np.array([[3.0, 0.0], [0.0, 5.0], [1.0, 1.0]], dtype=np.float32)
    summary = summarise_pairs(TrainingPairs(w, clip_embedding, {}), max_samples=2)
    assert summary["num_samples"] == 2
    assert summary["mean"] == [[1.0, 1.0]]
    np.testing.assert_allclose(summary["std"], [[np.sqrt(2), 0]], atol=1e-7)
    assert summary["embedding_mean"] == [0.5, 0.5]
    assert summary["embedding_norm"] == 4
    with pytest.raises(InputError, match="2 pairs or more, got 1"):
        summarise_pairs(TrainingPairs(w[:1], clip_embedding[:1], {}))


def test_take_reads_float32_rows():
    pairs = TrainingPairs(
        np.arange(6, dtype=np.float16).reshape(3, 1, 2), np.eye(3), {"seed": 1}
    )
    w, clip_embedding = pairs.take(np.array([2, 0]))
    assert len(pairs) == 3
    assert w.dtype == clip_embedding.dtype == np.float32
    np.testing.assert_array_equal(w, [[[4, 5]], [[0, 1]]])
