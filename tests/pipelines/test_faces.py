"""The CLIPs of the faces, trained from nothing on a few samples."""

import json
from pathlib import Path

import pandas as pd
import pytest
from projects import run_pipelines

from clip2latent_kedro.downloads.packages import package_folder
from clip2latent_kedro.encoders import load_encoder
from clip2latent_kedro.pipelines.faces.card import write_model_card
from clip2latent_kedro.worlds.faces.attributes import ATTRIBUTES


@pytest.mark.skipif(
    package_folder("gan_face_generate") is None, reason="needs the extra faces"
)
@pytest.mark.usefixtures("project_path")
def test_clips_and_prompts_of_faces_are_made_from_nothing():
    readings = {"num_shards": 2, "shard_size": 160, "batch_size": 80}
    changes = {"faces": {"readings": readings}}
    run_pipelines("test", "faces", **changes)
    made = Path("data/test/faces_models")
    for name in ("clip", "clip_held_out"):
        encoder = load_encoder("compact_clip", made / f"{name}.safetensors", {})
        assert encoder.encode_text(["a man"]).shape == (1, encoder.embed_dim)
    tables = [
        pd.read_csv(made / f"{name}.csv", keep_default_na=False, dtype=str)
        for name in ("prompts", "prompt_bank")
    ]
    for table, num in zip(tables, (2, 4), strict=True):
        assert list(table.columns) == ["prompt", *ATTRIBUTES]
        assert len(table) == num
        stated = (table[list(ATTRIBUTES)] != "").sum(axis=1)
        assert stated.between(3, 5).all()
    assert not set(tables[0].prompt) & set(tables[1].prompt)
    quality = json.loads((made / "quality.json").read_text())
    assert quality["num_faces"] == 320
    assert set(quality["clip"]["recall_at_1_in_256"]) == {
        "text_to_image",
        "image_to_text",
    }
    assert "320 samples" in (made / "README.md").read_text()


def test_the_card_states_what_was_measured():
    recall = {"text_to_image": 0.5, "image_to_text": 0.25}
    model = {
        "recall_at_1_in_256": recall,
        "zero_shot": {"light": 0.75},
        "training_seconds": 120.0,
    }
    quality = {
        "clip": model,
        "clip_held_out": {**model, "zero_shot": {}, "training_seconds": None},
        "certain": {"light": {"dim": 0.25, "bright": 0.5}},
        "num_faces": 2048,
        "num_held_out": 200,
        "seed": 3,
        "machine": {"processor": "a CPU", "threads": 2, "torch": "2.0"},
    }
    lines = write_model_card(quality).splitlines()
    assert "| light | 0.750 | none | dim 0.25, bright 0.50 |" in lines
    assert any(line.endswith("| 2 minutes |") for line in lines)
    assert any("2,048 samples" in line for line in lines)
