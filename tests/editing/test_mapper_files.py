"""Mappers in files: ours, and those of StyleCLIP's own code."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from editing.mapper_world import (
    TARGETS,
    TEACHERS,
    TallGenerator,
    make_mapper,
    random_w,
    store,
    train,
)
from kedro.io import DatasetError
from safetensors.torch import load_file, save_file

from clip2latent_kedro.datasets import MapperFolderDataset, WeightsFolderDataset
from clip2latent_kedro.editing.mapper import export_mapper, load_mapper
from clip2latent_kedro.errors import InputError

THEIRS = {"course_mapping": slice(0, 4), "medium_mapping": slice(4, 8)}
THEIRS |= {"fine_mapping": slice(8, None)}


def test_a_mapper_comes_back_as_it_was(tmp_path):
    *_, state = train()
    mapper = load_mapper(store(tmp_path))
    for name, value in mapper.network.state_dict().items():
        assert torch.equal(value, state.ema[name])
    assert (mapper.text, mapper.neutral) == ("1 0 0", "0 0 0")
    assert mapper.generator_identity == TEACHERS.generator.identity
    assert mapper.encoder_identity == TEACHERS.encoder.identity
    assert mapper.identity_encoder_identity == TEACHERS.identity_encoder.identity
    assert mapper.losses == state.history[-1]
    assert mapper.training_seconds > 0
    assert mapper.settings["mapper"]["l2_weight"] == 0.8


def test_its_identity_is_of_what_it_does(tmp_path):
    *_, state = train()
    digests = []
    for number, (changed, target) in enumerate(
        [
            (state, TARGETS["red"]),
            (replace(state, seconds=99.0), TARGETS["red"]),
            (train(seed=1)[-1], TARGETS["red"]),
        ]
    ):
        folder = tmp_path / str(number)
        weights = export_mapper(changed, target)
        MapperFolderDataset(filepath=str(folder)).save({"red": weights})
        digests.append(load_mapper(folder / "red.safetensors").identity.digest)
    assert digests[0] == digests[1] != digests[2]


def spoil(path, **changes):
    """Rewrite a file with another header; a value of None drops an entry."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["config"])
    header = {k: v for k, v in {**header, **changes}.items() if v is not None}
    save_file(load_file(path), path, {"config": json.dumps(header)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "clip2gan"}, "got 'clip2gan'"),
        ({"target": None}, "target"),
        ({"shape": {"w_dim": 4, "ends": [4, 8, 10], "moved": []}}, "Unexpected key"),
        (
            {"shape": {"w_dim": 10**9, "ends": [4, 8, 10], "moved": ["coarse"]}},
            "key|mismatch",
        ),
        ({"shape": {"w_dim": 3, "ends": [8, 4, 10], "moved": ["coarse"]}}, "ends must"),
        ({"losses": [1]}, "items"),
        ({"generator": {"name": 3, "digest": ""}}, "name must be a string"),
    ],
)
def test_a_header_that_lies_is_refused(changes, message, tmp_path):
    path = store(tmp_path, max_it=2)
    spoil(path, **changes)
    with pytest.raises(InputError, match=f"must hold a mapper.*({message})"):
        load_mapper(path)


def test_files_of_nothing_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"A mapper is expected at .*no file"):
        load_mapper(tmp_path / "none.safetensors")
    path = store(tmp_path, max_it=2)
    tensors = load_file(path)
    next(iter(tensors.values()))[:] = np.nan
    save_file(tensors, path, {"config": json.dumps({})})
    with pytest.raises(InputError, match="must hold a mapper"):
        load_mapper(path)
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(InputError, match="is no pickle but text"):
        load_mapper(tmp_path / "text.pt")


def test_a_mapper_is_exported_for_its_own_text_once_it_is_trained():
    *_, before, state = train(max_it=6)
    other = replace(TARGETS["red"], target="0 1 0")
    with pytest.raises(InputError, match=r"'0 1 0', got one for '1 0 0'\. Run the who"):
        export_mapper(state, other)
    with pytest.raises(InputError, match=r"of red .* to step 6, got step 4"):
        export_mapper(before, TARGETS["red"])


# StyleCLIP's own checkpoints.


def their_weights(prefixes, seed=3):
    """Return mappers of StyleCLIP's names, of 3 channels, beside a decoder."""
    random = torch.Generator().manual_seed(seed)
    weights = {"decoder.input.input": torch.zeros(1, 3, 4, 4)}
    for prefix in prefixes:
        for layer in range(1, 5):
            name = f"mapper.{prefix}mapping.{layer}"
            weights[f"{name}.weight"] = 100 * torch.randn(3, 3, generator=random)
            weights[f"{name}.bias"] = 20 * torch.randn(3, generator=random)
    return weights


