"""The service of the demo, on linear models."""

import threading
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from demo.demo_world import (
    RED,
    ThreeRows,
    draw,
    make_api,
    make_request,
    make_service,
    plain,
    store,
)

from clip2latent_kedro.api import Clip2StyleGAN
from clip2latent_kedro.demo.request import EditRequest
from clip2latent_kedro.demo.service import Service
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.inference.png_settings import read_png_settings


def as_u8(images):
    return list(image_to_uint8(images))


def test_pictures_are_those_of_the_api():
    found = draw(make_service(), seed=3)
    images, scores = make_api()([RED], 6, seed=3)
    np.testing.assert_array_equal(found.images, as_u8(images))
    np.testing.assert_allclose(found.scores, scores, atol=1e-6)


def test_pictures_come_in_batches_and_stay_what_they_were():
    came = [*make_service().draw("one", make_request())]
    assert [len(each.drawing.images) for each in came] == [4, 6]
    assert [each.is_done for each in came] == [False, True]
    np.testing.assert_array_equal(came[0].drawing.images, came[1].drawing.images[:4])
    assert len({each.drawing.number for each in came}) == 1


def test_the_best_come_first_and_know_their_samples():
    service = make_service()
    drawn, ranked = draw(service), draw(service, rank=True)
    assert list(ranked.scores) == sorted(drawn.scores, reverse=True)
    for image, sample in zip(ranked.images, ranked.samples, strict=True):
        np.testing.assert_array_equal(image, drawn.images[sample])


def test_weighted_and_negative_prompts_are_those_of_the_api():
    service = make_service()
    found = draw(
        service,
        prompt="1 0 0 | 0 1 0: -0.5",
        negative="0 0 1",
        guidance_scale=2.0,
        psi=0.7,
    )
    images, _ = make_api()(
        [[("1 0 0", 1.0), ("0 1 0", -0.5)]],
        6,
        cond_scale=2.0,
        truncation=0.7,
        negative="0 0 1",
    )
    np.testing.assert_array_equal(found.images, as_u8(images))


@pytest.mark.parametrize(("mix", "given"), [("0 1 0", "0 1 0"), ("12", 12)])
def test_what_is_mixed_in_is_that_of_the_api(mix, given):
    api = make_api(generator=ThreeRows())
    found = draw(Service(api), mix=mix, mix_rows=["fine", "middle"])
    images, _ = api([RED], 6, mix=given, mix_layers=["fine", "middle"])
    np.testing.assert_array_equal(found.images, as_u8(images))
    assert found.record["mix"] == {"of": mix, "rows": ["fine", "middle"]}


def test_a_picture_beside_the_text_is_that_of_the_api():
    service = make_service()
    service.bring("one", store(plain([0, 255, 0])))
    found = draw(service, picture_weight=0.5)
    green = torch.tensor([-1.0, 1, -1])[:, None, None].expand(3, 16, 16)
    images, _ = make_api()([[(RED, 1.0), (green, 0.5)]], 6)
    np.testing.assert_array_equal(found.images, as_u8(images))


def test_a_picture_that_was_not_brought_is_asked_for():
    with pytest.raises(InputError, match="must have its picture, got none"):
        draw(make_service(), picture_weight=0.5)


@pytest.mark.parametrize("strength", [-1.5, 2.0])
def test_an_edit_by_name_is_that_of_the_api(strength):
    service = make_service()
    drawn = draw(service)
    edited = service.edit(
        "one", EditRequest(drawn.number, 2, strengths={"redder": strength})
    )
    images, scores = make_api()([RED], 6, edit="redder", edit_strength=strength)
    np.testing.assert_array_equal(edited.before, drawn.images[2])
    np.testing.assert_array_equal(edited.after, as_u8(images)[2])
    assert edited.score_after == pytest.approx(float(scores[2]), abs=1e-6)
    assert edited.words == f"redder {strength:g}"


def test_an_edit_by_words_is_that_of_the_api_and_scored_as_it_leads():
    service = make_service(spread=0.0)
    drawn = draw(service)
    edited = service.edit(
        "one", EditRequest(drawn.number, 1, target="0 1 0", text_strength=0.5)
    )
    images, scores = make_api(0.0)([RED], 6, edit=("0 0 1", "0 1 0"), edit_strength=0.5)
    np.testing.assert_array_equal(edited.after, as_u8(images)[1])
    assert edited.score_after == pytest.approx(float(scores[1]), abs=1e-6)


def test_words_of_an_edit_open_no_file(tmp_path):
    service = make_service()
    drawn = draw(service)
    path = tmp_path / "vector.npy"
    np.save(path, np.ones(3, np.float32))
    with pytest.raises(ValueError, match="could not convert string to float"):
        service.edit("one", EditRequest(drawn.number, target=str(path)))


