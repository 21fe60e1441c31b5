import pytest
import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.training import TrainingState
from clip2latent_kedro.training.state import pack_state, stored_state, unpack_state

STATE = TrainingState(
    step=4,
    network={"a.weight": torch.tensor([1.0, 2.0])},
    ema={"a.weight": torch.tensor([3.0])},
    optimizer={"a.weight:step": torch.tensor(4.0)},
    history=[{"step": 4, "loss": 0.1}],
    settings={"line": {"lr": 0.1}, "made_by": [{"code": "a"}]},
    seconds=2.5,
)


def test_a_stored_state_comes_back():
    again = stored_state(pack_state(STATE))
    assert vars(again) == vars(STATE)
    assert again.seconds == 2.5
    assert stored_state(({}, {})) is None
    error = InputError("It is damaged.")
    assert stored_state(error) is error


def test_a_state_that_is_not_as_it_was_stored_is_refused():
    tensors, strings = pack_state(STATE)
    other = {**tensors, "ema.a.weight": torch.tensor([4.0])}
    for changed in ((other, strings), (tensors, {**strings, "header": "{}"})):
        with pytest.raises(InputError, match=r"damaged.*resume:false"):
            unpack_state(changed)


def test_a_state_of_an_earlier_version_says_how_to_go_on():
    """The checksum is what that version wrote for these."""
    tensors = {"model.a": torch.ones(3), "losses": torch.ones(2)}
    strings = {"step": "2", "seconds": "0.5", "settings": "{}", "made_by": "[{}]"}
    stored = tensors, {**strings, "checksum": "2b334500"}
    with pytest.raises(InputError, match=r"earlier version.*resume:false"):
        unpack_state(stored)
