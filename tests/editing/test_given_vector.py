import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from clip2latent_kedro.editing.given_vector import read_vector
from clip2latent_kedro.errors import InputError


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('ran')",))


@pytest.mark.parametrize(
    "shape", [(3,), (2, 3), (1, 3), (1, 2, 3), (1, 1, 3), (4, 1, 3), (4, 2, 3)]
)
def test_a_direction_is_read_from_anywhere(tmp_path, shape):
    direction = np.random.default_rng(0).standard_normal(shape)
    tensor = torch.from_numpy(direction)
    expected = torch.zeros(4, 2, 3) + tensor.float()  # as the original adds it
    np.save(tmp_path / "age.npy", direction)
    torch.save(tensor, tmp_path / "age.pt")
    torch.save(tensor, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Parameter(tensor), tmp_path / "learned.pt")
    np.savez(tmp_path / "age.npz", direction)
    save_file({"age": tensor}, tmp_path / "age.safetensors")
    torch.save({"age": tensor}, tmp_path / "named.pt")
    names = (
        "age.npy",
        "old.pt",
        "learned.pt",
        "age.npz",
        "age.safetensors",
        "named.pt",
    )
    files = [tmp_path / name for name in names]
    learned = tensor.clone().requires_grad_()
    for source in (direction, tensor, learned, str(tmp_path / "age.pt"), *files):
        found = read_vector(source, num_images=4, num_ws=2, w_dim=3)
        assert torch.equal(torch.zeros(4, 2, 3) + found, expected)


@pytest.mark.parametrize(
    "shape", [(), (2,), (3, 2), (4, 3), (3, 3), (3, 2, 3), (2, 4, 3), (1, 1, 1, 3)]
)
def test_a_direction_must_fit_the_generator(shape):
    message = r"shape \[3\], \[1 or 2, 3\] or \[1 or 4, 1 or 2, 3\], got \["
    with pytest.raises(InputError, match=message):
        read_vector(torch.zeros(shape), num_images=4, num_ws=2, w_dim=3)


def read(path):
    return read_vector(path, num_images=1, num_ws=2, w_dim=3)


def test_nothing_but_numbers_is_a_direction(tmp_path):
    torch.save({"w": torch.zeros(3), "v": torch.ones(3)}, tmp_path / "age.pt")
    with pytest.raises(InputError, match="must hold one direction, got 2: w, v"):
        read(tmp_path / "age.pt")
    torch.save([0.0, 1.0, 2.0], tmp_path / "age.pt")
    with pytest.raises(InputError, match="holds an object of type list"):
        read(tmp_path / "age.pt")
    torch.save({"age": torch.zeros(3), "smile": torch.zeros(3)}, tmp_path / "two.pt")
    with pytest.raises(InputError, match="must hold one direction, got 2: age, smile"):
        read(tmp_path / "two.pt")
    with pytest.raises(InputError, match="or 2, 3\\], got list"):
        read([0.0, 1.0, 2.0])
    for numbers in ([0, np.nan, 1], [0, 1j, 0], ["a", "b", "c"]):
        with pytest.raises(InputError, match="edit must hold finite numbers, got"):
            read(np.array(numbers))


def test_a_file_runs_nothing(tmp_path):
    content = pickle.dumps(Bomb(), protocol=2)
    for name in ("a.npy", "a.pt"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name} could not be read"):
            read(tmp_path / name)
    torch.save(Bomb(), tmp_path / "zip.pt")
    with pytest.raises(InputError, match=r"names the global '(builtins|__builtin__)"):
        read(tmp_path / "zip.pt")


@pytest.mark.parametrize("name", ["age.pt", "age.npy"])
@pytest.mark.parametrize("content", [None, b"", b"not a tensor"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name} could not be read"):
        read(tmp_path / name)
