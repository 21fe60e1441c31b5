"""The original's arguments, on linear models, where every answer is known."""

import sys

import numpy as np
import processes
import pytest
import torch
from PIL import Image
from torch.nn import functional
from world import (
    STATISTICS,
    ColourEncoder,
    ColourGenerator,
    make_prior,
    make_sampling,
)

import clip2latent_kedro
from clip2latent_kedro.api import Clip2StyleGAN
from clip2latent_kedro.api.sources import LoadedModels
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.checkpoint import Checkpoint

PROMPTS = ["1 0 0", "0 -3 4"]
DIRECTIONS = torch.tensor([[1, 0, 0], [0, -0.6, 0.8]])


def make_api(spread=0.5, *, settings=None, **changes):
    models = LoadedModels(
        ColourGenerator(),
        ColourEncoder(),
        make_prior(spread),
        sampling=make_sampling(**(settings or {})),
        preprocess={},
        references=(None, None),
        checkpoint=Checkpoint(
            step=0, settings={"data": {"latent_repeats": [2]}}, statistics=None
        ),
    )
    return Clip2StyleGAN(models, "cpu", **changes)


def test_images_come_prompt_by_prompt_with_their_scores():
    images, scores, w = make_api()(PROMPTS, 3, return_w=True)
    assert images.shape == (6, 3, 4, 4)
    assert images.dtype == scores.dtype == torch.float32
    assert w.shape == (6, 2, 3)
    torch.testing.assert_close(images[:, :, 0, 0], w[:, 0].clamp(-1, 1))
    text = DIRECTIONS.repeat_interleave(3, dim=0)
    cosine = functional.cosine_similarity(w[:, 0], text)
    torch.testing.assert_close(scores, cosine, rtol=1e-4, atol=1e-5)

    alone = make_api()(PROMPTS[0], 3)[0]
    torch.testing.assert_close(alone, images[:3])


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"edit_strength": 2.0}, "edit_strength is"),
        ({"edit_method": "prior"}, "edit_method is"),
        (
            {"edit_strength": 0.0, "edit_method": "prior"},
            "edit_strength and edit_method are",
        ),
    ],
)
def test_how_to_edit_without_an_edit_is_told(given, named):
    message = rf"edit must say what to change where {named} given, got none"
    with pytest.raises(InputError, match=message):
        make_api()(PROMPTS, **given)
    with pytest.raises(InputError, match=message):
        make_api().edit(torch.zeros(2, 3), **given)


def test_the_best_image_of_each_prompt_comes_first_if_wanted():
    model = make_api(1.0, image_batch_size=2)
    _, scores, w = model(PROMPTS, 5, return_w=True)
    images, ranked, ranked_w = model(PROMPTS, 5, clip_sort=True, return_w=True)
    order = scores.view(2, 5).argsort(dim=1, descending=True)
    order = (order + torch.tensor([[0], [5]])).flatten()
    assert torch.equal(ranked, scores[order])
    assert torch.equal(ranked_w, w[order])
    torch.testing.assert_close(images[:, :, 0, 0], w[order, 0].clamp(-1, 1))


def test_guidance_truncation_and_edit_in_closed_form():
    """w = mean + psi * std * scale * e' + edit; the edit is not truncated."""
    edit = torch.tensor([[0.1, 0.2, 0.3], [0, 0, 1]])
    _, _, w = make_api(0.0)(
        PROMPTS, 1, cond_scale=1.5, truncation=0.7, edit=edit, return_w=True
    )
    x0 = 1.5 * 2.0 * DIRECTIONS
    expected = STATISTICS.mean + 0.7 * STATISTICS.std * x0  # [2, 3]
    torch.testing.assert_close(w, expected[:, None] + edit, rtol=1e-4, atol=1e-5)