def test_nothing_changed_is_the_same_picture():
    service = make_service()
    drawn = draw(service)
    edited = service.edit("one", EditRequest(drawn.number, 1, strengths={"redder": 0}))
    assert edited.after is edited.before
    assert edited.words == ""


def test_edits_of_a_ranked_picture_are_of_its_own_latents():
    service = make_service()
    ranked = draw(service, rank=True)
    edited = service.edit("one", EditRequest(ranked.number, 0, strengths={"redder": 1}))
    images, _ = make_api()([RED], 6, edit="redder", edit_strength=1)
    np.testing.assert_array_equal(edited.after, as_u8(images)[ranked.samples[0]])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"drawing": 10**6}, "no longer kept"),
        ({"index": 6}, "index must be below 6"),
        ({"strengths": {"bluer": 1.0}}, "must be one of redder"),
    ],
)
def test_what_cannot_be_edited_is_told(changes, reason):
    service = make_service()
    request = replace(EditRequest(draw(service).number), **changes)
    with pytest.raises(InputError, match=reason):
        service.edit("one", request)


def test_two_visitors_are_never_mixed_up():
    service = make_service(images=16)
    names = [f"visitor {number}" for number in range(8)]
    numbers, failed = {}, []

    def visit(name):
        try:
            seed = names.index(name)
            for _ in range(3):
                numbers[name] = draw(service, name, seed=seed, num_images=9).number
                edited = service.edit(name, EditRequest(numbers[name], 8))
                images, _ = make_api()([RED], 9, seed=seed)
                np.testing.assert_array_equal(edited.after, as_u8(images)[8])
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=visit, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    for name, other in pairwise(names):
        with pytest.raises(InputError, match="no longer kept"):
            service.edit(name, EditRequest(numbers[other]))


def test_what_is_kept_is_bounded():
    service = make_service(sessions=3)
    for number in range(10):
        draw(service, f"visitor {number}")
    assert len(service.sessions) == 3
    assert service.sessions.find("visitor 9").drawing is not None
    assert service.sessions.find("visitor 6").drawing is None


def test_memory_that_is_kept_is_bounded():
    one = draw(make_service()).num_bytes
    service = make_service(session_bytes=3 * one + 1)
    for number in range(10):
        draw(service, f"visitor {number}")
    assert len(service.sessions) == 3
    assert service.sessions.num_bytes == 3 * one


def test_who_leaves_is_forgotten():
    service = make_service()
    draw(service)
    service.sessions.forget("one")
    assert len(service.sessions) == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"num_images": 17}, "num_images must be at most 16 here, got 17"),
        ({"num_steps": 1001}, "num_steps must be at most 1000"),
        ({"num_steps": 1000, "num_images": 5}, "times num_steps must be at most 4000"),
        ({"prompt": "x" * 301}, "at most 300 characters, got 301"),
        ({"negative": "x" * 301}, "negative prompt must be at most 300"),
        ({"mix": "x" * 301}, "mixed in must be at most 300"),
        ({"prompt": "1 0 0|" * 9}, "at most 8 parts"),
    ],
)
def test_too_much_is_refused_before_anything_is_drawn(changes, reason):
    service = make_service()
    with pytest.raises(InputError, match=reason):
        draw(service, **changes)
    assert len(service.sessions) == 0


def test_who_waits_too_long_is_told_so():
    service = make_service(wait_seconds=1, waiting=1)
    with (
        service._turn.taken(),
        pytest.raises(InputError, match="busy with the requests"),
    ):
        draw(service)


def test_more_than_may_wait_are_told_at_once():
    service = make_service(wait_seconds=30, waiting=1)
    with service._turn.taken():
        waiting = threading.Thread(target=draw, args=(service, "one"))
        waiting.start()
        while service._turn._places._value:
            pass
        with pytest.raises(InputError, match="busy with the requests"):
            draw(service, "two")
    waiting.join()
    assert service.sessions.find("one").drawing is not None


def test_a_request_that_is_cancelled_leaves_what_has_come():
    service = make_service()
    came = service.draw("one", make_request())
    first = next(came)
    came.close()
    assert len(service.sessions.find("one").drawing.images) == 4
    service.edit("one", EditRequest(first.drawing.number, 3))
    with service._turn.taken():  # nobody has kept the turn
        pass


def test_a_stored_picture_is_drawn_again_by_its_settings():
    service = make_service()
    drawn = draw(service, seed=5, guidance_scale=1.5, rank=True, negative="0 0 1")
    edit = EditRequest(drawn.number, 1, strengths={"redder": 0.75}, target="0 1 0")
    content = service.store("one", edit)
    loaded = service.read_settings(read_png_settings(content))
    assert not loaded.notes

    again = [*service.draw("two", loaded.request)][-1].drawing
    asked = replace(loaded.edit, drawing=again.number)
    np.testing.assert_array_equal(
        service.edit("two", asked).after, service.edit("one", edit).after
    )


