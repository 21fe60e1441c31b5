import json
from dataclasses import fields, replace

import pytest
import torch
from safetensors.torch import save_file

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.checkpoint import (
    check_settings,
    export_weights,
    prior_from_checkpoint,
    read_checkpoint,
    write_checkpoint,
)

from .toy import ENCODER, GENERATOR, make_network_config, train


def assert_same(left, right):
    """Compare checkpoints, bit for bit."""
    for field in (field for field in fields(left) if field.compare):
        one, other = getattr(left, field.name), getattr(right, field.name)
        if field.name in ("network", "ema", "optimizer", "best"):
            assert one.keys() == other.keys(), field.name
            assert all(torch.equal(one[key], other[key]) for key in one), field.name
        elif field.name in ("statistics", "embedding_statistics", "gaussian"):
            for key, value in vars(other).items():
                if isinstance(value, torch.Tensor):
                    assert torch.equal(vars(one)[key], value), key
                else:
                    assert vars(one)[key] == value, key
        else:
            assert one == other, field.name


@pytest.mark.parametrize("kind", ["mlp", "clip2latent"])
def test_round_trip(tmp_path, kind):
    network = make_network_config(kind=kind)
    text_mean = torch.arange(4.0)
    *_, checkpoint = train(network=network, max_it=3, text_mean=text_mean)
    assert checkpoint.best_step == 3
    assert torch.equal(checkpoint.embedding_statistics.text_mean, text_mean)
    path = tmp_path / "new" / "prior.safetensors"
    write_checkpoint(path, checkpoint)
    assert_same(read_checkpoint(path), checkpoint)
    write_checkpoint(path, replace(checkpoint, step=4))
    assert read_checkpoint(path).step == 4
    assert [entry.name for entry in path.parent.iterdir()] == ["prior.safetensors"]


def test_failed_writing_leaves_the_old_file(tmp_path, finished):
    path = tmp_path / "prior.safetensors"
    write_checkpoint(path, finished)
    shared = torch.zeros(2)
    with pytest.raises(RuntimeError, match="share memory"):
        write_checkpoint(path, replace(finished, best={"a": shared, "b": shared}))
    assert_same(read_checkpoint(path), finished)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("which", ["ema", "network", "best"])
def test_prior_has_the_stored_weights_and_origin(finished, which):
    prior = prior_from_checkpoint(finished, which)
    weights = prior.network.state_dict()
    expected = getattr(finished, which)
    assert all(torch.equal(weights[key], expected[key]) for key in expected)
    assert not any(p.requires_grad for p in prior.parameters())
    assert (prior.generator_identity, prior.encoder_identity) == (GENERATOR, ENCODER)
    assert prior.latent_shape == (2, 3)
    assert torch.equal(prior.w_mean, finished.statistics.mean)
    assert prior.gaussian is finished.gaussian


def test_exported_weights_are_the_last_or_the_best():
    *_, checkpoint = train(max_it=11)  # validated at 3, 6 and 9
    assert 0 < checkpoint.best_step < 11
    last, best = export_weights(checkpoint, "ema"), export_weights(checkpoint, "best")
    assert (last.step, last.ema) == (11, checkpoint.ema)
    assert (best.step, best.ema) == (checkpoint.best_step, checkpoint.best)
    for exported in (last, best):
        assert exported.network == exported.optimizer == exported.best == {}
        assert exported.history == checkpoint.history


def test_the_best_of_an_unvalidated_run_is_the_last():
    *_, checkpoint = train(max_it=2)
    assert (checkpoint.best_step, checkpoint.best) == (0, {})
    exported = export_weights(checkpoint, "best")
    assert (exported.step, exported.ema) == (2, checkpoint.ema)


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


@pytest.mark.parametrize(
    ("place", "value", "match"),
    [
        ("model.network.dim", 10**7, "size mismatch for"),
        ("model.network.depth", 10**9, "far more layers than it holds"),
        ("model.network.num_timesteps", 10**12, "at most 1000000"),
        ("model.network.dim", "8", "dim must be a whole number"),
        ("model.network.kind", "other", "kind must be one of"),
        ("data.latent_repeats", [10], "as data.latent_repeats"),
        ("train.max_it", "12", "max_it must be a whole"),
        ("train.znorm_latent", 1, "znorm_latent must be true"),
    ],
)
def test_claims_that_the_weights_do_not_bear_out(
    place, value, match, finished, tmp_path
):
    settings = json.loads(json.dumps(finished.settings))
    *above, last = place.split(".")
    group = settings
    for name in above:
        group = group[name]
    group[last] = value
    path = tmp_path / "prior.safetensors"
    write_checkpoint(path, replace(finished, settings=settings))
    with pytest.raises(InputError, match=rf"not as this project .*{match}.* Remove it"):
        read_checkpoint(path)


def test_an_optimiser_of_another_network_is_refused(finished):
    for name, tensor in (("other:exp_avg", torch.ones(1)), ("x", torch.ones(1))):
        start = replace(finished, optimizer={**finished.optimizer, name: tensor})
        with pytest.raises(InputError, match=r"optimiser does not fit .*resume:false"):
            list(train(start=start, max_it=13))
    first = next(iter(finished.optimizer))
    cut = {k: v for k, v in finished.optimizer.items() if k != first}
    with pytest.raises(InputError, match=r"optimiser does not fit .*resume:false"):
        list(train(start=replace(finished, optimizer=cut), max_it=13))
