from itertools import pairwise

import pytest

from clip2latent_kedro.generators.stylegan3_config import StyleGAN3Config

# Layers of NVIDIA's published generators, as their state dicts name them.
PUBLISHED = {
    "t-1024": (
        {"img_resolution": 1024},
        "36_512 36_512 52_512 52_512 84_512 148_512 148_512 276_323 276_203 532_128 "
        "1044_81 1044_51 1044_32 1024_32 1024_3",
    ),
    "t-256": (
        {"img_resolution": 256},
        "36_512 36_512 36_512 52_512 52_512 84_512 84_512 148_512 148_512 148_362 "
        "276_256 276_181 276_128 256_128 256_3",
    ),
    "r-1024": (
        {"img_resolution": 1024, "channel_base": 65536, "channel_max": 1024},
        "36_1024 36_1024 52_1024 52_1024 84_1024 148_1024 148_1024 276_645 276_406 "
        "532_256 1044_161 1044_102 1044_64 1024_64 1024_3",
    ),
}


def _config(**changes):
    return StyleGAN3Config(
        **{"z_dim": 512, "c_dim": 0, "w_dim": 512, "img_resolution": 64} | changes
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_layers_are_those_of_the_published_generators(name):
    changes, layers = PUBLISHED[name]
    config = _config(**changes)
    signals = config.signals
    assert " ".join(f"{s.size}_{s.channels}" for s in signals) == layers
    assert config.num_ws == 16


@pytest.mark.parametrize("resolution", [32, 256, 1024])
def test_bands_grow_geometrically_and_end_at_nyquists_frequency(resolution):
    signals = _config(img_resolution=resolution).signals
    cutoffs = [signal.cutoff for signal in signals]
    ratios = [b / a for a, b in pairwise(cutoffs[:13])]
    assert cutoffs[0] == 2
    assert ratios == pytest.approx([(resolution / 4) ** (1 / 12)] * 12)
    assert cutoffs[12:] == [resolution / 2] * 3


def test_a_stopband_of_a_power_of_two_does_not_double_the_rate():
    """2^2.1 to 2^7.3 in four steps: the third is 2^6, whose rate is 128, not 256."""
    config = _config(img_resolution=256, num_layers=6)
    assert [s.rate for s in config.signals] == [16, 32, 64, 128, 256, 256, 256]
