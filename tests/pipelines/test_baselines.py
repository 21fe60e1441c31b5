"""The pipeline `baselines` in the world of three colours."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro.validation import ParameterValidator
from kedro_datasets.json import JSONDataset
from kedro_datasets.pandas import CSVDataset
from methods.lafite_world import CONFIG, make_generator, make_pairs
from world import ColourEncoder, ColourJudge, TwoFormsEncoder

from clip2latent_kedro.datasets import ModelDataset, WeightsDataset
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.pairs import DataConfig, GenerationConfig
from clip2latent_kedro.pipelines.baselines.pipeline import create_lafite_pipeline
from clip2latent_kedro.training.updates import Updates

DATA = DataConfig(16, 0.0, "colours", 1, 3, [4])
GENERATION = GenerationConfig(8, 4, None, 1.0, 8, False, "float32")
BANK = pd.DataFrame({"prompt": ["1 0 0", "0 1 0", "-1 0 0"], "red": ["yes", "", "no"]})


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


@pytest.fixture
def run(tmp_path):
    generator = make_generator()
    pairs = make_pairs(generator)

    def run(resume=True, judge=None, data=DATA, encoder=None, pairs=pairs, **changes):
        raw = {
            "baselines": {"lafite": {**vars(CONFIG), **changes}},
            "data_generation": vars(GENERATION),
            "seed": 3,
            "device": "cpu",
            "resume": resume,
        }
        # Kedro's session builds the config from the annotation of the node.
        validator = ParameterValidator({"x": create_lafite_pipeline()})
        built = validator.validate_raw_params(raw)
        parameters = {
            "baselines.lafite": built["baselines"]["lafite"],
            "baselines.num_prompts": 2,
            "baselines.num_samples": 3,
            **{
                name: built[name]
                for name in ("data_generation", "seed", "device", "resume")
            },
            "data": data,
        }
        shipped = str(tmp_path / "lafite.safetensors")
        state = str(tmp_path / "state.safetensors")
        kept = {
            "generator": generator,
            "encoder": encoder or ColourEncoder(),
            "training_pairs": pairs,
            "judge": {} if judge is None else judge,
            "prompt_bank": BANK,
        }
        catalog = DataCatalog(
            {
                **{n: MemoryDataset(x, copy_mode="assign") for n, x in kept.items()},
                **{f"params:{n}": MemoryDataset(x) for n, x in parameters.items()},
                "lafite_state": WeightsDataset(filepath=state),
                "lafite_progress": WeightsDataset(filepath=state, missing_ok=True),
                "lafite_trained@weights": WeightsDataset(filepath=shipped),
                "lafite_training": JSONDataset(filepath=f"{tmp_path}/lafite.json"),
                "lafite_trained@model": ModelDataset(
                    role="generator", kind="lafite", filepath=shipped
                ),
                "lafite_history": CSVDataset(
                    filepath=str(tmp_path / "history.csv"), save_args={"index": False}
                ),
                "lafite_quality": MemoryDataset(),
                "lafite_samples": MemoryDataset(),
            }
        )
        SequentialRunner().run(create_lafite_pipeline(), catalog)
        return catalog

    return run


def test_it_trains_ships_measures_and_shows(run, steps):
    catalog = run(judge=ColourJudge())
    assert steps == [1, 2, 3, 4, 5, 6]
    model = catalog.load("lafite_trained@model")
    assert (model.z_dim, model.text_dim, model.resolution) == (6, 3, 8)
    history = catalog.load("lafite_history")
    assert history["step"].tolist() == [2, 4, 6]
    quality = catalog.load("lafite_quality")
    assert quality.keys() == {
        "clip_score",
        "clip_score_best",
        "clip_diversity",
        "accuracy",
    }
    assert json.loads(json.dumps(quality)) == quality
    picture = catalog.load("lafite_samples")
    assert picture.dtype == np.uint8
    assert picture.shape == (2 * 8, 3 * 8, 3)


def test_it_trains_for_the_encoder_as_the_pairs_were_embedded(run, steps):
    encoder = TwoFormsEncoder()
    of_upstream = make_pairs(make_generator())
    of_upstream = replace(
        of_upstream, recipe={**of_upstream.recipe, "encoder": "colour-clip@12"}
    )
    data = replace(DATA, embed_preprocess="upstream")
    catalog = run(data=data, encoder=encoder, pairs=of_upstream)
    model = catalog.load("lafite_trained@model")
    assert model.network.config.text_encoder == "colour-clip@12"
    assert steps[-1] == CONFIG.max_it
    with pytest.raises(
        InputError, match="training_pairs must be made with the encoder"
    ):
        run(encoder=encoder, pairs=of_upstream, resume=False)


def test_an_interrupted_run_goes_on_to_the_same_bits(run, steps, monkeypatch):
    whole, _ = run().load("lafite_state")
    counted = Updates.step

    def interrupted(self, number):
        if number == 6:
            raise KeyboardInterrupt
        return counted(self, number)

    with monkeypatch.context() as patch:
        patch.setattr(Updates, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(resume=False)
    steps.clear()
    resumed, _ = run().load("lafite_state")
    assert steps == [5, 6]  # after the state of step 4
    for name, value in whole.items():
        assert np.array_equal(value, resumed[name]), name


def test_a_finished_training_is_kept_unless_it_is_to_start_afresh(run, steps):
    run()
    steps.clear()
    run()
    assert steps == []
    run(itc=5.0)  # other settings
    assert steps == [1, 2, 3, 4, 5, 6]
    run(resume=False, itc=5.0)
    assert steps == [1, 2, 3, 4, 5, 6] * 2
