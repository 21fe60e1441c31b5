"""Directions in files of every form, and what is no direction."""

import json
import pickle

import numpy as np
import pytest
import torch
from kedro.io import DatasetError
from safetensors.torch import save_file
from world import seeded

from clip2latent_kedro.datasets import ModelDataset
from clip2latent_kedro.editing.directions.direction import (
    Destination,
    Direction,
    digest_direction,
)
from clip2latent_kedro.editing.directions.files import (
    load_directions,
    pack_directions,
    read_directions,
    read_one_direction,
)
from clip2latent_kedro.errors import InputError

SHAPES = [(3,), (1, 3), (2, 3), (1, 2, 3), (1, 1, 3)]


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('ran')",))


def make(shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def write(folder, ending, arrays):
    """Write named arrays, or one alone, in a format; return the path."""
    path = folder / f"age{ending}"
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    alone = next(iter(arrays.values()))
    if ending == ".npy":
        np.save(path, alone)
    elif ending == ".npz":
        np.savez(path, **arrays)
    elif ending == ".safetensors":
        save_file(tensors, path)
    elif len(arrays) > 1:
        torch.save(tensors, path)
    else:
        torch.save(torch.from_numpy(alone), path)
    return path


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("ending", [".npy", ".npz", ".pt", ".pth", ".safetensors"])
@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_one_direction_is_read_from_every_form(tmp_path, shape, ending, dtype):
    array = make(shape, dtype=dtype)
    path = write(tmp_path, ending, {"age": array})
    (direction,) = read_directions(path).values()
    expected = torch.from_numpy(array.astype(np.float32)).reshape(-1, 3)
    assert direction.name == "age"
    assert torch.equal(direction.offset, expected)
    found = torch.as_tensor(read_one_direction(path, 2)).float()
    assert torch.equal(found.reshape(-1, 3), expected)


@pytest.mark.parametrize("ending", [".npz", ".pt", ".safetensors"])
def test_several_are_read_by_name(tmp_path, ending):
    arrays = {"age": make(3), "smile": make((2, 3)), "pose": make((1, 3))}
    path = write(tmp_path, ending, arrays)
    found = read_directions(path)
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        assert found[name].name == name
        expected = torch.from_numpy(array).float().reshape(-1, 3)
        assert torch.equal(found[name].offset, expected)
    with pytest.raises(InputError, match="must hold one direction, got 3: "):
        read_one_direction(path, 2)


def test_a_nameless_array_of_an_archive_is_called_as_the_file(tmp_path):
    np.savez(tmp_path / "smile.npz", make(3))
    assert list(read_directions(tmp_path / "smile.npz")) == ["smile"]


def test_old_files_of_torch_are_read(tmp_path):
    tensor = torch.nn.Parameter(torch.from_numpy(make((2, 3))))
    torch.save(tensor, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    offset = read_directions(tmp_path / "a.pt")["a"].offset
    assert torch.equal(offset, tensor.detach().float())


def test_a_folder_is_all_its_files(tmp_path):
    np.save(tmp_path / "age.npy", make((1, 3)))
    torch.save({"pose": torch.zeros(3)}, tmp_path / "more.pt")
    (tmp_path / "README.md").write_text("Of a paper.")
    assert set(load_directions(tmp_path, {})) == {"age", "pose"}
    torch.save(torch.ones(3), tmp_path / "age.pt")
    with pytest.raises(InputError, match=r"got two of 'age', the second in age.pt"):
        load_directions(tmp_path, {})


def test_a_folder_without_any_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"got a folder without any. Put one there"):
        load_directions(tmp_path, {})


def make_ours():
    destination = Destination(
        *torch.randn(2, 2, 3, generator=seeded()), torch.tensor([1.0, 2.0])
    )
    made_with = {"kind": "transport", "settings": {"share": 0.1}}
    return {
        "age": Direction("age", torch.from_numpy(make((1, 3))).float(), layers=[1]),
        "old pose": Direction("old pose", torch.ones(2, 3), made_with),
        "smile": Direction("smile", torch.ones(1, 3), {}, None, destination),
    }


def save_ours(path, directions=None):
    tensors, metadata = pack_directions(directions or make_ours())
    save_file(tensors, path, metadata)


def test_our_own_files_tell_everything(tmp_path):
    save_ours(tmp_path / "d.safetensors")
    found, ours = read_directions(tmp_path / "d.safetensors"), make_ours()
    assert list(found) == sorted(ours)
    for name, one in ours.items():
        assert digest_direction(found[name]) == digest_direction(one)
        assert found[name].made_with == one.made_with
        assert found[name].layers == one.layers
        assert found[name].preparation == {}
    seconds = {"sampling": 12, "learning": {"age": 0.5}}
    (tmp_path / "d.json").write_text(json.dumps(seconds))
    timed = read_directions(tmp_path / "d.safetensors")
    assert timed["age"].preparation == {"generator": 12.0, "target": 0.5}
    assert timed["smile"].preparation == {}


def test_equal_directions_come_to_equal_files(tmp_path):
    for name in ("a", "b"):
        save_ours(tmp_path / f"{name}.safetensors")
    one, other = ((tmp_path / f"{n}.safetensors").read_bytes() for n in "ab")
    assert one == other


def test_one_of_ours_alone_moves_its_rows(tmp_path):
    age = make_ours()["age"]
    save_ours(tmp_path / "d.safetensors", {"age": age})
    found = read_one_direction(tmp_path / "d.safetensors", 2)
    assert torch.equal(found, torch.cat([torch.zeros(1, 3), age.offset]))
    with pytest.raises(InputError, match="The layers of age must be of 0 to 0"):
        read_one_direction(tmp_path / "d.safetensors", 1)


@pytest.mark.parametrize("shape", [(), (2, 2, 3), (1, 1, 1, 3), (0,), (2, 0)])
@pytest.mark.parametrize("ending", [".npy", ".pt", ".npz", ".safetensors"])
def test_wrong_shapes_are_refused(tmp_path, shape, ending):
    path = write(tmp_path, ending, {"age": np.zeros(shape)})
    message = r"age in .* must be a direction of the shape \[w_dim\], \[1, w_dim\] or"
    if ending == ".pt" and 0 in shape:
        message = "age.pt is refused because it has a tensor of shape"
    with pytest.raises(InputError, match=message):
        read_directions(path)


@pytest.mark.parametrize("ending", [".npy", ".pt", ".npz", ".safetensors"])
def test_numbers_must_be_finite(tmp_path, ending):
    path = write(tmp_path, ending, {"age": np.array([0.0, np.nan, 1.0])})
    with pytest.raises(InputError, match=r"age in .* must hold finite numbers, got"):
        read_directions(path)


@pytest.mark.parametrize("array", [np.array([1j, 0, 0]), np.array(["a", "b"])])
def test_numbers_must_be_numbers(tmp_path, array):
    np.save(tmp_path / "age.npy", array)
    with pytest.raises(InputError, match="must hold finite numbers, got"):
        read_directions(tmp_path / "age.npy")


@pytest.mark.parametrize("ending", [".npy", ".npz", ".pt", ".pth", ".safetensors"])
@pytest.mark.parametrize(
    "content", [None, b"", b"not a tensor", b"PK\x03\x04", b"\x80"]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, ending, content):
    path = tmp_path / f"age{ending}"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=f"age{ending}"):
        read_directions(path)


