"""Models are loaded by role and kind, and never saved."""

import hashlib
import importlib.metadata

import pytest
from kedro.io import DatasetError

from clip2latent_kedro import registry
from clip2latent_kedro.datasets import ModelDataset
from clip2latent_kedro.errors import InputError

ROLES = ("generator", "encoder", "judge", "mapper")
SHA256 = hashlib.sha256(b"weights").hexdigest()


def load_own(path, options):
    """Stand for the loader of a user's own package."""
    return OwnModel(path, options)


class OwnModel:
    """Offers what every role must, and does nothing."""

    z_dim = w_dim = num_ws = resolution = embed_dim = 1
    w_avg = identity = attributes = "stated"

    def __init__(self, path, options):
        self.given = path, options

    def to(self, device):
        return self

    mapping = synthesis = encode_image = encode_text = classify = to


@pytest.fixture
def own_kind(monkeypatch):
    def find(group):
        return [importlib.metadata.EntryPoint("own", f"{__name__}:load_own", group)]

    monkeypatch.setattr(registry, "entry_points", find)


@pytest.mark.usefixtures("own_kind")
@pytest.mark.parametrize("role", ROLES)
def test_path_and_options_reach_the_loader_of_a_users_package(role, tmp_path):
    path = tmp_path / "weights"
    path.touch()
    dataset = ModelDataset(role=role, kind="own", filepath=str(path), options={"a": 1})
    assert dataset.load().given == (path, {"a": 1})


@pytest.mark.parametrize("role", ROLES)
def test_unknown_kind_is_refused_with_those_known(role):
    with pytest.raises(DatasetError, match=r"kind must be one of \w+.*got 'nothing'"):
        ModelDataset(role=role, kind="nothing").load()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"role": "writer"}, "role must be one of generator, encoder"),
        ({"download": {"sha": "0"}}, r"download.sha is not a parameter"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        ModelDataset(**{"role": "judge", "kind": "own", "filepath": "x", **settings})


def test_missing_file(tmp_path):
    path = str(tmp_path / "no.safetensors")
    dataset = ModelDataset(role="judge", kind="portraits_judge", filepath=path)
    assert not dataset.exists()
    with pytest.raises(DatasetError) as caught:
        dataset.load()
    assert isinstance(caught.value.__cause__, InputError)


@pytest.mark.usefixtures("own_kind")
def test_a_kind_without_a_file_needs_none_and_is_read_only():
    dataset = ModelDataset(role="generator", kind="own", options={"a": 1})
    described = {"role": "generator", "kind": "own", "filepath": None}
    assert dataset._describe() == {**described, "options": {"a": 1}}
    assert dataset.exists()
    assert dataset.load().given == (None, {"a": 1})
    assert dataset.fetch_files() == {}
    with pytest.raises(DatasetError, match="read-only"):
        dataset.save("anything")


@pytest.mark.usefixtures("own_kind")
def test_an_address_is_fetched_when_the_model_is_loaded(tmp_path):
    source = tmp_path / "weights"
    source.write_bytes(b"weights")
    download = {"cache_folder": str(tmp_path / "cache"), "sha256": SHA256}
    dataset = ModelDataset(
        role="generator", kind="own", filepath=source.as_uri(), download=download
    )
    assert dataset.exists()
    assert dataset.load().given == (source, {})
    (file,) = dataset.fetch_files().values()
    assert (file.path, file.sha256, file.num_bytes) == (source, SHA256, 7)

    far = ModelDataset(
        role="generator",
        kind="own",
        filepath="https://example.org/x.pkl",
        download={**download, "offline": True},
    )
    assert not far.exists()
    with pytest.raises(DatasetError, match=r"x.pkl is not on this machine"):
        far.load()


def test_a_folder_is_listed_by_its_files(tmp_path):
    for name in ("config.json", "weights.bin"):
        (tmp_path / name).write_bytes(b"weights")
    files = ModelDataset(
        role="generator", kind="own", filepath=str(tmp_path)
    ).fetch_files()
    assert list(files) == ["config.json", "weights.bin"]
    assert {file.sha256 for file in files.values()} == {SHA256}
