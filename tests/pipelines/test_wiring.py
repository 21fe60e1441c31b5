from dataclasses import asdict

import pytest
from kedro.config import OmegaConfigLoader
from kedro.validation.parameter_validator import ParameterValidator

from clip2latent_kedro.pipeline_registry import register_pipelines
from clip2latent_kedro.pipelines.wiring import wire
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.settings import CONFIG_LOADER_ARGS
from clip2latent_kedro.study.ablation.config import AblationConfig
from clip2latent_kedro.study.config import EvaluationConfig
from clip2latent_kedro.study.sweep import SweepConfig


def draw(prior, w, network, seed):
    """Stand for a function of a pipeline."""


def test_an_argument_takes_the_entry_or_the_parameter_of_its_name():
    node = wire(draw, "images", w="training_pairs")
    assert node.name == "draw"
    assert dict(zip(("prior", "w", "network", "seed"), node.inputs, strict=True)) == {
        "prior": "prior",
        "w": "training_pairs",
        "network": "params:model.network",
        "seed": "params:seed",
    }
    assert node.outputs == ["images"]


def test_a_rename_goes_before_the_parameter_of_that_name():
    node = wire(draw, ["a", "b"], name="draw_twice", seed="params:portraits.seed")
    assert (node.name, node.inputs[-1]) == ("draw_twice", "params:portraits.seed")
    assert node.outputs == ["a", "b"]


def test_a_rename_of_nothing_is_refused():
    with pytest.raises(TypeError, match="draw has no argument progress"):
        wire(draw, "images", progress="images_progress")


@pytest.mark.parametrize(
    ("pipeline", "group", "config"),
    [
        ("evaluation", "evaluation", EvaluationConfig),
        ("evaluation", "sampling", SamplingConfig),
        ("sweep", "sweep", SweepConfig),
        ("ablation", "ablation", AblationConfig),
    ],
)
def test_kedro_builds_configs_from_the_annotations(
    project_path, pipeline, group, config
):
    conf = str(project_path / "conf")
    raw = OmegaConfigLoader(conf, env="base", **CONFIG_LOADER_ARGS)["parameters"]
    wanted = {pipeline: register_pipelines()[pipeline]}
    built = ParameterValidator(wanted).validate_raw_params(raw)
    assert type(built[group]) is config
    assert asdict(built[group]).items() >= raw[group].items()