def test_a_file_runs_nothing(tmp_path):
    bomb = pickle.dumps(Bomb(), protocol=2)
    for name in ("a.npy", "a.npz", "a.pt", "a.pth", "a.safetensors"):
        (tmp_path / name).write_bytes(bomb)
        with pytest.raises(InputError, match=name):
            read_directions(tmp_path / name)
    torch.save({"a": Bomb()}, tmp_path / "zip.pt")
    with pytest.raises(InputError, match=r"names the global '(builtins|__builtin__)"):
        read_directions(tmp_path / "zip.pt")
    np.save(tmp_path / "b.npy", np.array([Bomb()]), allow_pickle=True)
    with pytest.raises(InputError, match=r"b.npy must be an .npy file of numbers"):
        read_directions(tmp_path / "b.npy")


@pytest.mark.parametrize("content", [{}, {"a": 1}, {"a": {"b": torch.zeros(3)}}, [1]])
def test_nothing_but_tensors_is_taken_from_a_dict(tmp_path, content):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(InputError, match=r"a.pt is refused because it h(as|olds)"):
        read_directions(tmp_path / "a.pt")


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"\.safetensors, got the ending '\.txt'"):
        read_directions(tmp_path / "a.txt")


def change(config):
    return {
        "kind": config | {"kind": "generator"},
        "none": {"kind": "directions"},
        "list": {"kind": "directions", "directions": [1]},
        "layers": {"kind": "directions", "directions": {"age": {"made_with": {}}}},
        "missing": {
            "kind": "directions",
            "directions": {"x": {"made_with": {}, "layers": None}},
        },
        "not layers": {
            "kind": "directions",
            "directions": {"age": {"made_with": {}, "layers": ["a"]}},
        },
    }


@pytest.mark.parametrize("name", list(change({})))
def test_metadata_that_are_not_ours_are_refused(tmp_path, name):
    tensors, metadata = pack_directions(make_ours())
    changed = change(json.loads(metadata["config"]))[name]
    save_file(tensors, tmp_path / "d.safetensors", {"config": json.dumps(changed)})
    with pytest.raises(InputError, match=r"d.safetensors must hold directions as the"):
        read_directions(tmp_path / "d.safetensors")


@pytest.mark.parametrize("part", ["basis", "reader", "goal", "offset"])
def test_a_destination_must_fit_together(tmp_path, part):
    tensors, metadata = pack_directions(make_ours())
    tensors[f"smile/{part}"] = torch.ones(5, 4)
    save_file(tensors, tmp_path / "d.safetensors", metadata)
    with pytest.raises(InputError, match="must hold directions as the pipeline"):
        read_directions(tmp_path / "d.safetensors")


def test_the_catalog_entry(tmp_path):
    path = tmp_path / "d.safetensors"
    settings = {"role": "directions", "kind": "file"}
    entry = ModelDataset(**settings, filepath=str(path))
    assert not entry.exists()
    assert ModelDataset(**settings, filepath=str(path), missing_ok=True).load() is None
    save_ours(path)
    assert set(entry.load()) == set(make_ours())
    assert set(entry.fetch_files()) == {"weights"}
    np.save(tmp_path / "x.npy", make(3))
    folder = ModelDataset(**settings, filepath=str(tmp_path))
    assert set(folder.load()) == {*make_ours(), "x"}
    mistyped = ModelDataset(**settings, filepath=str(path), options={"a": 1})
    with pytest.raises(DatasetError, match=r"no options \['a'\]"):
        mistyped.load()