def test_an_edit_has_the_shapes_of_the_originals_own_directions(tmp_path):
    """age and smile are [1, w_dim], pose is [1, num_ws, w_dim]."""
    plain = make_api()(PROMPTS, 2, return_w=True)[2]
    for shape in ((1, 3), (1, 2, 3), (1, 1, 3), (4, 2, 3)):
        edit = torch.arange(1.0, 1 + torch.Size(shape).numel()).view(shape)
        torch.save(edit, tmp_path / "pose.pt")
        for given in (edit, tmp_path / "pose.pt"):
            w = make_api()(PROMPTS, 2, edit=given, return_w=True)[2]
            torch.testing.assert_close(w, plain + edit)
    with pytest.raises(InputError, match=r"or \[1 or 4, 1 or 2, 3\], got \[3, 2, 3\]"):
        make_api()(PROMPTS, 2, edit=torch.zeros(3, 2, 3))


def test_truncation_above_one_is_none():
    model = make_api()
    expected = model(PROMPTS, 2, truncation=1.0, return_w=True)[2]
    for truncation in (1.5, 2):
        w = model(PROMPTS, 2, truncation=truncation, return_w=True)[2]
        assert torch.equal(w, expected)
    w = model(PROMPTS, 2, sampling={"psi": 2.0}, return_w=True)[2]
    mean = STATISTICS.mean
    torch.testing.assert_close(w - mean, 2 * (expected - mean))


def test_prompts_may_be_called_text_samples():
    model = make_api()
    expected = model(PROMPTS, 2)[0]
    assert torch.equal(model(text_samples=PROMPTS, n_samples_per_txt=2)[0], expected)
    with pytest.raises(InputError, match="or text_samples must be given, got neither"):
        model()
    with pytest.raises(InputError, match="or text_samples must be given, got both"):
        model(PROMPTS, text_samples=PROMPTS)


def test_truncation_is_by_psi_whatever_is_configured():
    model = make_api(settings={"truncation": "auto", "psi": 0.3})
    _, _, w = model(PROMPTS, 2, truncation=0.0, return_w=True)
    torch.testing.assert_close(w, STATISTICS.mean.expand(4, 2, 3))


def test_skips_are_those_of_the_original():
    """T = 20, so that skips 5 visits 15, 10, 5 and 0 with upstream's variance."""
    model = make_api(settings={"sampler": "ddim", "num_steps": 20})
    _, _, w = model(PROMPTS, 3, skips=5, seed=4, return_w=True)
    upstream = make_sampling(sampler="ddpm", num_steps=4, variance="upstream")
    expected = model.text_to_image(PROMPTS, upstream, num_samples=3, seed=4, rank=False)
    assert torch.equal(w, expected.w.flatten(0, 1))
    corrected = {"sampler": "ddpm", "num_steps": 4}
    _, _, other = model(PROMPTS, 3, seed=4, return_w=True, sampling=corrected)
    assert not torch.isclose(other, w).any()
    for skips in (0, 3):
        with pytest.raises(InputError, match=f"skips must divide 20, got {skips}"):
            model(PROMPTS, skips=skips)


def test_what_a_call_does_not_say_is_as_configured():
    settings = {"sampler": "ddim", "guidance_scale": 2.5, "psi": 0.5}
    model = make_api(settings=settings)
    _, _, w = model(PROMPTS, return_w=True, seed=3)
    expected = model.text_to_image(
        PROMPTS, make_sampling(**settings), num_samples=1, seed=3
    )
    assert torch.equal(w, expected.w.flatten(0, 1))


def test_any_other_setting_goes_over_the_named_ones():
    overrides = {"guidance_scale": 0.5, "psi": 0.0, "truncation_centre": "w_avg"}
    model = make_api(0.0)
    _, _, w = model(PROMPTS, truncation=1.0, sampling=overrides, return_w=True)
    torch.testing.assert_close(w, ColourGenerator.w_avg.expand(2, 2, 3))
    with pytest.raises(InputError, match=r"sampling must set .*, got 'steps'"):
        model(PROMPTS, sampling={"steps": 3})
    with pytest.raises(InputError, match=r"^psi must be a number, 0 or more, got -1"):
        model(PROMPTS, truncation=-1)


