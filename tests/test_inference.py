from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from world import (
    ColourEncoder,
    ColourGenerator,
    make_colour_pairs,
    make_model,
    make_sampling,
)

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.inference import (
    InferenceConfig,
    describe_pictures,
    find_problems,
    generate_pictures,
    name_pictures,
    read_prompts,
    read_query,
)
from clip2latent_kedro.interfaces import Identity


def make_config(**changes):
    settings = {
        "prompts": ["1 0 0", "0 1 0"],
        "prompts_file": None,
        "negative": None,
        "num_samples": 3,
        "rank": True,
        "image_batch_size": 2,
        "prior": "prior",
    }
    return InferenceConfig(**{**settings, **changes})


class PickyEncoder(ColourEncoder):
    def encode_text(self, texts):
        for text in texts:
            if not text.strip():
                raise InputError("A prompt must have a word.")
        return super().encode_text(texts)


@pytest.mark.parametrize("name", ["num_samples", "image_batch_size"])
def test_counts_must_be_positive(name):
    with pytest.raises(InputError, match=f"inference.{name} must be 1 or more, got 0"):
        make_config(**{name: 0})


def test_prompts_come_from_the_file_if_there_is_one():
    assert read_prompts(make_config(), None) == ["1 0 0", "0 1 0"]
    assert read_prompts(make_config(prompts="0 0 1"), None) == ["0 0 1"]
    assert read_prompts(make_config(), " 1 1 0 \n\n0 1 1") == ["1 1 0", "0 1 1"]


@pytest.mark.parametrize("lines", ["", "\n \n"])
def test_no_prompt_at_all_is_refused(lines):
    with pytest.raises(InputError, match="inference needs a prompt, got none"):
        read_prompts(make_config(), lines)
    with pytest.raises(InputError, match="inference needs a prompt, got none"):
        read_prompts(make_config(prompts=[]), None)


def test_a_bad_prompt_leaves_the_others(caplog):
    problems = find_problems(["1 0 0", " ", "0 1 0"], PickyEncoder())
    assert problems == {" ": "A prompt must have a word."}
    assert "Prompt 2 is left out: A prompt must have a word." in caplog.text


class OtherGenerator(ColourGenerator):
    identity = Identity("colours", "other weights")


class OtherEncoder(ColourEncoder):
    identity = Identity("colours", "other weights")


def name_all(
    prompt="1 0 0", *, sampling=None, seed=0, model=None, pairs=None, **changes
):
    model = model or make_model(spread=0.5)
    settings = make_sampling(**(sampling or {})), make_config(**changes)
    records = describe_pictures(model, [prompt], *settings, seed=seed, pairs=pairs)
    return name_pictures(prompt, records[prompt])


def test_names_tell_settings_and_models_apart():
    names, model = name_all(), make_model(spread=0.5)
    model.prior.generator_identity = model.prior.encoder_identity = None  # of any
    assert names == name_all(model=model)
    assert len(set(names)) == 3
    pairs, retrieves = make_colour_pairs(), {"sampling": {"retrieval_share": 0.5}}
    others = [
        name_all("1, 0 0"),
        name_all(sampling={"psi": 0.5}),
        name_all(negative="0 1 0"),
        name_all(prior="student"),
        name_all(rank=False),
        name_all(seed=1),
        name_all(model=make_model(spread=0.25)),  # the same name, other weights
        name_all(model=replace(model, generator=OtherGenerator())),
        name_all(model=replace(model, encoder=OtherEncoder())),
        name_all(model=replace(model, scorer=OtherEncoder())),
        name_all(pairs=pairs, **retrieves),
        name_all(pairs=replace(pairs, recipe={"seed": 8}), **retrieves),
    ]
    assert len({name for other in [names, *others] for name in other}) == 3 * 13
    assert names == name_all(pairs=pairs)  # which nothing is retrieved from


def test_long_and_foreign_prompts_make_short_file_names():
    (name, *_) = name_all("ä/\n" * 99)
    assert len(name) < 60
    assert name.isascii()
    assert "/" not in name


def draw(prompts, **options):
    changes = {key: options.pop(key) for key in ("rank", "negative") if key in options}
    sampling = make_sampling(guidance_scale=options.pop("guidance_scale", 1.0))
    config = make_config(**changes)
    model = make_model(spread=options.pop("spread", 0.5))
    records = describe_pictures(model, prompts, sampling, config, seed=7)
    drawn = generate_pictures(model, records, sampling, config, seed=7, **options)
    return {name: picture for batch in drawn for name, picture in batch.items()}


def test_a_picture_does_not_depend_on_the_other_prompts():
    both, alone = draw(["1 0 0", "0 1 0"]), draw(["0 1 0"])
    assert len(both) == 6
    for name, picture in alone.items():
        apart = both[name].image_u8.astype(int) - picture.image_u8
        assert np.abs(apart).max() <= 1  # rounded from floats of another batch


def test_labels_tell_where_a_picture_comes_from():
    pictures = list(draw(["1 0 0"]).values())
    assert [picture.labels["sample"] for picture in pictures] == ["0", "1", "2"]
    scores = [float(picture.labels["score"]) for picture in pictures]
    assert scores == sorted(scores, reverse=True)
    made = make_model(spread=0.5)(["1 0 0"], make_sampling(), num_samples=3, seed=7)
    np.testing.assert_allclose(scores, made.scores[0], atol=1e-4)
    for picture in pictures:
        assert picture.labels["prompt"] == "1 0 0"
        assert picture.labels["seed"] == "7"


