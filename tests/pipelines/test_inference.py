"""The pipeline, run by Kedro in a world of three colours."""

import json

import numpy as np
import pandas as pd
import pytest
from editing.edits import METHODS, REDDER
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
from clip2latent_kedro.editing import EDIT_METHODS
from clip2latent_kedro.editing.inversion.config import InversionConfig
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
COLUMNS = ["prompt", "sample", "seed", "score", "edit", "file", "problem"]
LEARNED = (
    *("clip2gan", "identity_encoder", "channel_relevance", "mappers"),
    *("perceptual", "image_inverter"),
)
INVERSION = InversionConfig(
    start="mean", num_steps=150, noise_weight=0.0, perceptual_weight=0.0
)


class KeptDataset(MemoryDataset):
    def _release(self):
        pass


class PickyEncoder(ColourEncoder):
    def encode_text(self, texts):
        if any(len(text) > 9 for text in texts):
            raise InputError("A prompt must fit 9 letters.")
        return super().encode_text(texts)


@pytest.fixture
def run(tmp_path, monkeypatch):
    for name, method in METHODS.items():
        monkeypatch.setitem(EDIT_METHODS, name, method)

    def run(
        sampling=None,
        lines=None,
        pairs=None,
        spread=0.5,
        resume=True,
        seed=5,
        **inference,
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
            "params:seed": seed,
            "params:device": "cpu",
            "params:resume": resume,
            "params:editing.inversion": INVERSION,
            "params:editing.targets": {
                "green": {"target": "0 1 0", "neutral": "0 0 0"}
            },
            "params:editing.neutral": "0 0 0",
            "directions": {"redder": REDDER},
            **dict.fromkeys(LEARNED),
        }
        catalog = DataCatalog(
            {
                **{
                    name: NothingDataset()
                    if value is None
                    else MemoryDataset(value, copy_mode="assign")
                    for name, value in given.items()
                },
                **{
                    f"inference_{name}": MemoryDataset(copy_mode="assign")
                    for name in ("model", "base_models", "editing_models", "changes")
                },
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


def read_all(catalog):
    """Return the rows of the table with their pictures' first colour and labels."""
    table = catalog.load("inference_table")
    pictures = catalog.load("inference_pictures")
    for row in table.to_dict("records"):
        picture = pictures[row["file"].removesuffix(".png")]()
        yield row, picture.image_u8[0, 0].astype(int), picture.labels


def test_edited_pictures_stand_beside_the_others(run, tmp_path):
    plain = list(read_all(run(prompts=["1 0 0", "0 1 0"])))
    catalog = run(prompts=["1 0 0", "0 1 0"], edit="redder", edit_strength=0.25)
    rows = list(read_all(catalog))
    assert len(list((tmp_path / "pictures").iterdir())) == 8
    first = [one for one in rows if pd.isna(one[0]["edit"])]
    edited = [one for one in rows if pd.notna(one[0]["edit"])]
    # What is not edited is what a run without edits draws, in the same order.
    assert [row["file"] for row, *_ in first] == [row["file"] for row, *_ in plain]
    for (row, before, labels), (same, after, changed) in zip(
        first, edited, strict=True
    ):
        assert (row["prompt"], row["sample"]) == (same["prompt"], same["sample"])
        assert same["edit"] == changed["edit"] == "redder 0.25"
        assert "edit" not in labels
        expected = np.clip(before + np.array([0.25 * 127.5, 0, 0]), 0, 255)
        assert np.abs(after - expected).max() <= 1
        (step,) = json.loads(changed["drawn_with"])["change"]["edit"]
        assert step["strength"] == 0.25
    shape = catalog.load("inference_grid").shape
    assert shape[1] == run().load("inference_grid").shape[1] + 2 * 128


def test_another_edit_leaves_what_is_there(run, tmp_path):
    run(edit="redder")
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "pictures").iterdir()}
    run(edit="redder")
    assert times == {p: p.stat().st_mtime_ns for p in (tmp_path / "pictures").iterdir()}
    run(edit="redder", edit_strength=1)
    run(edit="green", edit_method="prior", mix=3, mix_layers=[1])
    assert len(list((tmp_path / "pictures").iterdir())) == 16


def test_rows_are_mixed_in(run):
    for mix in ("0 0 1", 9):
        first = list(read_all(run(prompts="1 0 0", mix=mix, mix_layers=[0, 1])))
        other = {"prompts": mix} if isinstance(mix, str) else {"prompts": "1 0 0"}
        seed = 5 if isinstance(mix, str) else mix
        alone = read_all(run(**other, seed=seed, rank=False))
        expected = sorted(tuple(colour) for _, colour, _ in alone)
        mixed = sorted(tuple(c) for row, c, _ in first if pd.notna(row["edit"]))
        assert np.abs(np.subtract(mixed, expected)).max() <= 1
        assert first[-1][0]["edit"] == f"mix {mix}"


def test_a_picture_is_inverted_itself_and_a_stored_w_is_drawn(run, tmp_path):
    """The generator draws any colour; of w there are two."""
    path, w = str(tmp_path / "face.png"), str(tmp_path / "w.npz")
    Image.new("RGB", (9, 9), (40, 200, 120)).save(path)
    np.savez(w, w=np.array([[[0, 0.5, -0.5]] * 2, [[0.5, 0, 0]] * 2], np.float32))
    missing = str(tmp_path / "missing.npy")
    catalog = run(
        prompts=[path, w, "1 0 0", missing],
        start="inversion",
        edit=["redder"],
        edit_strength=[0.1],
        rank=False,
    )
    table = catalog.load("inference_table")
    assert table["prompt"].tolist() == [path] * 2 + [w] * 4 + ["1 0 0"] * 4 + [missing]
    assert table["problem"].dropna().str.contains("missing.npy").all()
    rows = table[table["problem"].isna()]
    pictures = catalog.load("inference_pictures")
    found = [pictures[n.removesuffix(".png")]().image_u8[0, 0] for n in rows["file"]]
    by_hand = [(40, 200, 120), (53, 200, 120)]
    by_hand += [(128, 191, 64), (191, 128, 128), (140, 191, 64), (204, 128, 128)]
    assert np.abs(np.array(found[:6], int) - by_hand).max() <= 3


def test_an_unknown_edit_stops_the_run(run):
    with pytest.raises(InputError, match=r"got 'reder'\. Did you mean redder"):
        run(edit="reder")
    with pytest.raises(InputError, match="edit_strength must be null where inference"):
        run(edit_strength=2.0)
    with pytest.raises(InputError, match="mix_layers must name coarse, middle, fine"):
        run(mix=1, mix_layers="crude")
    with pytest.raises(InputError, match="must fit 9 letters"):
        run(mix="1.00000000 0 0", mix_layers=[0])


def test_a_stored_w_that_is_mixed_in_is_one(run, tmp_path):
    path = str(tmp_path / "two.npy")
    np.save(path, np.zeros((2, 1, 3), np.float32))
    with pytest.raises(InputError, match=r"mix must be one w, got 2 in .*two\.npy"):
        run(mix=path, mix_layers=[0])
