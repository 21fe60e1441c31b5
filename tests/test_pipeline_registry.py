import copy

import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from projects import open_config, walk

from clip2latent_kedro.pipeline_registry import register_pipelines

PIPELINES = register_pipelines()


@pytest.fixture(scope="module")
def loader():
    return open_config()


def test_default_goes_from_z_to_scores():
    parts = ("data_generation", "training", "distillation", "evaluation")
    expected = {node.name for part in parts for node in PIPELINES[part].nodes}
    assert {node.name for node in PIPELINES["__default__"].nodes} == expected


def test_a_pipeline_is_one_of_kedros_once_it_is_looked_at():
    lazy = register_pipelines()
    known = set(vars(lazy["inference"]))
    copied = copy.copy(lazy["inference"])
    assert set(vars(copied)) == known == {"_create"}
    nodes = [node.name for node in copied.nodes]
    assert [node.name for node in (Pipeline([]) + lazy["inference"]).nodes] == nodes
    assert {node.namespace for node in copied.nodes} == {"inference"}
    with pytest.raises(AttributeError, match="has no attribute 'no_such'"):
        copied.no_such  # noqa: B018


@pytest.mark.parametrize("name", PIPELINES)
def test_catalog_and_parameters_hold_what_a_pipeline_needs(name, loader):
    catalog = DataCatalog.from_config(loader["catalog"])
    known = {f"params:{path}" for path, _ in walk(loader["parameters"])}
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
    config = open_config(data={"clip_variant": variant})
    options = config["catalog"]["encoder"]["options"]
    assert options["model"] == f"{model}-quickgelu"