def test_other_models_are_told():
    settings = read_png_settings(
        (service := make_service()).store("one", EditRequest(draw(service).number))
    )
    settings["models"]["prior"] = "0" * 64
    (note,) = service.read_settings(settings).notes
    assert "other models" in note


REDDER = {"name": "redder", "method": "direction", "strength": 0.5}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sampling": {"num_steps": 10**9}}, "num_steps must be at most"),
        ({"sampling": {"sampler": "__import__"}}, "sampler must be"),
        ({"sampling": [1]}, "must be a group of settings"),
        ({"seed": -1}, "seed must be"),
        ({"seed": "x"}, "seed must be"),
        ({"prompt": ["a"]}, "prompt must be"),
        ({"prompt": ""}, "prompt must be a text"),
        ({"prompt": "x" * 1000}, "at most 300 characters"),
        ({"image": 99}, "image of the PNG must be"),
        ({"image": "0"}, "image of the PNG must be"),
        ({"edits": {"a": 1}}, "edits of the PNG must be a list"),
        ({"edits": [1]}, "must be a group of settings"),
        ({"edits": [{**REDDER, "strength": "x"}]}, "redder must be"),
        ({"edits": [{**REDDER, "method": "exec"}]}, "way must be"),
        ({"mix": {"of": "a b", "rows": ["all"]}}, "mix_rows"),
    ],
)
def test_settings_of_somebody_are_checked(changes, reason):
    service = make_service()
    settings = read_png_settings(
        service.store("one", EditRequest(draw(service).number))
    )
    with pytest.raises(InputError, match=reason):
        service.read_settings({**settings, **changes})


@pytest.mark.parametrize("unsaid", ["method", "strength"])
def test_an_edit_that_does_not_say_how_is_told_and_left_out(unsaid):
    """As of `kedro draw`, which leaves both to the project unless they are given."""
    service = make_service()
    stored = service.store("one", EditRequest(draw(service).number))
    vague = {"target": "a red thing", **REDDER, unsaid: None}
    loaded = service.read_settings({**read_png_settings(stored), "edits": [vague]})
    assert loaded.edit is None
    assert loaded.notes == [
        "How it was edited is not all in it: set the sliders again."
    ]


def test_variations_are_drawn_from_the_picture_as_it_was_edited():
    service = make_service()
    drawn = draw(service)
    edit = EditRequest(drawn.number, 2, strengths={"redder": 0.5})
    after = service.edit("one", edit).after
    *_, last = service.vary("one", make_request(seed=4), edit)
    picture = torch.from_numpy(after).permute(2, 0, 1).float() / 127.5 - 1
    images, _ = make_api()([picture], 6, seed=4)
    np.testing.assert_array_equal(last.drawing.images, as_u8(images))
    assert last.drawing.record["picture"]["weight"] == 1.0


def test_an_inversion_comes_closer_and_can_be_edited():
    service = make_service()
    service.bring("one", store(plain([200, 90, 40])))
    came = [*service.invert("one")]
    errors = [
        np.abs(each.drawing.images[0].astype(int) - [200, 90, 40]).max()
        for each in came
    ]
    assert errors[-1] < errors[0] / 2
    assert [each.is_done for each in came] == [False] * (len(came) - 1) + [True]

    drawing = came[-1].drawing
    edited = service.edit("one", EditRequest(drawing.number, strengths={"redder": 0.1}))
    assert edited.after[0, 0, 0] > edited.before[0, 0, 0]
    np.testing.assert_array_equal(edited.original[0, 0], [200, 90, 40])


def test_the_last_of_an_inversion_is_that_of_the_api():
    service = make_service()
    service.bring("one", store(plain([200, 90, 40])))
    drawing = [*service.invert("one")][-1].drawing
    colour = torch.tensor([200, 90, 40])[:, None, None].expand(3, 16, 16)
    images, _ = make_api().edit(colour.float() / 127.5 - 1)
    np.testing.assert_array_equal(drawing.images[0], as_u8(images)[0])


def test_nothing_is_inverted_before_a_picture_is_brought():
    with pytest.raises(InputError, match="must be a picture to invert"):
        next(make_service().invert("one"))


def test_a_warm_service_keeps_no_session():
    service = make_service()
    service.warm_up(RED)
    assert len(service.sessions) == 0
    assert service.edits.names == {"direction": ["redder"], "prior": ["green"]}


def test_without_texts_a_page_can_still_be_opened():
    service = make_service()
    service.warm_up("x" * 1000)
    assert len(service.sessions) == 0


def test_a_model_of_the_api_is_left_as_it_was():
    model = make_api()
    assert isinstance(model, Clip2StyleGAN)
    before = model.sampling
    images, _ = model([RED], 2)
    draw(make_service(), guidance_scale=2.0)
    assert model.sampling is before
    torch.testing.assert_close(model([RED], 2)[0], images)
