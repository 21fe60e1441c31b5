"""Checkpoints in the published format: read, written, and refused in a sentence."""

import copy
import io
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import omegaconf
import pytest
import torch
from conformance import conformance_file

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.checkpoint import (
    prior_from_checkpoint,
)
from clip2latent_kedro.prior.published import (
    published_config,
    read_published,
    write_published,
)
from clip2latent_kedro.schedules import SCHEDULES, cosine_alpha_bar

from .published_toys import DIFFUSION, DIM, NETWORK, make_checkpoint

EMA = "ema_diffusion_prior.ema_model."
FREQS = "causal_transformer.layers.1.0.rotary_emb.freqs"
GAMMA = f"{EMA}net.causal_transformer.norm.gamma"


@pytest.fixture
def original():
    """The conformance file, and what its shapes cannot tell."""
    config = {"model": {"diffusion": DIFFUSION}, "data": {"latent_repeats": [8]}}
    return conformance_file("prior_small64.ckpt"), config


@pytest.fixture
def stored(tmp_path):
    """A written file, and what it holds, to be spoilt."""
    path = tmp_path / "prior.ckpt"
    write_published(make_checkpoint(), path)
    return path, torch.load(path, weights_only=True)


def assert_same_weights(one, other):
    for group in ("ema", "network"):
        left, right = getattr(one, group), getattr(other, group)
        assert left.keys() == right.keys()
        assert all(torch.equal(left[key], right[key]) for key in left)
    for name in ("mean", "std"):
        assert torch.equal(
            getattr(one.statistics, name), getattr(other.statistics, name)
        )


def test_the_original_outputs_of_both_copies(original, golden):
    path, config = original
    checkpoint = read_published(path, config=config)
    assert checkpoint.step == 123450
    assert checkpoint.settings["model"]["network"] == {
        "kind": "clip2latent",
        "dim": 64,
        "num_timesteps": 1000,
        "depth": 2,
        "dim_head": 32,
        "heads": 4,
        "noise_level_input": False,
    }
    x_t = golden["x_t"][:, None]
    hidden = torch.zeros(4, dtype=torch.bool)
    for which, name, keep in (
        ("ema", "net_cond", None),
        ("ema", "net_uncond", hidden),
        ("network", "net_cond_online", None),
    ):
        prior = prior_from_checkpoint(checkpoint, which)
        x0 = prior.predict_x0(x_t, golden["t"], golden["embed"], keep)
        torch.testing.assert_close(x0[:, 0], golden[name], rtol=0, atol=1e-5)
    assert torch.equal(prior.statistics.mean[0], golden["latent_mean"])
    assert torch.equal(prior.statistics.std[0], golden["latent_std"])
    assert (
        prior.embedding_statistics is prior.gaussian is prior.generator_identity is None
    )


def test_what_is_written_is_the_original_file_again(original, tmp_path):
    path, config = original
    write_published(read_published(path, config=config), tmp_path / "again.ckpt")
    again = torch.load(tmp_path / "again.ckpt", weights_only=True)["state_dict"]
    described = [
        f"{key}\t{tuple(tensor.shape)}\t{tensor.dtype}" for key, tensor in again.items()
    ]
    keys = conformance_file("prior_small64.keys.txt").read_text().splitlines()
    assert sorted(described) == sorted(keys)
    for key, tensor in torch.load(path, weights_only=True)["state_dict"].items():
        is_schedule = ".net." not in key and tensor.shape == (1000,)
        tolerance = (
            {"rtol": 1e-4, "atol": 1e-7} if is_schedule else {"rtol": 0, "atol": 0}
        )
        torch.testing.assert_close(again[key], tensor, **tolerance)


