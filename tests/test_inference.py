from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from PIL import Image
from world import (
    ColourEncoder,
    ColourGenerator,
    make_colour_pairs,
    make_model,
    make_sampling,
)

from clip2latent_kedro.errors import InputError
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


def test_prompts_come_from_the_file_if_there_is_one():
    assert read_prompts(make_config(), None) == ["1 0 0", "0 1 0"]
    assert read_prompts(make_config(prompts="0 0 1"), None) == ["0 0 1"]
    assert read_prompts(make_config(), " 1 1 0 \n\n0 1 1") == ["1 1 0", "0 1 1"]


@pytest.mark.parametrize(
    ("prompts", "lines"), [("1 0 0", ""), ("a", "\n "), ([], None)]
)
def test_no_prompt_at_all_is_refused(prompts, lines):
    with pytest.raises(InputError, match="inference needs a prompt, got none"):
        read_prompts(make_config(prompts=prompts), lines)


def test_a_bad_prompt_leaves_the_others(tmp_path, caplog):
    (tmp_path / "no.png").write_bytes(b"no picture")
    pictures = [str(tmp_path / "none.png"), str(tmp_path / "no.png")]
    problems = find_problems(["1 0 0", " ", "0 1 0", *pictures], PickyEncoder())
    assert list(problems) == [" ", *pictures]
    assert "Prompt 2 is left out: A prompt must have a word." in caplog.text
    for path in pictures:
        assert "must be a picture, but cannot be read" in problems[path]


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


def make_pictures(prompts, **options):
    changes = {key: options.pop(key) for key in ("rank", "negative") if key in options}
    sampling = make_sampling(guidance_scale=options.pop("guidance_scale", 1.0))
    config = make_config(**changes)
    model = make_model(spread=options.pop("spread", 0.5))
    records = describe_pictures(model, prompts, sampling, config, seed=7)
    drawn = generate_pictures(model, records, sampling, config, seed=7, **options)
    return {name: picture for batch in drawn for name, picture in batch.items()}


def test_a_picture_does_not_depend_on_the_other_prompts():
    both, alone = make_pictures(["1 0 0", "0 1 0"]), make_pictures(["0 1 0"])
    assert len(both) == 6
    for name, picture in alone.items():
        apart = both[name].image_u8.astype(int) - picture.image_u8
        assert np.abs(apart).max() <= 1  # rounded from floats of another batch


@pytest.mark.parametrize("rank", [True, False])
@pytest.mark.parametrize("kind", ["text", "picture"])
def test_pictures_and_their_labels_are_those_of_the_model(kind, rank, tmp_path):
    query = write_picture(tmp_path / "face.png", (255, 0, 128))
    query = query if kind == "picture" else "1 0 0"
    model = make_model(spread=0.5)
    draws = {"num_samples": 3, "seed": 7, "rank": rank}
    made = model([read_query(query)], make_sampling(), **draws)
    pictures = list(make_pictures([query], rank=rank).values())
    assert [picture.labels["sample"] for picture in pictures] == ["0", "1", "2"]
    for number, picture in enumerate(pictures):
        np.testing.assert_array_equal(picture.image_u8, made.images[0, number])
        assert picture.labels["prompt"] == query
        assert picture.labels["seed"] == "7"
        assert ("score" in picture.labels) == rank
        score = float(picture.labels.get("score", made.scores[0, number]))
        assert score == pytest.approx(made.scores[0, number], abs=1e-4)


def test_what_is_made_is_not_drawn_again():
    pictures = make_pictures(["1 0 0", "0 1 0"])
    names = list(pictures)

    def made(number):
        return {name: partial(pictures.get, name) for name in names[:number]}

    assert list(make_pictures(["1 0 0", "0 1 0"], made=made(3))) == names[3:]
    # A prompt that was interrupted between two pictures is drawn as a whole.
    assert list(make_pictures(["1 0 0", "0 1 0"], made=made(2))) == names


def test_the_log_says_what_has_changed_since_a_picture_was_drawn(caplog):
    caplog.set_level("INFO")
    old = make_pictures(["1 0 0"])
    made = {name: partial(old.get, name) for name in old}
    assert make_pictures(["1 0 0"], made=made) == {}
    assert "again" not in caplog.text
    new = make_pictures(["1 0 0"], made=made, spread=0.25)
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


@pytest.mark.parametrize("kind", ["text", "picture"])
def test_a_negative_prompt_leads_away(kind, tmp_path):
    """With guidance g the condition becomes n + g (c - n) in a linear prior."""
    green = write_picture(tmp_path / "green.png", (0, 255, 0))
    negative = green if kind == "picture" else "0 1 0"
    plain = make_pictures(["1 0 0"], guidance_scale=2.0)
    led = make_pictures(["1 0 0"], guidance_scale=2.0, negative=negative)
    green = [np.mean([p.image_u8[..., 1] for p in d.values()]) for d in (plain, led)]
    assert green[1] < green[0] - 20


def write_picture(path, colour, size=(6, 4)):
    Image.new("RGB", size, colour).save(path)
    return str(path)


def test_names_of_pictures_follow_their_content(tmp_path):
    red = name_all(write_picture(tmp_path / "Face 1.png", "red"))
    assert red[0].startswith("face_1_")
    assert name_all(write_picture(tmp_path / "Face 1.png", "red")) == red
    assert name_all(write_picture(tmp_path / "Face 1.png", "blue")) != red
    led = name_all(negative=str(tmp_path / "Face 1.png"))
    write_picture(tmp_path / "Face 1.png", "green")
    assert name_all(negative=str(tmp_path / "Face 1.png")) != led
