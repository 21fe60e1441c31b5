"""The mapping network as it is used: queries, files, a row of the comparison."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from methods.clip2gan_world import configure, make_pairs, statistics_of, train
from safetensors.torch import save_file
from torch.nn import functional as F
from world import (
    IMAGE_MEAN,
    TEXT_MEAN,
    ColourEncoder,
    ColourGenerator,
    make_queries,
)

from clip2latent_kedro.encoders import load_encoder
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators import load_generator
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.methods import METHODS, make_settings
from clip2latent_kedro.methods.clip2gan import (
    export_clip2gan,
    load_clip2gan,
    map_to_w,
)
from clip2latent_kedro.methods.method import UnavailableError
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.prior.diffusion import EmbeddingStatistics
from clip2latent_kedro.worlds.portraits.judge import load_judge

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "src/clip2latent_kedro/worlds/portraits/weights"


@pytest.fixture(scope="module")
def state():
    return train(max_it=20, save_it=20)[-1]


def write(path, state, text_mean=TEXT_MEAN):
    tensors, strings = export_clip2gan(
        state,
        ColourGenerator(),
        ColourEncoder(),
        statistics_of(make_pairs()),
        EmbeddingStatistics(IMAGE_MEAN, 2.0, text_mean),
        [2],
        configure(max_it=20),
    )
    save_file(tensors, path, strings)
    return path


@pytest.fixture
def model(state, tmp_path):
    return load_clip2gan(write(tmp_path / "clip2gan.safetensors", state), {})


EMBEDDING = torch.tensor([[1.0, 0.2, 0.1], [0.0, -1.0, 0.5], [0.3, 0.3, -2.0]])


def test_what_is_stored_comes_back_with_what_it_belongs_to(state, model):
    weights = model.network.state_dict()
    for name, value in state.ema.items():
        torch.testing.assert_close(weights[name], value.half().float(), rtol=0, atol=0)
    statistics = statistics_of(make_pairs())
    torch.testing.assert_close(model.statistics.std, statistics.std, rtol=0, atol=0)
    torch.testing.assert_close(model.embedding_statistics.text_mean, TEXT_MEAN)
    assert model.embedding_statistics.norm == 2.0
    assert model.generator_identity == ColourGenerator.identity
    assert model.encoder_identity == ColourEncoder.identity
    assert model.training_seconds is None


def test_equal_trainings_are_equal_files_whatever_time_they_took(state, tmp_path):
    first = write(tmp_path / "first.safetensors", state)
    second = write(tmp_path / "second.safetensors", replace(state, seconds=9.0))
    assert first.read_bytes() == second.read_bytes()
    (tmp_path / "second.json").write_text('{"training_seconds": 9.0}')
    assert load_clip2gan(second, {}).training_seconds == 9.0
    (tmp_path / "second.json").write_text("{}")
    with pytest.raises(InputError, match=r"second\.json must hold training_seconds"):
        load_clip2gan(second, {})


def test_w_is_the_denormalised_answer_in_every_layer(model):
    w = map_to_w(model, EMBEDDING)
    assert w.shape == (3, 2, 3)
    x0 = model.network(EMBEDDING)[:, 0]
    expected = model.statistics.mean[0] + model.statistics.std[0] * x0
    torch.testing.assert_close(w[:, 0], expected)
    torch.testing.assert_close(w[:, 1], w[:, 0], rtol=0, atol=0)


def test_only_the_direction_counts_and_a_batch_equals_singles(model):
    w = map_to_w(model, EMBEDDING)
    torch.testing.assert_close(map_to_w(model, 7 * EMBEDDING), w)
    singles = [map_to_w(model, row[None]) for row in EMBEDDING]
    torch.testing.assert_close(torch.cat(singles), w)


def test_the_mean_shift_moves_texts_to_the_images(model):
    moved = F.normalize(EMBEDDING, dim=1) + IMAGE_MEAN - TEXT_MEAN
    shifted = map_to_w(model, EMBEDDING, bridge="mean_shift")
    torch.testing.assert_close(shifted, map_to_w(model, moved))


def test_without_a_mean_of_texts_there_is_no_shift(state, tmp_path):
    path = write(tmp_path / "clip2gan.safetensors", state, text_mean=None)
    model = load_clip2gan(path, {})
    with pytest.raises(InputError, match="bridge must be none for clip2gan"):
        map_to_w(model, EMBEDDING, bridge="mean_shift")


def test_queries_that_do_not_suit_are_refused(model):
    with pytest.raises(InputError, match=r"shape \[n, 3\] for clip2gan.*got \[2, 4\]"):
        map_to_w(model, torch.ones(2, 4))
    with pytest.raises(InputError, match=r"bridge must be one of .*got 'wide'"):
        map_to_w(model, EMBEDDING, bridge="wide")


def test_files_that_are_none_are_refused(model, tmp_path):
    with pytest.raises(InputError, match="Run the pipeline baselines"):
        load_clip2gan(tmp_path / "missing.safetensors", {})
    with pytest.raises(InputError, match=r"no options \['psi'\]"):
        load_clip2gan(tmp_path / "clip2gan.safetensors", {"psi": 1})
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes((tmp_path / "clip2gan.safetensors").read_bytes()[:100])
    other = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, other, {"config": '{"kind": "judge"}'})
    for path in (damaged, other):
        with pytest.raises(InputError, match=r"must (hold a CLIP2GAN|be a whole saf)"):
            load_clip2gan(path, {})


def build(model, **overrides):
    models = Models(
        generator=ColourGenerator(),
        encoder=ColourEncoder(),
        embedder=ColourEncoder(),
        latent_repeats=[2],
        latent_batch_size=16,
        image_batch_size=16,
        clip2gan=model,
    )
    settings = make_settings("row", overrides, {}, "clip2gan")
    return METHODS["clip2gan"].build(settings, models, make_queries())


@pytest.mark.parametrize("bridge", ["none", "mean_shift"])
def test_a_row_answers_each_prompt_with_its_one_w(model, bridge):
    row, queries = build(model, bridge=bridge), make_queries()
    w = row.sample(queries, num_samples=4, seed=0)
    expected = map_to_w(model, queries.embedding, bridge=bridge)
    torch.testing.assert_close(w, expected[:, None].expand(-1, 4, -1, -1))
    image = row.synthesise(w[:, 0])
    torch.testing.assert_close(image[:, :, 0, 0], expected.mean(dim=1))
    assert row.list_settings()["bridge"] == bridge
    assert row.made_with == {"clip2gan": model.identity.digest}
    assert row.is_deterministic
    assert row.training_seconds == model.training_seconds


def test_w_is_truncated_to_the_mean_of_the_data_and_texts_are_shifted_in_part(model):
    def draw(**settings):
        return build(model, **settings).sample(make_queries(), num_samples=1, seed=0)

    mean = draw(psi=0.0)
    torch.testing.assert_close(draw(psi=0.5), mean + 0.5 * (draw() - mean))
    none = {"bridge": "mean_shift", "shift_share": 0.0}
    torch.testing.assert_close(draw(**none), draw())
    assert not torch.allclose(draw(bridge="mean_shift", shift_share=0.5), draw())


def test_a_row_as_the_abstract_tells_it_takes_another_model(model):
    with pytest.raises(UnavailableError, match="There is no clip2gan_abstract"):
        build(model, mapper="clip2gan_abstract")


@pytest.mark.parametrize("role", ["generator", "encoder"])
def test_a_row_for_other_models_is_left_out(model, role):
    other = replace(model, **{f"{role}_identity": Identity("another", "99")})
    with pytest.raises(UnavailableError, match=f"trained for the {role} another@99"):
        build(other)


def test_a_row_whose_bridge_needs_more_is_left_out(state, tmp_path):
    path = write(tmp_path / "clip2gan.safetensors", state, text_mean=None)
    model = load_clip2gan(path, {})
    with pytest.raises(UnavailableError, match=r"^bridge must be none"):
        build(model, bridge="mean_shift")
    assert build(model).list_settings()["bridge"] == "none"


def test_the_shipped_one_as_the_abstract_tells_it_belongs_to_the_shipped_models():
    ours, abstract = (
        load_clip2gan(WEIGHTS / f"{name}.safetensors", {})
        for name in ("clip2gan", "clip2gan_abstract")
    )
    assert abstract.generator_identity == ours.generator_identity
    assert abstract.encoder_identity == ours.encoder_identity
    assert abstract.identity != ours.identity
    assert abstract.training_seconds


def test_the_shipped_model_belongs_to_the_shipped_ones_and_draws_what_is_asked():
    path = WEIGHTS / "clip2gan.safetensors"
    assert path.stat().st_size <= 1_000_000
    model = load_clip2gan(path, {})
    encoder = load_encoder("compact_clip", WEIGHTS / "clip.safetensors", {})
    generator = load_generator("stylegan2", WEIGHTS / "generator.safetensors", {})
    judge = load_judge(WEIGHTS / "judge.safetensors", {})
    assert model.generator_identity == generator.identity
    assert model.encoder_identity == encoder.identity

    texts = ["a smiling woman with red hair and glasses", "a bald man in a green shirt"]
    with torch.no_grad():
        text = encoder.encode_text(texts)
        image = generator.synthesis(map_to_w(model, text, bridge="mean_shift"))
    names = list(judge.attributes)
    seen = [
        {
            name: judge.attributes[name][value]
            for name, value in zip(names, row, strict=True)
        }
        for row in judge.classify(image).tolist()
    ]
    stated = [
        {"gender": "woman", "hair_colour": "red", "eyewear": "glasses"},
        {"gender": "man", "hair_style": "bald", "shirt": "green"},
    ]
    for found, wanted in zip(seen, stated, strict=True):
        assert {name: found[name] for name in wanted} == wanted
