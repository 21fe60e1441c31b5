import pytest
import torch
from editing.linear_world import GLAD, make_editing_models, make_w
from world import make_models, make_sampling

from clip2latent_kedro.editing import EDIT_METHODS, EditTarget, Source
from clip2latent_kedro.editing.mixing import (
    StyleMixing,
    StyleMixingSettings,
    mix_latents,
    synthesise_columns,
    vary_styles,
)
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.latents import Latents
from clip2latent_kedro.methods.method import UnavailableError

W, OTHER = make_w(4, seed=0), make_w(1, seed=1)


def test_no_strength_is_the_same_w():
    assert mix_latents(W, OTHER, [0, 3], 0) is W


def test_full_strength_takes_the_rows_of_the_other():
    mixed = mix_latents(W, OTHER, [1, 9], 1.0)
    assert torch.equal(mixed[:, [1, 9]], OTHER[:, [1, 9]].expand(4, -1, -1))
    rest = [0, 2, 3, 4, 5, 6, 7, 8]
    assert torch.equal(mixed[:, rest], W[:, rest])
    assert torch.equal(mix_latents(W, OTHER, range(10)), OTHER.expand_as(W))


def test_half_the_strength_is_half_the_way():
    mixed = mix_latents(W, OTHER, [2], 0.5)
    torch.testing.assert_close(mixed[:, 2], (W[:, 2] + OTHER[:, 2]) / 2)


def test_swapped_roles_make_the_same_mixture():
    """Coarse rows of one with the rest of another, from either side."""
    coarse, rest = [0, 1, 2, 3], [4, 5, 6, 7, 8, 9]
    one, other = W[:1], OTHER
    assert torch.equal(mix_latents(one, other, coarse), mix_latents(other, one, rest))


def test_a_row_must_be_there():
    with pytest.raises(InputError, match="layers must be of 0 to 9"):
        mix_latents(W, OTHER, [-1])


def test_variations_start_with_the_sample():
    others = make_w(3, seed=2)
    grid = vary_styles(W, others, [8, 9])
    assert grid.shape == (4, 4, 10, 12)
    assert torch.equal(grid[:, 0], W)
    for column in range(3):
        expected = mix_latents(W, others[column], [8, 9])
        assert torch.equal(grid[:, column + 1], expected)


def test_columns_of_a_figure_are_the_pictures_of_the_grid():
    generator = make_editing_models().generator
    grid = vary_styles(W, make_w(2, seed=2), [8, 9])
    columns = synthesise_columns(generator, grid, ["a", "b", "c"], batch_size=5)
    assert list(columns) == ["a", "b", "c"]
    for column, images in enumerate(columns.values()):
        expected = image_to_uint8(generator.synthesis(grid[:, column]))
        assert (images == expected).all()


def test_a_random_second_w_depends_on_the_seed_alone():
    edits = [
        StyleMixing.prepare(
            StyleMixingSettings(layers="fine", second="random", seed=seed),
            make_editing_models(),
            GLAD,
        )
        for seed in (0, 0, 1)
    ]
    assert torch.equal(edits[0].other, edits[1].other)
    assert not torch.equal(edits[0].other, edits[2].other)
    assert edits[0].made_with == edits[1].made_with != edits[2].made_with
    found = edits[0].apply(Source(Latents(W)), 1.0).w
    assert torch.equal(found, mix_latents(W, edits[0].other, [8, 9]))


def test_pictures_do_not_depend_on_each_other():
    settings = StyleMixingSettings(second="random")
    edit = StyleMixing.prepare(settings, make_editing_models(), GLAD)
    together = edit.apply(Source(Latents(W)), 0.7).w
    alone = [edit.apply(Source(Latents(one[None])), 0.7).w for one in W]
    torch.testing.assert_close(together, torch.cat(alone))


def make_colours(**changes):
    models = make_models(**changes)
    return EditingModels(models=models)


def test_the_second_w_of_a_text_is_the_prior_s():
    """The prior of the colours answers with the condition, the text's embedding."""
    target = EditTarget("1 0 0", "0 0 0", name="red")
    models = make_colours(spread=0.3, sampling=make_sampling())
    settings = StyleMixingSettings(layers=[0], num_candidates=4)
    edit = EDIT_METHODS["style_mixing"].prepare(settings, models, target)
    method = models.models.text_to_image(models.models.priors["prior"])
    found = method(["1 0 0"], make_sampling(), num_samples=4, seed=0)
    torch.testing.assert_close(edit.other, found.w[0, :1])
    assert found.scores[0, 0] == found.scores.max()

    w = torch.zeros(2, 2, 3)
    mixed = edit.apply(Source(Latents(w)), 1.0).w
    torch.testing.assert_close(mixed[:, 0], found.w[0, 0, 0].expand(2, 3))
    assert not mixed[:, 1].any()


def test_what_a_text_needs_is_named():
    target = EditTarget("1 0 0", "0 0 0", name="red")
    settings = StyleMixingSettings(layers=[0])
    with pytest.raises(UnavailableError, match=r"takes Models.sampling"):
        StyleMixing.prepare(settings, make_colours(), target)
    with pytest.raises(UnavailableError, match="Run the pipeline training"):
        StyleMixing.prepare(settings, make_colours(priors={}), target)
    with pytest.raises(InputError, match="3 rows of w or more, got 2"):
        StyleMixing.prepare(StyleMixingSettings(), make_colours(), target)


@pytest.mark.parametrize(
    "wrong", [{"layers": "finest"}, {"second": "x"}, {"num_candidates": 0}]
)
def test_wrong_settings_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=f"{name} must be"):
        StyleMixingSettings(**wrong)