@pytest.mark.parametrize("num_latents", [1, 3])
@pytest.mark.parametrize("beta_schedule", SCHEDULES)
@pytest.mark.parametrize("znorm_latent", [True, False])
def test_round_trip_is_exact(tmp_path, num_latents, beta_schedule, znorm_latent):
    changes = {"diffusion": {"beta_schedule": beta_schedule, "image_embed_scale": 1.5}}
    written = make_checkpoint(
        num_latents=num_latents, znorm_latent=znorm_latent, **changes
    )
    if not znorm_latent:  # the format has no statistics then
        written.statistics.mean.zero_()
        written.statistics.std.fill_(1)
    path = tmp_path / "prior.ckpt"
    write_published(written, path, step=11)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["prior.ckpt", "prior.yaml"]
    read = read_published(path)
    assert_same_weights(read, written)
    assert read.step == 11
    assert published_config(read) == published_config(written)
    assert published_config(read)["train"] == {
        "znorm_embed": False,
        "znorm_latent": znorm_latent,
        "max_it": 9,
        "lr": 1e-4,
        "ema_beta": 0.99,
    }
    path.with_suffix(".yaml").unlink()  # the file's own copy says the same
    assert read_published(path).settings == read.settings


def test_the_average_stands_for_the_weights_that_are_not_there(tmp_path):
    write_published(replace(make_checkpoint(), network={}), tmp_path / "prior.ckpt")
    read = read_published(tmp_path / "prior.ckpt")
    assert all(torch.equal(read.network[key], read.ema[key]) for key in read.ema)


@pytest.mark.parametrize("is_zip", [True, False])
def test_objects_of_omegaconf_are_read_as_data(stored, is_zip, monkeypatch):
    """Nodes of every kind, references among them, in both containers."""
    path, content = stored
    path.with_suffix(".yaml").unlink()
    tree = copy.deepcopy(content["cfg"])
    tree["model"]["diffusion"]["image_embed_dim"] = "${model.network.dim}"
    tree["data"]["path"] = Path("some/where")
    tree["name"] = None
    content["cfg"] = omegaconf.OmegaConf.create(tree)
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)

    def refuse(*_):
        raise AssertionError

    for kind in (omegaconf.DictConfig, omegaconf.ListConfig, omegaconf.AnyNode):
        monkeypatch.setattr(kind, "__setstate__", refuse)
    read = read_published(path)
    assert read.settings["data"]["latent_repeats"] == [2]
    assert read.settings["data"]["path"] == "some/where"
    assert_same_weights(read, make_checkpoint())


def test_typed_nodes_and_nested_lists_are_plain(stored):
    path, content = stored
    path.with_suffix(".yaml").unlink()
    config = omegaconf.OmegaConf.create(content["cfg"])
    config._set_value({**content["cfg"], "extra": [[1, {"a": 2.5}], True, "x"]})
    config.data.bs = omegaconf.IntegerNode(512)
    config.train.lr = omegaconf.FloatNode(3e-4)
    config.data.format = omegaconf.StringNode("webdataset")
    torch.save({**content, "cfg": config}, path)
    settings = read_published(path).settings
    assert settings["data"]["bs"] == 512
    assert settings["train"]["lr"] == 3e-4
    assert settings["data"]["format"] == "webdataset"


def test_what_has_no_effect_may_be_missing_or_there(stored):
    path, content = stored
    state = content["state_dict"]
    for key in [k for k in state if k.endswith((".beta", "rotary_emb.freqs"))]:
        del state[key]
    state[f"{EMA}embed_mean"] = torch.ones(DIM)
    torch.save(content, path)
    assert_same_weights(read_published(path), make_checkpoint())


def test_the_averaged_copy_alone_is_enough(stored):
    path, content = stored
    state = content["state_dict"]
    content["state_dict"] = {k: v for k, v in state.items() if k.startswith(EMA)}
    torch.save(content, path)
    read = read_published(path)
    assert (read.step, read.network) == (0, {})


