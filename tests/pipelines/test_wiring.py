import pytest

from clip2latent_kedro.pipelines.wiring import wire


def draw(prior, w, network, seed):
    """Stand for a function of a pipeline."""


def test_an_argument_takes_the_entry_or_the_parameter_of_its_name():
    node = wire(draw, "images", w="training_pairs")
    assert node.name == "draw"
    assert dict(zip(("prior", "w", "network", "seed"), node.inputs, strict=True)) == {
        "prior": "prior",
        "w": "training_pairs",
        "network": "params:model.network",
        "seed": "params:seed",
    }
    assert node.outputs == ["images"]


def test_a_rename_goes_before_the_parameter_of_that_name():
    node = wire(draw, ["a", "b"], name="draw_twice", seed="params:portraits.seed")
    assert (node.name, node.inputs[-1]) == ("draw_twice", "params:portraits.seed")
    assert node.outputs == ["a", "b"]


def test_a_rename_of_nothing_is_refused():
    with pytest.raises(TypeError, match="draw has no argument progress"):
        wire(draw, "images", progress="images_progress")