def test_what_is_made_is_not_drawn_again():
    pictures = draw(["1 0 0", "0 1 0"])
    names = list(pictures)

    def made(number):
        return {name: partial(pictures.get, name) for name in names[:number]}

    assert list(draw(["1 0 0", "0 1 0"], made=made(3))) == names[3:]
    # A prompt that was interrupted between two pictures is drawn as a whole.
    assert list(draw(["1 0 0", "0 1 0"], made=made(2))) == names


def test_the_log_says_what_has_changed_since_a_picture_was_drawn(caplog):
    caplog.set_level("INFO")
    old = draw(["1 0 0"])
    made = {name: partial(old.get, name) for name in old}
    assert draw(["1 0 0"], made=made) == {}
    assert "again" not in caplog.text
    new = draw(["1 0 0"], made=made, spread=0.25)
    assert not new.keys() & old.keys()
    (message,) = [m for m in caplog.messages if "again" in m]
    assert message.startswith("'1 0 0' is drawn again: prior (stored 'prior@")


def test_pictures_depend_on_the_code_of_the_priors_network(monkeypatch):
    """Two networks of equal weights may compute different things."""
    model = make_model()

    def describe():
        settings = make_sampling(), make_config()
        return describe_pictures(model, ["1 0 0"], *settings, seed=7)["1 0 0"]

    before = describe()
    module = "clip2latent_kedro.prior.mlp"
    monkeypatch.setattr(type(model.prior.network), "__module__", module)
    after = describe()
    assert after.pop("made_by")["code"] != before.pop("made_by")["code"]
    assert after == before


def test_a_negative_prompt_leads_away():
    """With guidance g the condition becomes n + g (c - n) in a linear prior."""
    plain = draw(["1 0 0"], guidance_scale=2.0)
    led = draw(["1 0 0"], guidance_scale=2.0, negative="0 1 0")
    green = [np.mean([p.image_u8[..., 1] for p in d.values()]) for d in (plain, led)]
    assert green[1] < green[0] - 20


def test_pictures_are_those_of_the_model():
    model = make_model(spread=0.5)
    made = model(["1 0 0"], make_sampling(), num_samples=3, seed=7, rank=False)
    pictures = draw(["1 0 0"], rank=False)
    for number, picture in enumerate(pictures.values()):
        assert "score" not in picture.labels
        image = model.synthesise(made.w[0, number][None])
        expected = image_to_uint8(torch.as_tensor(image))[0]
        assert np.array_equal(picture.image_u8, expected)


def write_picture(path, colour, size=(6, 4)):
    Image.new("RGB", size, colour).save(path)
    return str(path)


def test_a_text_that_ends_as_a_picture_does_is_read(tmp_path):
    path = write_picture(tmp_path / "face.PNG", (255, 51, 0))
    expected = torch.tensor([1.0, -0.6, -1.0])[:, None, None].expand(3, 4, 4)
    torch.testing.assert_close(read_query(path), expected)
    assert read_query("a face like face.png but older").startswith("a face")


@pytest.mark.parametrize("content", [None, b"no picture"])
def test_a_picture_that_cannot_be_read_leaves_the_others(content, tmp_path):
    path = tmp_path / "face.png"
    if content:
        path.write_bytes(content)
    problems = find_problems(["1 0 0", str(path)], ColourEncoder())
    assert list(problems) == [str(path)]
    assert "must be a picture, but cannot be read" in problems[str(path)]


def test_names_of_pictures_follow_their_content(tmp_path):
    red = name_all(write_picture(tmp_path / "Face 1.png", "red"))
    assert red[0].startswith("face_1_")
    assert name_all(write_picture(tmp_path / "Face 1.png", "red")) == red
    assert name_all(write_picture(tmp_path / "Face 1.png", "blue")) != red
    led = name_all(negative=str(tmp_path / "Face 1.png"))
    write_picture(tmp_path / "Face 1.png", "green")
    assert name_all(negative=str(tmp_path / "Face 1.png")) != led


def test_variations_of_a_picture_are_those_of_the_image(tmp_path):
    path = write_picture(tmp_path / "face.png", (255, 0, 128))
    model = make_model(spread=0.5)
    made = model([read_query(path)], make_sampling(), num_samples=3, seed=7, rank=True)
    pictures = draw([path], rank=True)
    for number, picture in enumerate(pictures.values()):
        np.testing.assert_array_equal(picture.image_u8, made.images[0, number])
        assert picture.labels["prompt"] == path
        assert float(picture.labels["score"]) == pytest.approx(
            made.scores[0, number], abs=1e-4
        )


def test_a_negative_prompt_may_be_a_picture(tmp_path):
    green = write_picture(tmp_path / "green.png", (0, 255, 0))
    plain = draw(["1 0 0"], guidance_scale=2.0)
    led = draw(["1 0 0"], guidance_scale=2.0, negative=green)
    levels = [np.mean([p.image_u8[..., 1] for p in d.values()]) for d in (plain, led)]
    assert levels[1] < levels[0] - 20
