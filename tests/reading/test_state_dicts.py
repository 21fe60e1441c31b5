import math

import pytest
import torch
from safetensors.torch import save_file

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.reading.state_dicts import read_state_dict


@pytest.mark.parametrize("save", [torch.save, save_file])
@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_refused_by_name(tmp_path, save, number):
    save({"a": torch.ones(2), "b": torch.tensor([0.0, number])}, tmp_path / "x")
    with pytest.raises(InputError, match=r"b in .* must hold finite numbers"):
        read_state_dict(tmp_path / "x")


@pytest.mark.parametrize("save", [torch.save, save_file])
def test_only_names_of_a_prefix_are_read(tmp_path, save):
    save({"a.w": torch.ones(2), "b": torch.tensor([math.nan])}, tmp_path / "x")
    tensors, _ = read_state_dict(tmp_path / "x", prefix="a.")
    assert list(tensors) == ["a.w"]
