"""Constants of a published checkpoint that its average of the weights has rounded."""

from dataclasses import replace

import pytest
import torch
from conformance import conformance_file, read_golden
from torch.nn import functional

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import repeat_latents
from clip2latent_kedro.methods.digests import digest_prior
from clip2latent_kedro.prior.checkpoint import (
    export_weights,
    prior_from_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from clip2latent_kedro.prior.published import (
    open_published,
    read_published,
    write_published,
)
from clip2latent_kedro.prior.published_schedule import (
    find_schedule,
    schedule_buffers,
)
from clip2latent_kedro.prior.sampling import noise_streams, sample_prior
from clip2latent_kedro.prior.transformer import RotaryEmbedding
from clip2latent_kedro.samplers import SamplingConfig, choose_sampler
from clip2latent_kedro.schedules import cosine_alpha_bar, linear_alpha_bar

from .published_toys import DIM, EMA, average_buffers, make_checkpoint

FREQS = "causal_transformer.layers.0.0.rotary_emb.freqs"
SKIPS, SCALES = (10, 250), (1.0, 2.0)


@pytest.fixture
def original():
    """The conformance file whose averaged copy has drifted, and what it answers."""
    name = "prior_ema_drift"
    return conformance_file(f"{name}.ckpt"), read_golden(f"{name}.golden.npz")


@pytest.fixture
def drifted(tmp_path):
    """A file of ours after 3000 updates of the original's average, and its tensors."""
    path = tmp_path / "prior.ckpt"
    write_published(make_checkpoint(), path)
    return path, average_buffers(path)


def upstream(num_steps, scale=1.0):
    return SamplingConfig(
        sampler="ddpm", num_steps=num_steps, guidance_scale=scale, variance="upstream"
    )


def draw(prior, embedding, noises, num_steps, scale):
    start, *noise = noises
    x0 = choose_sampler(
        upstream(num_steps, scale), prior.alpha_bar, stored=prior.stored_schedule
    )(prior.denoiser(embedding, scale), start, generator=iter(noise))
    return prior.statistics.denormalise(x0)


def test_as_stored_gives_the_samples_of_the_original(original):
    path, golden = original
    prior = prior_from_checkpoint(read_published(path))
    hidden = torch.zeros(3, dtype=torch.bool)
    for name, keep in (("net_cond", None), ("net_uncond", hidden)):
        x0 = prior.predict_x0(
            golden["x_t"][:, None], golden["t"], golden["embed"], keep
        )
        torch.testing.assert_close(x0[:, 0], golden[name], rtol=0, atol=1e-5)
    exact = prior_from_checkpoint(read_published(path, buffers="exact"))
    for skip in SKIPS:
        for scale in SCALES:
            expected = golden[f"sample_skip{skip}_scale{scale}"]
            noises = golden[f"noise_skip{skip}"][:, :, None]
            w, other = (
                repeat_latents(
                    draw(p, golden["embed"], noises, 1000 // skip, scale), [8]
                )
                for p in (prior, exact)
            )
            torch.testing.assert_close(w, expected, rtol=0, atol=1e-5)
            assert 1e-4 < (other - expected).abs().max() < 1e-2


def test_what_is_read_as_stored_is_written_bit_for_bit(original, tmp_path):
    path, _ = original
    write_published(read_published(path), tmp_path / "again.ckpt", step=0)
    again = torch.load(tmp_path / "again.ckpt", weights_only=True)["state_dict"]
    stored = torch.load(path, weights_only=True)["state_dict"]
    assert again.keys() == stored.keys()
    for key, tensor in stored.items():
        if key != "ema_diffusion_prior.initted":
            assert torch.equal(again[key], tensor), key


def test_exact_undoes_the_average(drifted):
    path, state = drifted
    computed = RotaryEmbedding(4).freqs
    as_stored, exact = (read_published(path, buffers=b) for b in ("as_stored", "exact"))
    assert torch.equal(as_stored.ema[FREQS], state[f"{EMA}net.{FREQS}"])
    assert not torch.equal(as_stored.ema[FREQS], computed)
    assert torch.equal(as_stored.statistics.std[0], state[f"{EMA}latent_std"])
    before = make_checkpoint()
    assert exact.buffers == {}
    for name, tensor in before.ema.items():
        assert torch.equal(exact.ema[name], tensor), name
    for name in ("mean", "std"):
        trained = getattr(before.statistics, name)
        assert torch.equal(getattr(exact.statistics, name), trained)
        assert not torch.equal(getattr(as_stored.statistics, name), trained)


def test_a_file_whose_constants_are_exact_has_nothing_to_keep(tmp_path):
    write_published(make_checkpoint(), tmp_path / "prior.ckpt")
    read = read_published(tmp_path / "prior.ckpt")
    assert read.buffers == {}
    assert prior_from_checkpoint(read).stored_schedule is None


def original_samples(state, denoise, noises, skip):
    """Sample as clip2latent does (latent_prior.py), in float32, of its own buffers."""
    levels = state[f"{EMA}alphas_cumprod"][::skip]
    log_variance = state[f"{EMA}posterior_log_variance_clipped"]
    beta = 1 - levels / functional.pad(levels[:-1], (1, 0), value=1.0)
    level = torch.cumprod(1 - beta, dim=0)
    before = functional.pad(level[:-1], (1, 0), value=1.0)
    of_x0 = beta * before.sqrt() / (1 - level)
    of_x_t = (1 - before) * (1 - beta).sqrt() / (1 - level)
    x = next(noises)
    for number in reversed(range(len(levels))):
        t = skip * number
        x = of_x0[number] * denoise(x, t) + of_x_t[number] * x
        if t:
            x = x + (0.5 * log_variance[t]).exp() * next(noises)
    return x


@pytest.mark.parametrize("skip", [1, 4, 10])
def test_its_own_sampler_goes_by_what_is_stored(drifted, skip):
    path, state = drifted
    prior = prior_from_checkpoint(read_published(path))
    embedding = torch.randn(3, DIM, generator=torch.Generator().manual_seed(0))
    w = sample_prior(
        prior, embedding, upstream(40 // skip), num_samples=1, seed=5, batch_size=3
    )
    noises = noise_streams(5, [(i, 0) for i in range(3)], (1, DIM))
    x0 = original_samples(state, prior.denoiser(embedding), noises, skip)
    expected = x0 * state[f"{EMA}latent_std"] + state[f"{EMA}latent_mean"]
    torch.testing.assert_close(w[:, 0], expected, rtol=0, atol=1e-5)


def test_other_samplers_take_the_schedule_of_the_training(drifted):
    path, _ = drifted
    prior = prior_from_checkpoint(read_published(path))
    assert torch.equal(prior.alpha_bar, cosine_alpha_bar(40))
    config = SamplingConfig(sampler="ddpm", num_steps=40, guidance_scale=1.0)
    embedding = torch.ones(1, DIM)
    w = [
        sample_prior(p, embedding, config, num_samples=2, seed=0, batch_size=2)
        for p in (prior, without_schedule(path))
    ]
    assert torch.equal(*w)


def without_schedule(path):
    return prior_from_checkpoint(replace(read_published(path), buffers={}))


def test_the_projects_own_file_keeps_the_choice(drifted, tmp_path):
    path, state = drifted
    own = tmp_path / "prior.safetensors"
    write_checkpoint(own, export_weights(read_published(path), "ema"))
    read = read_checkpoint(own)
    assert digest_prior(prior_from_checkpoint(read)) == digest_prior(
        prior_from_checkpoint(read_published(path))
    )
    assert read.settings == read_published(path).settings
    assert read.embedding_statistics is read.gaussian is read.encoder_identity is None
    write_published(read, tmp_path / "again.ckpt")
    again = torch.load(tmp_path / "again.ckpt", weights_only=True)["state_dict"]
    for key, tensor in state.items():
        if key.startswith(EMA):
            assert torch.equal(again[key], tensor), key

    write_checkpoint(own, read_published(path, buffers="exact"))
    assert prior_from_checkpoint(read_checkpoint(own)).stored_schedule is None


def test_the_digest_covers_the_schedule(drifted):
    path, _ = drifted
    digests = {digest_prior(prior_from_checkpoint(read_published(path)))}
    digests.add(digest_prior(without_schedule(path)))
    content = torch.load(path, weights_only=True)
    content["state_dict"][f"{EMA}posterior_log_variance_clipped"][3] *= 1.001
    torch.save(content, path)
    digests.add(digest_prior(prior_from_checkpoint(read_published(path))))
    assert len(digests) == 3


@pytest.mark.parametrize("skip", [1, 4])
def test_a_respaced_file_may_have_drifted(drifted, skip):
    """What the original's respacing writes before a save, of the levels that it has."""
    path, state = drifted
    levels = state[f"{EMA}alphas_cumprod"][::skip]
    before = functional.pad(levels[:-1], (1, 0), value=1.0)
    variance = (1 - levels / before) * (1 - before) / (1 - levels)
    content = torch.load(path, weights_only=True)
    content["state_dict"][f"{EMA}posterior_variance"][::skip] = variance
    torch.save(content, path)
    assert read_published(path).buffers


def test_drift_is_told_from_another_network(drifted):
    path, _ = drifted
    key = f"{EMA}net.{FREQS}"
    for theta, is_same in ((10000.0, True), (10050.0, True), (9000.0, False)):
        content = torch.load(path, weights_only=True)
        content["state_dict"][key] = theta ** -torch.tensor([0.0, 0.5])
        torch.save(content, path)
        if is_same:
            read_published(path)
        else:
            with pytest.raises(InputError, match="must be the rotary freq"):
                read_published(path)
    for make, name in ((cosine_alpha_bar, "cosine"), (linear_alpha_bar, "linear")):
        betas = schedule_buffers(make(1000))["betas"]
        for factor in (0.9965, 1.0, 1.0035):
            assert find_schedule(factor * betas) == name
        for factor in (0.98, 1.02):
            assert find_schedule(factor * betas) is None
    other = schedule_buffers(cosine_alpha_bar(1000, s=0.01))["betas"]
    assert find_schedule(other) is None


@pytest.mark.parametrize("read", [read_published, open_published])
def test_the_setting_is_checked_before_anything_is_read(read):
    with pytest.raises(InputError, match="must be as_stored or exact, got 'rounded'"):
        read("nowhere.ckpt", buffers="rounded")
