"""The pipeline `mappers` on the portraits, made tiny."""

import pandas as pd
import pytest
from projects import latest, run_pipelines

from clip2latent_kedro.datasets import MapperFolderDataset
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.training.updates import Updates

FOLDER = "data/test/editing"


@pytest.fixture
def steps(monkeypatch):
    """The training steps that were made."""
    made = []
    step = Updates.step

    def counted(self, number):
        made.append(number)
        return step(self, number)

    monkeypatch.setattr(Updates, "step", counted)
    return made


def run(**mapper):
    given = {"num_processes": 0, **mapper}
    run_pipelines("test", "mappers", editing={"mapper": given})
    return pd.read_csv(latest(FOLDER, "mappers.csv"))


@pytest.mark.usefixtures("project_path")
def test_mappers_are_trained_listed_kept_and_replaced(steps):
    table = run()
    assert steps == [1, 1, 2, 2]  # of two targets that take turns
    assert table["target"].tolist() == ["hat", "smile"]
    assert table["text"].tolist() == ["a person in a fedora", "a smiling person"]
    assert table[["training_seconds", "clip", "identity", "latent"]].gt(0).all().all()
    assert table[["gained", "kept"]].ge(0).all().all()
    assert latest(FOLDER, "mappers.png").stat().st_size
    mappers = MapperFolderDataset(filepath=f"{FOLDER}/mappers").load()
    assert {name: one.text for name, one in mappers.items()} == dict(
        zip(table["target"], table["text"], strict=True)
    )

    steps.clear()
    again = run()
    assert steps == []
    pd.testing.assert_frame_equal(again, table)

    run(only=["smile"], l2_weight=0.1)
    assert steps == [1, 2]
    changed = MapperFolderDataset(filepath=f"{FOLDER}/mappers").load()
    assert changed["hat"].identity == mappers["hat"].identity
    assert changed["smile"].identity != mappers["smile"].identity
    with pytest.raises(InputError, match=r"editing\.mapper\.only must be names of"):
        run(only=["sword"])