def test_a_prior_that_was_respaced_before_it_was_saved(stored):
    """What the original's respacing by 10 writes into three of the buffers."""
    path, content = stored
    state = content["state_dict"]
    bars = [1.0, *cosine_alpha_bar(40)[::10].tolist()]
    for number, (before, bar) in enumerate(pairwise(bars)):
        beta, at = 1 - bar / before, 10 * number
        state[f"{EMA}posterior_variance"][at] = beta * (1 - before) / (1 - bar)
        state[f"{EMA}posterior_mean_coef1"][at] = beta * before**0.5 / (1 - bar)
        weight = (1 - before) * (1 - beta) ** 0.5 / (1 - bar)
        state[f"{EMA}posterior_mean_coef2"][at] = weight
    torch.save(content, path)
    assert_same_weights(read_published(path), make_checkpoint())
    state[f"{EMA}posterior_mean_coef1"][10] += 0.1
    torch.save(content, path)
    with pytest.raises(InputError, match=r"posterior_mean_coef1 in .* is not that of"):
        read_published(path)


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        (GAMMA, None, f"Missing key {GAMMA}"),
        (f"{EMA}betas", None, rf"Missing key {EMA}betas"),
        (f"{EMA}latent_std", None, rf"Missing key {EMA}latent_std"),
        (f"{EMA}net.learned_query", None, "Missing key .*net.learned_query"),
        ("diffusion_prior.betas", None, "Missing key diffusion_prior.betas"),
        (f"{EMA}net.x", torch.ones(1), rf"Unexpected key {EMA}net\.x"),
        ("optim.step", torch.ones(1), r"Unexpected key optim\.step"),
        (GAMMA, torch.ones(9), r"gamma: float32 \[9\] instead of float32 \[8\]"),
        (
            f"{EMA}latent_mean",
            torch.ones(1, 8),
            r"latent_mean: float32 \[1, 8\] instead of float32 \[8\]",
        ),
        (GAMMA, torch.full((8,), torch.nan), "norm.gamma in .* must be finite"),
        (f"{EMA}latent_std", torch.zeros(8), "latent_std in .* must be above 0"),
        (f"{EMA}betas", 2, "betas .* no schedule known here|is 'cos"),
        (f"{EMA}sqrt_alphas_cumprod", 2, "cumprod in .* is not that of the noise sch"),
        (f"{EMA}net.{FREQS}", 2, "layers.1.0.rotary_emb.freqs in .* must be the rotar"),
        (f"{EMA}net.learned_query", torch.ones(1, 1, 1), "holds no network of clip2la"),
        ("step", "seven", "'step' in state_dict, which is no t"),
    ],
)
def test_a_spoilt_state_dict_is_refused_by_name(stored, key, change, message):
    """None takes the key away, a number multiplies it, anything else replaces it."""
    path, content = stored
    state = content["state_dict"]
    old = state.pop(key, None)
    if change is not None:
        state[key] = old * change if isinstance(change, int) else change
    torch.save(content, path)
    with pytest.raises(InputError, match=message):
        read_published(path)


class Hostile:
    def __reduce__(self):
        import os

        return os.system, ("touch /tmp/never",)


@pytest.mark.parametrize("is_zip", [True, False])
def test_other_names_are_refused_and_not_called(stored, is_zip):
    path, content = stored
    torch.save(
        {**content, "cfg": Hostile()}, path, _use_new_zipfile_serialization=is_zip
    )
    with pytest.raises(InputError, match=r"names the global '(posix|nt)\.system'"):
        read_published(path)
    assert not Path("/tmp/never").exists()


