"""CLIP2GAN's part of the pipeline `baselines`, in the world of three colours."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro.validation import ParameterValidator
from kedro_datasets.json import JSONDataset
from kedro_datasets.pandas import CSVDataset
from methods.clip2gan_world import CONFIG, make_pairs
from world import ColourEncoder, ColourGenerator, ColourJudge

from clip2latent_kedro.conditioning import mean_direction
from clip2latent_kedro.datasets import ModelDataset, WeightsDataset
from clip2latent_kedro.pairs import DataConfig, GenerationConfig, summarise_pairs
from clip2latent_kedro.pipelines.baselines.pipeline import create_clip2gan_pipeline
from clip2latent_kedro.training.state import unpack_state

GENERATION = GenerationConfig(8, 4, None, 1.0, 8, False, "float32")
BANK = pd.DataFrame({"prompt": ["1 0 0", "0 1 0", "-1 0 0"], "red": ["yes", "", "no"]})
DATA = DataConfig(16, 0.0, "colours", 1, 3, [2])


@pytest.fixture
def run(tmp_path):
    def run(resume=True, judge=None, **changes):
        raw = {
            "baselines": {"clip2gan": {**vars(CONFIG), **changes}},
            "seed": 3,
            "device": "cpu",
            "resume": resume,
        }
        # Kedro's session builds the config from the annotation of the node.
        validator = ParameterValidator({"x": create_clip2gan_pipeline()})
        built = validator.validate_raw_params(raw)
        parameters = {
            "baselines.clip2gan": built["baselines"]["clip2gan"],
            "baselines.num_prompts": 2,
            "data": DATA,
            "data_generation": GENERATION,
            **{name: built[name] for name in ("seed", "device", "resume")},
        }
        shipped = str(tmp_path / "clip2gan.safetensors")
        state = str(tmp_path / "state.safetensors")
        kept = {
            "generator": ColourGenerator(),
            "encoder": ColourEncoder(),
            "training_pairs": make_pairs(),
            "latent_statistics": summarise_pairs(make_pairs()),
            "judge": {} if judge is None else judge,
            "prompt_bank": BANK,
        }
        catalog = DataCatalog(
            {
                **{n: MemoryDataset(x, copy_mode="assign") for n, x in kept.items()},
                **{f"params:{n}": MemoryDataset(x) for n, x in parameters.items()},
                "clip2gan_state": WeightsDataset(filepath=state),
                "clip2gan_progress": WeightsDataset(filepath=state, missing_ok=True),
                "clip2gan_text_mean": MemoryDataset(),
                "clip2gan_trained@weights": WeightsDataset(filepath=shipped),
                "clip2gan_training": JSONDataset(filepath=f"{tmp_path}/clip2gan.json"),
                "clip2gan_trained@model": ModelDataset(
                    role="mapper", kind="clip2gan", filepath=shipped
                ),
                "clip2gan_history": CSVDataset(
                    filepath=str(tmp_path / "history.csv"), save_args={"index": False}
                ),
                "clip2gan_quality": MemoryDataset(),
                "clip2gan_samples": MemoryDataset(),
            }
        )
        SequentialRunner().run(create_clip2gan_pipeline(), catalog)
        return catalog

    return run


def test_it_trains_ships_measures_and_shows(run):
    catalog = run(judge=ColourJudge())
    model = catalog.load("clip2gan_trained@model")
    statistics = model.embedding_statistics
    text = ColourEncoder().encode_text(list(BANK["prompt"]))
    torch.testing.assert_close(statistics.text_mean, mean_direction(text))
    trained = summarise_pairs(make_pairs(), max_samples=200 - CONFIG.val_pairs)
    mean = torch.tensor(trained["embedding_mean"])
    torch.testing.assert_close(statistics.mean, mean)
    assert model.latent_repeats == [2]

    history = catalog.load("clip2gan_history")
    assert history["step"].tolist() == [2, 4, 6]
    assert list(history) == ["step", "loss", "latent", "pixel", "clip"]
    quality = catalog.load("clip2gan_quality")
    assert quality.keys() == {"none", "mean_shift"}
    assert quality["none"].keys() == {"clip_score", "clip_score_best", "accuracy"}
    assert json.loads(json.dumps(quality)) == quality
    picture = catalog.load("clip2gan_samples")
    assert picture.dtype == np.uint8
    assert picture.shape == (2 * 4, 2 * 4, 3)  # bridges, prompts


def test_a_stopped_run_goes_on_to_the_same_bits(run, monkeypatch):
    whole, _ = run().load("clip2gan_state")
    made = []

    def synthesis(self, w, *, noise_mode="const"):
        made.append(len(w))
        if len(made) == 11:  # in the last of three stretches of training
            raise KeyboardInterrupt
        return original(self, w, noise_mode=noise_mode)

    original = ColourGenerator.synthesis
    with monkeypatch.context() as patch:
        patch.setattr(ColourGenerator, "synthesis", synthesis)
        with pytest.raises(KeyboardInterrupt):
            run(resume=False)
    stored = run().load("clip2gan_state")
    assert unpack_state(stored).step == 6
    resumed, _ = stored
    for name, value in whole.items():
        assert np.array_equal(value, resumed[name]), name


def test_other_settings_train_anew(run):
    first, _ = run().load("clip2gan_state")
    other, _ = run(lr=1e-3).load("clip2gan_state")
    afresh, _ = run(lr=1e-3, resume=False).load("clip2gan_state")
    name = "network.embed.weight"
    assert torch.equal(other[name], afresh[name])
    assert not torch.equal(other[name], first[name])