def save_theirs(path, weights, **content):
    opts = {"description": "a person with purple hair", "learning_rate": 0.5}
    torch.save({"state_dict": weights, "opts": opts, **content}, path)
    return path


def reference(weights, prefix, w):
    """Return a network of theirs in float64; its norm goes over the second axis."""
    x = w / np.sqrt(np.mean(w**2, axis=1, keepdims=True) + 1e-8)
    for layer in range(1, 5):
        name = f"mapper.{prefix}mapping.{layer}"
        weight = weights[f"{name}.weight"].double().numpy() * 0.01 / np.sqrt(3)
        x = x @ weight.T + 0.01 * weights[f"{name}.bias"].double().numpy()
        x = np.sqrt(2) * np.where(x > 0, x, 0.2 * x)
    return x


def test_their_levels_are_read(tmp_path):
    left_out = "medium_mapping"  # as by no_medium_mapper
    names = [name for name in THEIRS if name != left_out]
    weights = their_weights([f"{name}." for name in names])
    mapper = load_mapper(save_theirs(tmp_path / "purple.pt", weights))
    w = random_w()
    offset = mapper.offset(w).double().numpy()
    assert not offset[:, THEIRS[left_out]].any()
    for name in names:
        rows = THEIRS[name]
        expected = reference(weights, f"{name}.", w[:, rows].double().numpy())
        np.testing.assert_allclose(
            offset[:, rows], 0.1 * expected, rtol=1e-4, atol=1e-5
        )
    assert mapper.text == "a person with purple hair"
    assert mapper.generator_identity is None
    assert mapper.identity.name == "purple"


def test_their_single_mapper_is_read(tmp_path):
    weights = their_weights(["mapping."])
    mapper = load_mapper(save_theirs(tmp_path / "single.pt", weights))
    w = random_w()
    expected = 0.1 * reference(weights, "mapping.", w.double().numpy())
    np.testing.assert_allclose(mapper.offset(w), expected, rtol=1e-4, atol=1e-5)


def test_their_mapper_of_another_size_is_refused(tmp_path):
    generator = TallGenerator()
    generator.w_dim = 512
    mapper = load_mapper(save_theirs(tmp_path / "x.pt", their_weights(["mapping."])))
    with pytest.raises(InputError, match=r"moves w of 3 channels.*which has 512"):
        mapper.check_generator(generator)


@pytest.mark.parametrize(
    ("prefixes", "message"),
    [
        (["mapper_0."], "has mappers \\['mapper_0'\\]"),
        ([], "holds no state dict under mapper"),
        (["course_mapping.0."], "which no mapper of w has"),
    ],
)
def test_others_of_theirs_are_refused(prefixes, message, tmp_path):
    path = save_theirs(tmp_path / "x.pt", their_weights(prefixes))
    with pytest.raises(InputError, match=message):
        load_mapper(path)


def test_their_weights_must_fit(tmp_path):
    weights = their_weights(["mapping."])
    weights["mapper.mapping.mapping.2.weight"] = torch.zeros(3, 4)
    with pytest.raises(InputError, match="size mismatch"):
        load_mapper(save_theirs(tmp_path / "x.pt", weights))
    torch.save({"opts": {}}, tmp_path / "y.pt")
    with pytest.raises(InputError, match="has no state_dict"):
        load_mapper(tmp_path / "y.pt")


# Folders.


def test_a_folder_holds_a_mapper_for_each_target(tmp_path):
    folder = MapperFolderDataset(filepath=str(tmp_path / "mappers"))
    assert folder.load() == {}
    store(tmp_path / "mappers")
    save_theirs(tmp_path / "mappers" / "purple.pt", their_weights(["mapping."]))
    (tmp_path / "mappers" / ".green.safetensors.partial").write_bytes(b"")
    assert list(folder.load()) == ["purple", "red"]
    again = make_mapper(tmp_path / "mappers", seed=1)
    assert folder.load()["red"].identity == again.identity


def test_two_mappers_of_one_name_are_refused(tmp_path):
    store(tmp_path)
    save_theirs(tmp_path / "red.pt", their_weights(["mapping."]))
    with pytest.raises(DatasetError, match=r"got red.pt and red.safetensors"):
        MapperFolderDataset(filepath=str(tmp_path)).load()


def test_a_cut_off_file_of_ours_is_told_as_such(tmp_path):
    path = store(tmp_path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="must be a whole safetensors file"):
        load_mapper(path)


def test_states_are_read_when_they_are_asked_for(tmp_path):
    folder = WeightsFolderDataset(filepath=str(tmp_path))
    folder.save({"red": ({"x": torch.ones(2)}, {"header": "{}"})})
    (tmp_path / "green.safetensors").write_bytes(b"damaged")
    read = folder.load()
    tensors, strings = read["red"]()
    assert torch.equal(tensors["x"], torch.ones(2))
    assert strings == {"header": "{}"}
    assert isinstance(read["green"](), InputError)
