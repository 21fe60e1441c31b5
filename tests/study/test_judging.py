import torch
from shipped import WEIGHTS
from world import CertainColourJudge, ColourJudge

from clip2latent_kedro.study.judging import judge_images
from clip2latent_kedro.worlds.portraits.attributes import sample_z
from clip2latent_kedro.worlds.portraits.judge import load_judge
from clip2latent_kedro.worlds.portraits.renderer import render

IMAGES = torch.tensor([[0.05, -0.15, 0.0], [-1.0, -1.0, -1.0]])[:, :, None, None]


def test_a_judge_that_only_classifies_sees_everything_and_is_not_asked_more():
    said = judge_images(ColourJudge(), IMAGES)
    assert said.values.tolist() == [[1, 0], [0, 0]]
    assert said.visible.all()
    assert said.certainty is None
    assert said.detected is None


def test_values_are_the_most_probable_and_what_is_hidden_has_no_certainty():
    said = judge_images(CertainColourJudge(), IMAGES)
    assert said.values.tolist() == [[1, 0], [0, 0]]
    assert said.visible.tolist() == [[True, True], [True, False]]
    expected = torch.tensor([[0.6, 0.8], [1.0, torch.nan]])
    torch.testing.assert_close(said.certainty, expected, equal_nan=True)
    assert said.detected.tolist() == [True, False]


def test_the_judge_of_the_portraits_classifies_by_its_largest_probabilities():
    judge = load_judge(WEIGHTS / "judge.safetensors", {})
    image = render(sample_z(64, torch.Generator().manual_seed(0)))
    said = judge_images(judge, image)
    assert torch.equal(said.values, judge.classify(image))
    assert torch.equal(said.visible, judge.visible(said.values))
    assert torch.equal(said.certainty.isnan(), ~said.visible)
    assert said.detected is None
