import pytest
import torch
from generators.reference import fourier_features

from clip2latent_kedro.generators.stylegan3_config import StyleGAN3Config
from clip2latent_kedro.generators.stylegan3_layers import FourierInput

STILL = (1.0, 0.0, 0.0, 0.0)


@pytest.fixture
def features() -> FourierInput:
    torch.manual_seed(0)
    config = StyleGAN3Config(8, 0, 8, 64, channel_base=256, channel_max=6)
    return FourierInput(8, config.signals[0]).double()


def _pose(features, *pose):
    with torch.no_grad():
        features.affine.bias.copy_(torch.tensor(pose))
        w = torch.zeros(1, 8, dtype=torch.float64)
        return features(features.affine(w))


@pytest.mark.parametrize("pose", [STILL, (0.3, -2.0, 0.0, 0.0), (0.0, 1.0, 0.2, -0.7)])
@pytest.mark.parametrize("zoom", [1.0, 2.0, 5.0, 9.0])
def test_features_are_waves_over_the_plane_that_fade_beyond_the_band(
    features, pose, zoom
):
    """A zoom of 5 takes frequencies from the cutoff, 2, to beyond the rate's half."""
    features.transform.copy_(torch.diag(torch.tensor([zoom, zoom, 1.0])))
    made = _pose(features, *pose)
    w = torch.zeros(1, 8, dtype=torch.float64)
    expected = fourier_features(features.state_dict(), w, features.signal)
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-6)


def test_frequencies_fill_the_band_evenly():
    torch.manual_seed(0)
    config = StyleGAN3Config(8, 0, 8, 64, channel_base=10**6, channel_max=2000)
    radii = FourierInput(8, config.signals[0]).freqs.norm(dim=1)
    assert radii.max() <= 2
    inner = (radii < 1).float().mean()  # a quarter of the disc's area
    torch.testing.assert_close(inner, torch.tensor(0.25), rtol=0, atol=0.03)


def test_a_pose_shifts_and_turns_the_features(features):
    still = _pose(features, *STILL)
    moved = _pose(features, 1.0, 0.0, 3 / 16, -2 / 16)
    torch.testing.assert_close(moved[:, :, :-2, 3:], still[:, :, 2:, :-3])
    turned = _pose(features, 0.0, 5.0, 0.0, 0.0)
    torch.testing.assert_close(turned, still.rot90(1, (2, 3)))
