"""The relevance of channels, where each channel's is known."""

import pytest
import torch
from editing.global_directions.world import (
    GAINS,
    MEANS,
    ColourEncoder,
    StyledColours,
    make_config,
)
from generators.networks import make_stylegan3
from torch.nn import functional as F
from world import ColourGenerator

from clip2latent_kedro.editing.global_directions import measurement
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.adapters import StyleGANGenerator
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.methods.method import UnavailableError
from clip2latent_kedro.pairs import ShardProgress

RUN = {"seed": 3, "device": "cpu"}


def measure(generator=None, *, progress=None, resume=True, **changes):
    return list(
        measurement.measure_relevance(
            generator or StyledColours(),
            ColourEncoder(),
            make_config(**changes),
            progress=progress or ShardProgress(),
            resume=resume,
            **RUN,
        )
    )


def join(blocks, name):
    return torch.cat([torch.from_numpy(block.arrays[name]) for block in blocks])


def test_statistics_are_those_of_the_styles():
    """w is N(0, 1/16); of 3000 samples the errors below are five standard ones."""
    generator = StyledColours()
    mean, std = measurement.measure_styles(generator, make_config(), seed=3)
    expected = GAINS / 4
    assert ((mean - MEANS).abs() < 5 * expected / 3000**0.5).all()
    assert ((std / expected - 1).abs() < 5 / 6000**0.5).all()


def test_statistics_are_exact_over_the_samples_that_are_drawn():
    generator = StyledColours()
    config = make_config(num_statistics=1500)
    mean, std = measurement.measure_styles(generator, config, seed=3)
    w = [
        measurement.draw_w(generator, num, psi=1, seed=3, purpose=f"statistics:{first}")
        for first, num in ((0, 1024), (1024, 476))
    ]
    styles = generator.styles(torch.cat(w)).double()
    std_expected, mean_expected = torch.std_mean(styles, 0, unbiased=False)
    torch.testing.assert_close(mean.double(), mean_expected, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(std.double(), std_expected, rtol=1e-5, atol=0)


def test_a_row_is_the_unit_mean_of_unit_differences():
    """By the definition, picture by picture in double precision."""
    blocks = measure()
    generator, encoder = StyledColours(), ColourEncoder()
    mean, std = measurement.measure_styles(generator, make_config(), seed=3)
    w = measurement.draw_w(generator, 5, psi=1, seed=3, purpose="images")
    directions, agreement = join(blocks, "direction"), join(blocks, "agreement")
    for channel in (0, 1, 2, 4):
        total = torch.zeros(3, dtype=torch.float64)
        for styles in generator.styles(w).double():
            ends = []
            for side in (-5, 5):
                moved = styles.clone()
                moved[channel] = mean[channel] + side * std[channel].double()
                image = generator.synthesis_from_styles(moved[None]).clamp(-1, 1)
                ends.append(F.normalize(encoder.encode_image(image)[0], dim=0))
            total += F.normalize(ends[1] - ends[0], dim=0)
        row = F.normalize(total, dim=0)
        torch.testing.assert_close(directions[channel].double(), row, rtol=0, atol=1e-5)
        expected = float(total.norm()) / 5
        assert float(agreement[channel]) == pytest.approx(expected, abs=1e-5)
    assert directions[0, 0] > 0.5 > -0.5 > directions[4, 0]  # red, and its contrary


def test_a_channel_that_does_nothing_has_no_direction():
    blocks = measure()
    assert not join(blocks, "direction")[3].any()
    assert join(blocks, "agreement")[3] == 0
    torch.testing.assert_close(
        join(blocks, "direction")[[0, 1, 2, 4]].norm(dim=1), torch.ones(4)
    )


def test_colours_can_be_left_where_they_are():
    blocks = measure(include_colours=False)
    directions = join(blocks, "direction")
    assert not directions[4].any()
    torch.testing.assert_close(directions[:4], join(measure(), "direction")[:4])


def test_batches_change_rounding_alone():
    one, other = measure(batch_size=1), measure(batch_size=64, channels_per_block=5)
    assert [len(one), len(other)] == [3, 1]
    for name in ("mean", "std", "direction", "agreement"):
        torch.testing.assert_close(join(one, name), join(other, name))


def test_a_resumed_measurement_is_the_uninterrupted_one():
    whole = measure()
    progress = ShardProgress(whole[0].recipe, frozenset({0, 2}))
    (resumed,) = measure(progress=progress)
    assert (resumed.index, resumed.fresh) == (1, False)
    for name in ("mean", "std", "direction", "agreement"):
        assert (resumed.arrays[name] == whole[1].arrays[name]).all()


def test_a_whole_measurement_is_not_made_again():
    recipe = measure()[0].recipe
    done = ShardProgress(recipe, frozenset({0, 1, 2}))
    (block,) = measure(progress=done)
    assert not block.arrays
    assert measure(progress=done, resume=False)[0].fresh


def test_other_settings_do_not_resume():
    recipe = measure()[0].recipe
    with pytest.raises(
        InputError, match=r"stored channel_relevance were made .* num_sigmas"
    ):
        measure(progress=ShardProgress(recipe), num_sigmas=4.0)


def test_a_generator_without_styles_is_refused():
    with pytest.raises(UnavailableError, match=r"need the space S of a StyleGAN2"):
        measure(ColourGenerator())


def test_a_stylegan3_has_relevant_channels():
    network = make_stylegan3()
    generator = StyleGANGenerator(network, Identity("stylegan3", "5"))
    blocks = measure(generator, num_images=2, num_statistics=50, channels_per_block=9)
    directions = join(blocks, "direction")
    assert len(directions) == sum(x.num_channels for x in generator.style_layers)
    assert directions[:4].any(dim=1).all()  # the pose
    recipe = blocks[0].recipe
    assert recipe["generator"] == "stylegan3@5"
