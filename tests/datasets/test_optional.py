"""What a domain lacks, or has not made yet, loads as None."""

import pytest
from kedro.io import DataCatalog, DatasetError

from clip2latent_kedro.datasets import (
    CheckpointDataset,
    HTMLReportDataset,
    ModelDataset,
    NothingDataset,
    NpzDataset,
    PriorDataset,
    WeightsDataset,
    ZarrPairsDataset,
)
from clip2latent_kedro.errors import InputError

KINDS = [
    (ModelDataset, {"role": "judge", "kind": "portraits_judge"}),
    (ModelDataset, {"role": "generator", "kind": "stylegan2"}),
    (PriorDataset, {"form": "checkpoint"}),
    (ZarrPairsDataset, {}),
    (CheckpointDataset, {}),
    (NpzDataset, {}),
    (HTMLReportDataset, {}),
]


@pytest.mark.parametrize(("kind", "settings"), KINDS)
def test_what_may_be_missing_loads_none(tmp_path, kind, settings):
    settings = {"filepath": str(tmp_path / "none"), **settings}
    with pytest.raises(DatasetError):
        kind(**settings).load()
    dataset = kind(**settings, missing_ok=True)
    assert dataset.load() is None
    assert getattr(dataset, "fetch_files", dict)() == {}


@pytest.mark.parametrize(("kind", "settings"), KINDS[:3])
def test_what_is_there_but_damaged_is_refused(tmp_path, kind, settings):
    path = tmp_path / "damaged"
    path.write_bytes(b"damaged")
    with pytest.raises(DatasetError):
        kind(filepath=str(path), **settings, missing_ok=True).load()


@pytest.mark.parametrize("kind", [CheckpointDataset, WeightsDataset])
def test_a_damaged_state_of_training_is_told_to_who_resumes(tmp_path, kind):
    path = tmp_path / "state.safetensors"
    path.write_bytes(b"damaged")
    assert isinstance(kind(filepath=str(path), missing_ok=True).load(), InputError)
    with pytest.raises(DatasetError):
        kind(filepath=str(path)).load()


def test_what_a_domain_does_not_have_is_none():
    kind = "clip2latent_kedro.datasets.NothingDataset"
    catalog = DataCatalog.from_config({"judge": {"type": kind}})
    assert isinstance(catalog.get("judge"), NothingDataset)
    assert catalog.load("judge") is None
    with pytest.raises(DatasetError, match="read-only"):
        catalog.save("judge", 1)
