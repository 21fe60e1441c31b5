"""The pipeline, run by Kedro on a small generator and encoder of our own."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
import zarr
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro.validation.parameter_validator import ParameterValidator
from torch import Tensor

from clip2latent_kedro.datasets import ZarrPairsDataset
from clip2latent_kedro.engines import EngineConfig, Engines, StepEngines
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.pairs import DataConfig, GenerationConfig
from clip2latent_kedro.pipelines.data_generation import create_pipeline


class SmallGenerator:
    """w = 3 z + 1 on each of two layers; the image has one colour for each channel."""

    z_dim, w_dim, num_ws, resolution = 3, 3, 2, 4
    identity = Identity("small", "00")
    fails_after: int | None = None
    num_images = 0

    @property
    def w_avg(self) -> Tensor:
        return torch.ones(3)

    def mapping(self, z: Tensor, *, psi: float = 1.0) -> Tensor:
        return (1 + psi * 3 * z)[:, None].repeat(1, 2, 1)

    def synthesis(self, w: Tensor, *, noise_mode: str = "const") -> Tensor:
        self.num_images += len(w)
        if self.fails_after is not None and self.num_images > self.fails_after:
            raise KeyboardInterrupt
        return w.mean(dim=1)[:, :, None, None].expand(-1, -1, 4, 4).tanh()

    def to(self, device: str) -> "SmallGenerator":
        return self


class ColourEncoder:
    """The colour of the image."""

    embed_dim = 3
    identity = Identity("colour", "11")

    def encode_image(self, image: Tensor) -> Tensor:
        return image.mean(dim=(2, 3))

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        raise InputError("no text")

    def to(self, device: str) -> "ColourEncoder":
        return self


ENGINES = Engines("cpu", EngineConfig(), StepEngines())
DATA = {
    "bs": 4,
    "embed_noise_scale": 1.0,
    "clip_variant": "colour",
    "n_latents": 1,
    "latent_dim": 3,
    "latent_repeats": [2],
}
GENERATION = {
    "n_samples": 1000,
    "batch_size": 50,
    "out_image_size": None,
    "psi": 1.0,
    "samples_per_shard": 300,
    "save_images": False,
    "dtype": "float32",
}


@pytest.fixture
def generator():
    return SmallGenerator()


@pytest.fixture
def run(tmp_path, generator):
    def run(only_missing=False, seed=5, resume=True):
        path = str(tmp_path / "pairs.zarr")
        catalog = DataCatalog(
            {
                "generator": MemoryDataset(generator, copy_mode="assign"),
                "encoder": MemoryDataset(ColourEncoder(), copy_mode="assign"),
                # Kedro's session builds these from the annotations of the node.
                "params:data": MemoryDataset(DataConfig(**DATA)),
                "params:data_generation": MemoryDataset(GenerationConfig(**GENERATION)),
                "params:seed": MemoryDataset(seed),
                "engines": MemoryDataset(ENGINES, copy_mode="assign"),
                "params:resume": MemoryDataset(resume),
                "training_pairs": ZarrPairsDataset(filepath=path),
                "training_pairs_progress": ZarrPairsDataset(
                    filepath=path, role="progress"
                ),
                "latent_statistics": MemoryDataset(),
            }
        )
        SequentialRunner().run(
            create_pipeline(), catalog, only_missing_outputs=only_missing
        )
        return catalog

    return run


def test_pairs_and_statistics_are_those_of_the_generator(run):
    catalog = run()
    pairs, statistics = (
        catalog.load("training_pairs"),
        catalog.load("latent_statistics"),
    )
    assert pairs.w.shape == (1000, 1, 3)
    np.testing.assert_allclose(pairs.clip_embedding, np.tanh(pairs.w[:, 0]), atol=1e-6)
    # w is N(1, 9): the standard errors of mean and std are 0.095 and 0.067.
    np.testing.assert_allclose(statistics["mean"], np.ones((1, 3)), atol=4 * 0.095)
    np.testing.assert_allclose(statistics["std"], np.full((1, 3), 3), atol=4 * 0.067)
    np.testing.assert_allclose(statistics["mean"], pairs.w.mean(axis=0), rtol=1e-4)


def test_interrupted_run_goes_on_where_it_was(run, generator, tmp_path):
    whole = run().load("training_pairs")
    generator.fails_after, generator.num_images = 700, 0
    with pytest.raises(KeyboardInterrupt):
        run(resume=False)
    generator.fails_after, generator.num_images = None, 0
    pairs = run().load("training_pairs")
    assert generator.num_images == 400  # two of four shards were stored
    np.testing.assert_array_equal(pairs.w, whole.w)
    np.testing.assert_array_equal(pairs.clip_embedding, whole.clip_embedding)


def test_a_finished_store_is_kept_or_replaced(run, generator, tmp_path):
    run()
    generator.num_images = 0
    run()
    run(only_missing=True)
    assert generator.num_images == 0
    with pytest.raises(InputError, match=r"seed \(stored 5, asked 6\)"):
        run(seed=6)
    pairs = run(seed=6, resume=False).load("training_pairs")
    assert generator.num_images == 1000
    assert pairs.recipe["seed"] == 6


def test_pairs_of_older_code_are_replaced_in_the_store(run, generator, tmp_path):
    whole = run().load("training_pairs")
    group = zarr.open_group(tmp_path / "pairs.zarr", mode="r+")
    recipe = group.attrs["recipe"]
    versions = {**recipe["versions"], "code": "of another formula"}
    group.attrs["recipe"] = {**recipe, "versions": versions}
    generator.num_images = 0
    pairs = run().load("training_pairs")
    assert generator.num_images == 1000
    assert pairs.recipe == whole.recipe
    run()
    assert generator.num_images == 1000


def test_a_deleted_chunk_is_made_again_alone(run, generator, tmp_path):
    whole = run().load("training_pairs")
    (tmp_path / "pairs.zarr" / "w" / "c" / "1" / "0" / "0").unlink()
    generator.num_images = 0
    pairs = run(only_missing=True).load("training_pairs")
    assert generator.num_images == 300
    np.testing.assert_array_equal(pairs.w, whole.w)


def test_kedro_builds_the_configs_from_the_annotations():
    validator = ParameterValidator({"data_generation": create_pipeline()})
    built = validator.validate_raw_params(
        {"data": DATA, "data_generation": GENERATION, "seed": 1}
    )
    assert built["data"] == DataConfig(**DATA)
    assert built["data_generation"] == GenerationConfig(**GENERATION)
