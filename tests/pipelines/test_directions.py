"""The pipeline `directions`: what it learns, stores, tries and ships."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from editing.linear_world import LinearEncoder, LinearGenerator, LinearJudge
from projects import latest, open_config, run_pipelines
from safetensors.torch import save_file

from clip2latent_kedro.editing.directions.config import DirectionsConfig
from clip2latent_kedro.editing.directions.files import read_directions
from clip2latent_kedro.editing.directions.learning import KINDS
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.pipelines.editing.directions import (
    create_pipeline,
    learn_directions_of_targets,
    measure_directions,
)

DATA = DataConfig(16, 0.0, "linear", 1, 12, [10])
CONFIG = DirectionsConfig(
    num_samples=500, num_measured=30, strengths=[3.0], shares=[1.0], share=0.2
)
TARGETS = {
    "big": {
        "target": "large",
        "neutral": "sad",
        "attribute": "size",
        "value": "large",
    },
    "glad": {"target": "glad", "neutral": "sad"},
}


def learn(tmp_path, judge, targets=TARGETS):
    weights, seconds = learn_directions_of_targets(
        LinearGenerator(), LinearEncoder(), judge, DATA, targets, CONFIG, 0, "cpu"
    )
    save_file(*weights[:1], tmp_path / "d.safetensors", weights[1])
    return read_directions(tmp_path / "d.safetensors"), seconds


def measure(directions, judge, targets=TARGETS):
    return measure_directions(
        directions, LinearGenerator(), judge, targets, CONFIG, 0, "cpu"
    )


def test_targets_are_learned_by_the_judge_or_by_their_texts(tmp_path):
    directions, seconds = learn(tmp_path, LinearJudge())
    names = {f"{target}_{kind}" for target in TARGETS for kind in KINDS}
    assert set(directions) == {*names, *TARGETS}
    assert set(seconds["learning"]) == set(directions)
    big, glad = directions["big"].made_with, directions["glad"].made_with
    assert (big["attribute"], big["value"]) == ("size", "large")
    assert "attribute" not in glad
    assert big["generator"] == "aa"
    assert (big["encoder"], big["judge"]) == ("cc", "bb")

    table, strips = measure(directions, LinearJudge())
    assert set(table["target"]) == {"big"}  # of the other the judge knows nothing
    by_kind = table.set_index("kind")
    assert by_kind.loc["transport", "gained"] == by_kind.loc["transport", "kept"] == 1
    assert by_kind["accuracy"].notna().to_dict() == {k: k == "boundary" for k in KINDS}
    assert strips.ndim == 3


def test_a_domain_without_a_judge_learns_all_by_texts(tmp_path):
    directions, _ = learn(tmp_path, None)
    assert directions["big"].made_with["judge"] is None
    table, strips = measure(directions, None)
    assert table.empty
    assert strips.shape[2] == 3


def test_the_same_run_makes_the_same_directions(tmp_path):
    one, _ = learn(tmp_path, LinearJudge())
    other, _ = learn(tmp_path, LinearJudge())
    for name in one:
        assert torch.equal(one[name].offset, other[name].offset)
        assert one[name].made_with == other[name].made_with


def test_a_target_that_the_judge_does_not_know_is_refused(tmp_path):
    wrong = {"x": TARGETS["big"] | {"value": "huge"}}
    with pytest.raises(InputError, match="value that the judge knows, got size huge"):
        learn(tmp_path, LinearJudge(), wrong)


@pytest.mark.parametrize("env", ["ffhq", "lhq", "vae"])
def test_only_the_portraits_ship(env):
    catalog = open_config(env)["catalog"]
    assert catalog["shipped_directions"]["type"] == "MemoryDataset"
    assert catalog["shipped_directions_seconds"]["type"] == "MemoryDataset"
    learned = catalog["learned_directions@model"]["filepath"]
    assert catalog["directions"]["filepath"] == learned


def test_what_ships_is_what_the_portraits_load():
    catalog = open_config()["catalog"]
    assert (
        catalog["shipped_directions"]["filepath"] == (catalog["directions"]["filepath"])
    )
    shipped = read_directions(Path(catalog["directions"]["filepath"]))
    targets = open_config()["parameters"]["editing"]["targets"]
    assert {*targets, *(f"{name}_transport" for name in targets)} <= set(shipped)
    assert all(one.preparation["generator"] > 0 for one in shipped.values())


def test_the_pipeline_runs(project_path):
    run_pipelines("test", "directions")
    folder = Path("data/test")
    learned = folder / "editing/directions.safetensors"
    shipped = folder / "portraits/directions.safetensors"
    assert learned.read_bytes() == shipped.read_bytes()
    seconds = json.loads((folder / "portraits/directions.json").read_text())
    assert seconds["sampling"] > 0
    table = pd.read_csv(latest(folder, "editing/directions_quality.csv"))
    assert set(table["kind"]) == set(KINDS)
    transported = table[table["kind"] == "transport"]
    assert transported["gained"].mean() > 0.8
    assert latest(folder, "editing/directions_strips.png").is_file()


def test_every_node_is_named():
    names = {node.name for node in create_pipeline().nodes}
    assert names == {"learn_directions", "measure_directions", "ship_directions"}
