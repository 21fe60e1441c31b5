"""The pipeline, run by Kedro in a world of three colours."""

import numpy as np
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from PIL import Image
from world import (
    ColourEncoder,
    ColourGenerator,
    make_colour_pairs,
    make_prior,
    make_sampling,
)

from clip2latent_kedro.datasets import NothingDataset, PictureFolderDataset
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.inference import InferenceConfig
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.pipelines.inference import create_pipeline

DATA = {
    "bs": 16,
    "embed_noise_scale": 0.5,
    "clip_variant": "colour",
    "n_latents": 1,
    "latent_dim": 3,
    "latent_repeats": [2],
}
INFERENCE = {
    "prompts": ["1 0 0", "0 1 0"],
    "prompts_file": None,
    "negative": None,
    "num_samples": 2,
    "rank": True,
    "image_batch_size": 2,
    "prior": "prior",
}
COLUMNS = ["prompt", "sample", "seed", "score", "file", "problem"]


class KeptDataset(MemoryDataset):
    def _release(self):
        pass


class PickyEncoder(ColourEncoder):
    def encode_text(self, texts):
        if any(len(text) > 9 for text in texts):
            raise InputError("A prompt must fit 9 letters.")
        return super().encode_text(texts)


@pytest.fixture
def run(tmp_path):
    def run(
        sampling=None, lines=None, pairs=None, spread=0.5, resume=True, **inference
    ):
        folder = str(tmp_path / "pictures")
        given = {
            "inference_prompts_file": lines,
            "generator": ColourGenerator(),
            "encoder": PickyEncoder(),
            "inference_prior": make_prior(spread),
            "inference_bank": pairs,
            "params:data": DataConfig(**DATA),
            "params:sampling": make_sampling(**(sampling or {})),
            "params:inference": InferenceConfig(**{**INFERENCE, **inference}),
            "params:seed": 5,
            "params:device": "cpu",
            "params:resume": resume,
        }
        catalog = DataCatalog(
            {
                **{
                    name: NothingDataset()
                    if value is None
                    else MemoryDataset(value, copy_mode="assign")
                    for name, value in given.items()
                },
                "inference_model": MemoryDataset(copy_mode="assign"),
                "inference_pictures": PictureFolderDataset(filepath=folder),
                "inference_progress": PictureFolderDataset(filepath=folder),
                "inference_grid": KeptDataset(copy_mode="assign"),
                "inference_table": KeptDataset(copy_mode="assign"),
            }
        )
        SequentialRunner().run(create_pipeline(), catalog)
        return catalog

    return run


def test_every_prompt_gets_its_pictures(run, tmp_path):
    catalog = run()
    table = catalog.load("inference_table")
    assert list(table.columns) == COLUMNS
    assert table["prompt"].tolist() == ["1 0 0", "1 0 0", "0 1 0", "0 1 0"]
    assert table["problem"].isna().all()
    files = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert sorted(table["file"]) == files
    pictures = catalog.load("inference_pictures")
    for row in table.to_dict("records"):
        labels = pictures[row["file"].removesuffix(".png")]().labels
        assert labels["prompt"] == row["prompt"]
        assert labels["score"] == row["score"]
    grid = catalog.load("inference_grid")
    assert grid.dtype == np.uint8
    # The first cell of each row is mostly the colour that its prompt names.
    colours = [pictures[name]().image_u8[0, 0] for name in sorted(pictures)]
    assert all((grid == colour).all(axis=-1).any() for colour in colours)


def test_a_refused_prompt_leaves_the_others(run):
    table = run(lines="1 0 0\n1.00000000 0 0\n\n0 1 0").load("inference_table")
    refused = table[table["problem"].notna()]
    assert refused["prompt"].tolist() == ["1.00000000 0 0"]
    assert refused["problem"].tolist() == ["A prompt must fit 9 letters."]
    assert table["file"].notna().sum() == 4


def test_nothing_but_refused_prompts_is_an_error(run):
    with pytest.raises(InputError, match=r"None of the prompts .* fit 9 letters"):
        run(lines="1.00000000 0 0")


def test_a_second_run_draws_only_what_is_new(run, tmp_path):
    run()
    times = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "pictures").iterdir()}
    table = run(prompts=["1 0 0", "0 1 0", "0 0 1"]).load("inference_table")
    after = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "pictures").iterdir()}
    assert {name: after[name] for name in times} == times
    assert len(after) == 6
    assert sorted(table["file"]) == sorted(after)


def test_a_prior_that_was_trained_anew_draws_its_own_pictures(run, tmp_path):
    def read(catalog):
        pictures = catalog.load("inference_pictures")
        files = catalog.load("inference_table")["file"]
        return [pictures[name.removesuffix(".png")]().image_u8 for name in files]

    old, new = read(run(spread=0.5)), read(run(spread=0.1))
    assert not any(np.array_equal(*pair) for pair in zip(old, new, strict=True))
    assert len(list((tmp_path / "pictures").iterdir())) == 8
    again = read(run(spread=0.5))
    assert all(np.array_equal(*pair) for pair in zip(old, again, strict=True))


def test_without_resume_everything_is_drawn_again(run, tmp_path):
    first = run().load("inference_table")
    for path in (tmp_path / "pictures").iterdir():
        Image.new("RGB", (4, 4)).save(path)
    second = run(resume=False)
    assert second.load("inference_table")["file"].tolist() == first["file"].tolist()
    pictures = second.load("inference_pictures").values()
    assert all(picture().image_u8.any() for picture in pictures)


def test_retrieval_takes_the_training_pairs(run):
    sampling = {"retrieval_share": 1.0, "guidance_scale": 1.0}
    with pytest.raises(InputError, match="retrieval_share"):
        run(sampling=sampling)
    table = run(sampling=sampling, pairs=make_colour_pairs()).load("inference_table")
    assert len(table) == 4


def test_a_given_picture_comes_before_what_is_drawn_of_it(run, tmp_path):
    path = str(tmp_path / "face.png")
    Image.new("RGB", (9, 9), (12, 200, 34)).save(path)
    missing = str(tmp_path / "missing.png")
    catalog = run(prompts=[path, "1 0 0", missing])
    table = catalog.load("inference_table")
    assert table["prompt"].tolist() == [path] * 2 + ["1 0 0"] * 2 + [missing]
    assert table["problem"].notna().tolist() == [False] * 4 + [True]
    shown = (catalog.load("inference_grid") == (12, 200, 34)).all(axis=-1)
    rows, columns = np.nonzero(shown)
    assert len(rows) > 100 * 100
    first = run(prompts=["1 0 0"]).load("inference_grid")
    # One more column than samples, and the picture in the first.
    assert catalog.load("inference_grid").shape[1] == first.shape[1] + 128
    assert columns.max() < int(128 * 3.2) + 1
