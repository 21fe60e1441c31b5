"""The relevance of channels, run by Kedro in a world whose channels are known."""

from pathlib import Path

import pytest
from editing.global_directions.world import ColourEncoder, StyledColours, make_config
from pipelines.world import DATA, run_pipeline
from projects import refusal
from world import ColourGenerator

from clip2latent_kedro.datasets import ZarrRelevanceDataset
from clip2latent_kedro.pairs import DataConfig
from clip2latent_kedro.pipelines.editing.relevance import create_pipeline


@pytest.fixture
def run(tmp_path):
    def run(generator):
        stored = {
            name: ZarrRelevanceDataset(
                filepath=str(tmp_path / "relevance.zarr"), missing_ok=True, role=role
            )
            for name, role in (
                ("channel_relevance", "relevance"),
                ("channel_relevance_progress", "progress"),
            )
        }
        given = {
            "generator": generator,
            "encoder": ColourEncoder(),
            "params:data": DataConfig(**DATA),
            "params:editing.relevance": make_config(),
            "params:seed": 5,
            "params:device": "cpu",
            "params:resume": True,
        }
        run_pipeline(create_pipeline(), given, stored)
        return stored

    return run


def test_the_relevance_is_stored_with_what_it_cost(run, caplog):
    caplog.set_level("INFO")
    relevance = run(StyledColours())["channel_relevance"].load()
    assert relevance.directions[0, 0] > 0.5
    assert relevance.recipe["seed"] == 5
    assert relevance.seconds > 0
    assert "relevance of 4 channels with 40 pictures" in caplog.text


def test_a_killed_run_goes_on(run, caplog):
    """A block is three batches of pictures; the second is never whole."""
    caplog.set_level("INFO")
    with pytest.raises(KeyboardInterrupt):
        run(StyledColours(num_batches=3))
    whole = run(StyledColours())
    assert whole["channel_relevance"].exists()
    assert "relevance of 2 channels with 20 pictures" in caplog.text


def test_a_generator_without_styles_has_none(run, caplog):
    assert run(ColourGenerator())["channel_relevance"].load() is None
    assert "has no space S" in caplog.text


def test_editing_without_a_prior_stops_before_anything_is_measured(kedro_run):
    said = refusal(kedro_run("--env=test", "--pipeline=editing"))
    assert "There is no prior at" in said
    assert "Run the pipeline training first." in said
    assert not Path("data/test").exists()
