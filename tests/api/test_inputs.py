import pickle

import numpy as np
import pytest
import torch

from clip2latent_kedro.api.inputs import read_edit
from clip2latent_kedro.errors import InputError


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('ran')",))


@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_a_direction_is_read_from_anywhere(tmp_path, shape):
    direction = np.random.default_rng(0).standard_normal(shape)
    expected = torch.from_numpy(direction).float()
    np.save(tmp_path / "age.npy", direction)
    torch.save(torch.from_numpy(direction), tmp_path / "age.pt")
    sources = [direction, expected, tmp_path / "age.npy", str(tmp_path / "age.pt")]
    for source in sources:
        assert torch.equal(read_edit(source, num_ws=2, w_dim=3), expected)


@pytest.mark.parametrize("shape", [(2,), (3, 2), (1, 3), (1, 2, 3)])
def test_a_direction_must_fit_the_generator(shape):
    with pytest.raises(InputError, match=r"shape \[3\] or \[2, 3\], got \["):
        read_edit(torch.zeros(shape), num_ws=2, w_dim=3)


def test_nothing_but_an_array_is_a_direction(tmp_path):
    torch.save({"w": torch.zeros(3)}, tmp_path / "age.pt")
    with pytest.raises(InputError, match="holds an object of type dict"):
        read_edit(tmp_path / "age.pt", num_ws=2, w_dim=3)


@pytest.mark.parametrize("name", ["age.pt", "age.npy"])
def test_a_file_runs_nothing(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps(Bomb(), protocol=2))
    with pytest.raises(InputError, match=f"{name} could not be read"):
        read_edit(tmp_path / name, num_ws=2, w_dim=3)


@pytest.mark.parametrize("content", [None, b"", b"not a tensor"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "age.pt").write_bytes(content)
    with pytest.raises(InputError, match=r"age.pt could not be read"):
        read_edit(tmp_path / "age.pt", num_ws=2, w_dim=3)
