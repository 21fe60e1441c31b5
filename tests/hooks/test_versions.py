from pathlib import Path

import pytest
from kedro.framework.project import configure_project, pipelines
from kedro.framework.session import KedroSession
from kedro.io import DatasetError

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.hooks.catalog import CatalogHooks, load_named_versions

FILES = ("prior", "prior_best", "student")


@pytest.fixture
def open_catalog(project_path):
    """The project's own catalog, with two versions of each prior."""
    for name in FILES:
        for version in ("2030", "2031"):
            path = Path(f"data/{name}.safetensors/{version}/{name}.safetensors")
            path.parent.mkdir(parents=True)
            path.write_bytes(b"")
    configure_project("clip2latent_kedro")

    def catalog(**params):
        session = KedroSession.create(project_path, runtime_params=params)
        return session.load_context().catalog

    return catalog


def _readers(pipeline, catalog, name):
    datasets = [catalog.get(entry) for entry in pipeline.all_inputs()]
    return [
        dataset
        for dataset in datasets
        if Path(getattr(dataset, "_filepath", None) or "").stem == name
    ]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("pipeline", ["inference", "export", "evaluation", "sweep"])
def test_every_pipeline_reads_the_named_version(open_catalog, pipeline, name):
    params = {"inference": {"prior": name}} if pipeline == "inference" else {}
    catalog = open_catalog(**params)
    readers = _readers(pipelines[pipeline], catalog, name)
    if pipeline != "export" or name == "prior":
        assert readers
        load_named_versions({name: "2030"}, pipelines[pipeline], catalog)
    for reader in readers:
        assert reader.resolve_load_version() == "2030"
    for other in set(FILES) - {name}:
        for reader in _readers(pipelines[pipeline], catalog, other):
            assert reader.resolve_load_version() == "2031"


def test_a_version_of_what_is_not_drawn_from_is_refused(open_catalog):
    catalog = open_catalog(inference={"prior": "student"})
    with pytest.raises(InputError, match="got prior, whose file it does not read"):
        load_named_versions({"prior": "2030"}, pipelines["inference"], catalog)


@pytest.mark.parametrize("entry", ["prior", "student", "prior_best_if_made"])
def test_a_version_that_is_not_there_is_no_absent_prior(open_catalog, entry):
    catalog = open_catalog()
    with pytest.raises(DatasetError, match="must be one of 2030, 2031, got '2029'"):
        catalog.load(entry, version="2029")


def test_an_empty_mapping_is_no_longer_an_absent_model():
    hook = CatalogHooks().after_catalog_created
    hook(conf_catalog={"judge": {"type": "clip2latent_kedro.datasets.NothingDataset"}})
    with pytest.raises(InputError, match=r"judge must not be an empty map.*Nothing"):
        hook(conf_catalog={"judge": {"type": "MemoryDataset", "data": {}}})
