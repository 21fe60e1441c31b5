from pathlib import Path

import pytest
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog

from clip2latent_kedro.pipeline_registry import register_pipelines
from clip2latent_kedro.settings import CONFIG_LOADER_ARGS

CONF = Path(__file__).parents[1] / "conf"
PIPELINES = register_pipelines()


@pytest.fixture(scope="module")
def loader():
    return OmegaConfigLoader(str(CONF), env="base", **CONFIG_LOADER_ARGS)


def test_default_goes_from_z_to_scores():
    parts = ("data_generation", "training", "distillation", "evaluation")
    expected = {node.name for part in parts for node in PIPELINES[part].nodes}
    assert {node.name for node in PIPELINES["__default__"].nodes} == expected


@pytest.mark.parametrize("name", PIPELINES)
def test_catalog_and_parameters_hold_what_a_pipeline_needs(name, loader):
    catalog = DataCatalog.from_config(loader["catalog"])
    known = {f"params:{path}" for path in walk(loader["parameters"])}
    pipeline = PIPELINES[name]
    stored = {entry for entry in pipeline.inputs() if not entry.startswith("params:")}
    assert pipeline.inputs() - stored <= known
    assert stored | pipeline.outputs() <= set(catalog)


def test_every_catalog_entry_is_used(loader):
    used = set().union(*(pipeline.datasets() for pipeline in PIPELINES.values()))
    assert set(loader["catalog"]) <= used


@pytest.mark.parametrize(
    ("variant", "model"),
    [("ViT-B/32", "ViT-B-32"), ("ViT-L/14@336px", "ViT-L-14-336")],
)
def test_clip_variant_on_the_command_line_chooses_the_encoder(variant, model):
    params = {"data": {"clip_variant": variant}}
    loader = OmegaConfigLoader(
        str(CONF), env="base", runtime_params=params, **CONFIG_LOADER_ARGS
    )
    options = loader["catalog"]["encoder"]["options"]
    assert options["model"] == f"{model}-quickgelu"


def walk(tree, prefix=""):
    for name, value in tree.items():
        yield f"{prefix}{name}"
        if isinstance(value, dict):
            yield from walk(value, f"{prefix}{name}.")
