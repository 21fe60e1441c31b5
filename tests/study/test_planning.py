import json
import re
from dataclasses import replace

import numpy as np
import pytest
from world import (
    ColourEncoder,
    ColourGenerator,
    ColourJudge,
    TurnedEncoder,
    make_evaluation,
    make_prior,
    make_queries,
    make_sampling,
)

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.methods.method import UnavailableError
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.provenance import list_differences
from clip2latent_kedro.study.evaluation import plan_rows


@pytest.fixture
def models():
    return Models(
        generator=ColourGenerator(),
        encoder=ColourEncoder(),
        embedder=ColourEncoder(),
        priors={"prior": make_prior()},
        latent_repeats=[2],
        latent_batch_size=8,
        image_batch_size=8,
        sampling=make_sampling(),
    )


def plan(models, *, seed=0, queries=None, judge=None, held_out=None, **changes):
    models = replace(models, judge=judge, held_out=held_out)
    rows = {"floor": {"method": "random_w"}, "fast": {}, "gone": None}
    config = make_evaluation(**{"rows": rows, **changes})
    groups = {"sampling": make_sampling()}
    planned, _ = plan_rows(config, groups, models, queries or make_queries(), seed=seed)
    return planned


def test_rows_are_asked_what_they_say(models):
    rows = {"all": {}, "few": {"num_prompts": 2, "num_samples": 7}, "many": {}}
    rows["many"] = {"num_prompts": 99}
    planned = plan(models, rows=rows)
    assert [row.prompts.tolist() for row in planned.values()] == [
        [0, 1, 2],
        [0, 1],
        [0, 1, 2],
    ]
    num_samples = [row.depends_on["num_samples"] for row in planned.values()]
    assert num_samples == [3, 7, 3]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"seed": 1}, "seed"),
        ({"judge": ColourJudge()}, "judge"),
        ({"held_out": TurnedEncoder()}, "held_out_encoder"),
        ({"queries": make_queries().take([0, 2, 1])}, "prompts"),
        ({"num_samples": 4}, "num_samples"),
        ({"stored_image_size": 2}, "stored_image_size"),
    ],
)
def test_samples_depend_on_what_they_are_scored_by(models, changes, name):
    before, after = (plan(models, **given)["fast"] for given in ({}, changes))
    (said,) = list_differences(before.depends_on, after.depends_on)
    assert said.startswith(name)


def test_samples_depend_on_settings_and_models(models):
    planned = plan(models)["fast"]
    other = plan(models, rows={"fast": {"eta": 0.25}})["fast"]
    said = ["settings.eta (stored 0.0, asked 0.25)"]
    assert list_differences(planned.depends_on, other.depends_on) == said
    assert json.loads(json.dumps(planned.depends_on)) == planned.depends_on
    models = replace(models, priors={"prior": make_prior(0.25)})
    (said,) = list_differences(planned.depends_on, plan(models)["fast"].depends_on)
    assert said.startswith("made_with.prior")


def test_batches_and_the_number_of_resamples_change_no_answer(models):
    first = plan(models)["fast"].depends_on
    second = plan(models, image_batch_size=1, num_resamples=100, timing_repeats=9)
    assert list_differences(first, second["fast"].depends_on) == []


def test_what_is_lacking_leaves_a_row_out_unless_it_is_asked_for(models, caplog):
    caplog.set_level("INFO")
    rows = {"floor": {"method": "random_w"}, "near": {"method": "nearest_pair"}}
    assert list(plan(models, rows=rows)) == ["floor"]
    assert "Without the row near: There are no training_pairs. Run the" in caplog.text
    with pytest.raises(UnavailableError, match="training_pairs"):
        plan(models, rows=rows, only="near")
    with pytest.raises(InputError, match=r"no row to compare. There are no training_"):
        plan(models, rows={"near": {"method": "nearest_pair"}})
    with pytest.raises(InputError, match=re.escape("Add one to evaluation.rows.")):
        plan(models, rows={})


def test_what_does_not_suit_the_models_names_the_row(models):
    student = make_prior(condition_inputs=("guidance_scale",))
    student.guidance_range = (1.0, 1.5)
    models = replace(models, priors={"student": student})
    row = {"prior": "student"}
    with pytest.raises(InputError, match=r"^evaluation.rows.fast: A distilled prior"):
        plan(models, rows={"fast": row})
    row |= {"sampler": "ddim", "num_steps": 1}
    with pytest.raises(InputError, match=r"^evaluation.timing_guidance_scale, fast: "):
        plan(models, rows={"fast": row}, timing_guidance_scale=2.0)
    assert list(plan(models, rows={"fast": row}, timing_guidance_scale=1.5)) == ["fast"]


def test_queries_can_be_taken_in_any_order():
    queries = make_queries()
    taken = queries.take([2, 0])
    assert taken.texts == [queries.texts[2], queries.texts[0]]
    assert np.array_equal(taken.embedding, queries.embedding[[2, 0]])
    assert np.array_equal(taken.stated, queries.stated[[2, 0]])
    assert taken.held_out_embedding is None


def test_samples_depend_on_the_code_of_the_priors_network(models, monkeypatch):
    before = plan(models)["fast"].depends_on
    network = type(models.priors["prior"].network)
    monkeypatch.setattr(network, "__module__", "clip2latent_kedro.prior.mlp")
    (said,) = list_differences(before, plan(models)["fast"].depends_on)
    assert said.startswith("made_by.code")
