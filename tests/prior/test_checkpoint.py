import json
from dataclasses import fields, replace

import pytest
import torch
from safetensors.torch import save_file

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.checkpoint import (
    check_settings,
    prior_from_checkpoint,
    read_checkpoint,
    write_checkpoint,
)

from .toy import ENCODER, GENERATOR, make_network_config, train


def assert_same(left, right):
    """Compare checkpoints, bit for bit."""
    for field in fields(left):
        one, other = getattr(left, field.name), getattr(right, field.name)
        if field.name in ("network", "ema", "optimizer"):
            assert one.keys() == other.keys()
            assert all(torch.equal(one[key], other[key]) for key in one), field.name
        elif field.name in ("statistics", "embedding_statistics"):
            assert all(
                torch.equal(torch.as_tensor(vars(one)[key]), torch.as_tensor(value))
                for key, value in vars(other).items()
            )
        elif field.name == "losses":
            torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)
        else:
            assert one == other, field.name


@pytest.mark.parametrize("kind", ["mlp", "clip2latent"])
def test_round_trip(tmp_path, kind):
    checkpoint = list(train(network=make_network_config(kind=kind), max_it=2))[-1]
    path = tmp_path / "new" / "prior.safetensors"
    write_checkpoint(path, checkpoint)
    assert_same(read_checkpoint(path), checkpoint)
    write_checkpoint(path, replace(checkpoint, step=3))
    assert read_checkpoint(path).step == 3
    assert [entry.name for entry in path.parent.iterdir()] == ["prior.safetensors"]


def test_failed_writing_leaves_the_old_file(tmp_path, finished):
    path = tmp_path / "prior.safetensors"
    write_checkpoint(path, finished)
    unserialisable = replace(finished, losses="not a tensor")
    with pytest.raises(Exception, match="losses"):
        write_checkpoint(path, unserialisable)
    assert_same(read_checkpoint(path), finished)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("which", ["ema", "network"], ids=["averaged", "last"])
def test_prior_has_the_stored_weights_and_origin(finished, which):
    prior = prior_from_checkpoint(finished, which)
    weights = prior.network.state_dict()
    expected = getattr(finished, which)
    assert all(torch.equal(weights[key], expected[key]) for key in expected)
    assert not any(p.requires_grad for p in prior.parameters())
    assert (prior.generator_identity, prior.encoder_identity) == (GENERATOR, ENCODER)
    assert prior.latent_shape == (2, 3)
    assert torch.equal(prior.w_mean, finished.statistics.mean)


def test_settings_of_a_continued_run_must_agree(finished):
    settings = json.loads(json.dumps(finished.settings))
    settings["train"] |= {"save_it": 1, "val_it": 1, "max_it": 1000}
    check_settings(finished, settings)
    settings["train"]["lr"] = 0.5
    settings["model"]["network"]["depth"] = 9
    with pytest.raises(
        InputError,
        match=r"other settings: model.network.depth \(stored 2, asked 9\), "
        r"train.lr \(stored 0.01, asked 0.5\)\. .*resume:false",
    ):
        check_settings(finished, settings)


def test_last_step_is_fixed_where_the_learning_rate_decays(finished):
    settings = json.loads(json.dumps(finished.settings))
    settings["train"] |= {"lr_decay": "cosine"}
    finished = replace(finished, settings=json.loads(json.dumps(settings)))
    settings["train"]["max_it"] = 1000
    with pytest.raises(InputError, match=r"train.max_it \(stored 12, asked 1000\)"):
        check_settings(finished, settings)


def test_missing_and_foreign_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no prior checkpoint at .*none"):
        read_checkpoint(tmp_path / "none")
    (tmp_path / "broken").write_bytes(b"\x08\x00\x00")
    with pytest.raises(InputError, match=r"broken must be a whole safetensors file"):
        read_checkpoint(tmp_path / "broken")
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign")
    with pytest.raises(InputError, match=r"foreign must be a prior checkpoint"):
        read_checkpoint(tmp_path / "foreign")