def bare_state_dict(whole):
    file = io.BytesIO()
    torch.save(torch.load(io.BytesIO(whole), weights_only=True)["state_dict"], file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda whole: whole[: len(whole) // 2], "is refused because it is a zip"),
        (lambda whole: b"", "is empty; give a checkpoint as clip2latent"),
        (lambda whole: b"version https://git-lfs.github.com/x", "is a Git LFS pointer"),
        (bare_state_dict, "holds no state dict"),
        (None, r"expected at .*prior\.ckpt, where there is"),
    ],
)
def test_files_of_other_kinds_are_refused(stored, spoil, message):
    path, _ = stored
    whole = path.read_bytes()
    path.unlink()
    if spoil is not None:
        path.write_bytes(spoil(whole))
    with pytest.raises(InputError, match=message):
        read_published(path)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("model.network.depth", 6, r"model.network.depth is 6 in .*, but 2 in"),
        ("model.network.heads", 4, r"model.network.heads is 4 in .*, but 3 in"),
        ("model.network.num_timesteps", 20, r"num_timesteps is 20 .* but 40"),
        ("model.diffusion.timesteps", 20, r"timesteps is 20 in .*, but 40 in"),
        ("model.diffusion.beta_schedule", "linear", "'linear' in .* 'cosine'"),
        ("data.n_latents", 3, r"data.n_latents is 3 in .*, but 1 in the weig"),
        ("data.latent_dim", 512, r"data.latent_dim is 512 in .*, but 8 in the"),
        ("train.znorm_latent", False, r"znorm_latent is False in .* but True"),
        ("data.latent_repeats", [2, 2], r"latent_repeats in .* must be 1 numb"),
        ("data.latent_repeats", [0], "repeats.0 must be a whole number, 1 or more, g"),
        ("model.diffusion.predict_x_start", "yes", 'must be true or false, got "yes"'),
        ("model.diffusion.image_embed_scale", "big", 'number, above 0, got "big"'),
        ("model.diffusion.image_embed_scale", 0, "image_embed_scale must be a number"),
        ("model.diffusion.l2norm", True, "l2norm is not a parameter"),
        ("model.network.causal", True, "model.network.causal in .* is not know"),
        ("model.network", [1], r"model.network in .* must be a mapping, got"),
        ("data.bs", "${data.size}", "refers to data.size, which has no value"),
        ("data.bs", "${data.bs}", "refers to data.bs, which has no value"),
    ],
)
def test_a_yaml_that_is_not_that_of_the_file_is_refused(
    stored, setting, value, message
):
    path, content = stored
    config = omegaconf.OmegaConf.create(content["cfg"])
    omegaconf.OmegaConf.update(config, setting, value, merge=False)
    text = omegaconf.OmegaConf.to_yaml(config, resolve=False)
    path.with_suffix(".yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_published(path)


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("- a\n- b\n", r"mapping with the sections data, .* got \["),
        ("just text", "mapping with the sections data, model, train, got 'j"),
        ("sg2: true", "mapping with the sections data, model, train, got sg2"),
        ("a: [", "YAML file, but cannot be read as one"),
    ],
)
def test_a_yaml_that_is_no_configuration_is_refused(stored, text, got):
    path, _ = stored
    path.with_suffix(".yaml").write_text(text)
    with pytest.raises(InputError, match=rf"prior\.yaml must be a {got}"):
        read_published(path)


def test_what_cannot_be_known_is_asked_for(stored):
    path, content = stored
    path.with_suffix(".yaml").unlink()
    torch.save({"state_dict": content["state_dict"]}, path)
    with pytest.raises(
        InputError,
        match=r"does not say model.diffusion.cond_drop_prob, .*predict_x_start, "
        r"data.latent_repeats, and weights cannot tell",
    ):
        read_published(path)
    with pytest.raises(InputError, match=r"expected at .*none.yaml: there is no"):
        read_published(path, config=path.with_name("none.yaml"))
    config = {"model": {"diffusion": DIFFUSION}, "data": {"latent_repeats": [2]}}
    assert_same_weights(read_published(path, config=config), make_checkpoint())


@pytest.mark.parametrize(
    ("network", "settings", "message"),
    [
        ({"kind": "mlp"}, {}, "kind clip2latent, got mlp"),
        ({"noise_level_input": True}, {}, "input false, got true"),
        ({"dim": 16}, {}, "one width throughout, got .*dim 16, data"),
        ({}, {"distillation": {}}, "a prior that is no distilled student"),
    ],
)
def test_priors_that_the_format_cannot_hold_are_refused(
    tmp_path, network, settings, message
):
    checkpoint = make_checkpoint(network={**NETWORK, **network})
    checkpoint.settings.update(settings)
    with pytest.raises(InputError, match=f"The published format holds .*{message}"):
        write_published(checkpoint, tmp_path / "prior.ckpt")
    assert list(tmp_path.iterdir()) == []


def test_a_given_configuration_is_bounded(tmp_path):
    path = tmp_path / "toy.ckpt"
    write_published(make_checkpoint(), path)
    itself = {}
    itself["data"] = itself
    bomb, deep = ["x"], {}
    for _ in range(30):
        bomb, deep = [bomb] * 9, {"a": {"a": deep}}
    for config in (itself, {"data": bomb}, {"data": deep}):
        with pytest.raises(InputError, match="config must be a plain configuration"):
            read_published(path, config=config)