def test_images_and_weighted_lists_are_prompts():
    levels = np.array([153, 178, 76], np.uint8)
    pil = Image.fromarray(np.broadcast_to(levels, (4, 4, 3)))
    colour = torch.from_numpy(levels) / 127.5 - 1
    tensor = colour[:, None, None].expand(3, 4, 4)
    mixed = [("1 0 0", 1.0), (pil, -0.5)]
    model = make_api(0.0)
    _, scores, w = model([pil, tensor, mixed], return_w=True)

    mixture = torch.eye(3)[0] - 0.5 * functional.normalize(colour, dim=0)
    length = (2.0 + 0.5 * colour.norm()) / 1.5
    x0 = torch.stack([colour, colour, length * functional.normalize(mixture, dim=0)])
    expected = STATISTICS.mean + STATISTICS.std * x0
    torch.testing.assert_close(w[:, 0], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        scores[2], functional.cosine_similarity(mixture, expected[2], dim=0)
    )

    torch.testing.assert_close(model(mixed, return_w=True)[2], w[2:])
    torch.testing.assert_close(model(tensor, return_w=True)[2], w[1:2])
    pair = torch.stack([tensor, tensor])
    torch.testing.assert_close(model(pair, return_w=True)[2], w[[1, 1]])


@pytest.mark.parametrize("negative", ["0 0 1", ["0 0 1", "0 2 0"]])
def test_guidance_leads_away_from_the_negative(negative):
    model = make_api(0.0)
    _, _, w = model(PROMPTS, cond_scale=3.0, negative=negative, return_w=True)
    last = [0, 0, 1.0] if isinstance(negative, str) else [0, 1.0, 0]
    unwanted = torch.tensor([[0, 0, 1.0], last])
    x0 = 2.0 * (unwanted + 3.0 * (DIRECTIONS - unwanted))
    expected = STATISTICS.mean + STATISTICS.std * x0
    torch.testing.assert_close(w[:, 0], expected, rtol=1e-4, atol=1e-5)


def test_images_are_within_their_range_and_w_is_not():
    images, _, w = make_api(0.0)(PROMPTS, cond_scale=10.0, return_w=True)
    assert w.abs().max() > 1
    assert images.abs().max() == 1


def test_an_image_depends_on_seed_prompt_and_number_alone():
    model = make_api(latent_batch_size=2, image_batch_size=1)
    _, _, w = make_api()(PROMPTS, 3, seed=1, return_w=True)
    same, other = (model(PROMPTS, 2, seed=seed, return_w=True)[2] for seed in (1, 2))
    torch.testing.assert_close(same, w[[0, 1, 3, 4]], rtol=0, atol=1e-6)
    assert not torch.isclose(other, same).any()


def test_at_least_one_image_of_one_prompt():
    with pytest.raises(InputError, match="n_samples_per_txt must be 1 or more, got 0"):
        make_api()(PROMPTS, 0)
    with pytest.raises(InputError, match="prompts must hold a text or an image"):
        make_api()([])


def test_models_that_the_catalog_does_not_tell_of_are_not_saved(tmp_path):
    with pytest.raises(InputError, match="if its catalog entry is a ModelDataset"):
        make_api().save_pretrained(tmp_path)


def test_the_package_offers_it_by_name():
    assert clip2latent_kedro.Clip2StyleGAN is Clip2StyleGAN
    with pytest.raises(AttributeError, match="no attribute 'Clip3StyleGAN'"):
        clip2latent_kedro.Clip3StyleGAN  # noqa: B018


def test_the_package_alone_is_light_and_the_api_needs_no_kedro():
    script = """
import sys
import clip2latent_kedro
assert "torch" not in sys.modules
clip2latent_kedro.Clip2StyleGAN
assert not {"kedro", "omegaconf", "pydantic", "pandas"} & set(sys.modules)
"""
    found = processes.run([sys.executable, "-c", script])
    assert found.returncode == 0, found.stderr
