"""The audit in the world of three colours: every edit's scores are known."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from world import (
    HERE,
    ColourEncoder,
    ColourJudge,
    TurnedEncoder,
    make_evaluation,
    make_models,
)

from clip2latent_kedro.checked import Checked
from clip2latent_kedro.editing import EDIT_METHODS, EditMethod, EditTarget
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.latents import Latents
from clip2latent_kedro.methods.method import UnavailableError
from clip2latent_kedro.pipelines.editing.tables import (
    difference_rows,
    gather_found,
    summary_rows,
)
from clip2latent_kedro.study.editing.config import AuditConfig
from clip2latent_kedro.study.editing.pictures import Originals, Seen
from clip2latent_kedro.study.editing.plan import Audit
from clip2latent_kedro.study.editing.scores import make_ruler, score_edits
from clip2latent_kedro.study.engine import find_pending
from clip2latent_kedro.study.run import run_study

RED = EditTarget("1 0 0", "0 0 0", attribute="red", value="yes", name="red")
applied: Counter = Counter()


class SureJudge(ColourJudge):
    """Certain of what is far from 0; green cannot be seen where blue is strong."""

    def visible(self, values):
        return torch.ones_like(values, dtype=torch.bool)

    def probabilities(self, image):
        share = (image.mean(dim=(2, 3))[:, :2] * 4 + 0.5).clamp(0, 1)
        return [torch.stack([1 - s, s], 1) for s in share.T]


@dataclass(frozen=True)
class RedSettings(Checked):
    red: float = 1.0
    green: float = 0.0


@dataclass(frozen=True, kw_only=True)
class AddRed(EditMethod):
    """Adds strength times some red and some green to w."""

    Settings: ClassVar[type] = RedSettings
    strengths: ClassVar = (0.5, 1.0)

    @classmethod
    def prepare(cls, settings, models, target):
        preparation = {"target": 0.25}
        made_with = {"added": [settings.red, settings.green]}
        return cls(
            settings=settings,
            target=target,
            made_with=made_with,
            preparation=preparation,
        )

    def apply(self, source, strength):
        applied[self.settings] += 1
        added = torch.tensor([self.settings.red, self.settings.green, 0.0])
        return Latents(source.latents.w + strength * added)


class Lacking(AddRed):
    @classmethod
    def prepare(cls, settings, models, target):
        raise UnavailableError("There is no relevance. Run the pipeline relevance.")


@pytest.fixture(autouse=True)
def methods(monkeypatch):
    applied.clear()
    monkeypatch.setitem(EDIT_METHODS, "add_red", AddRed)
    monkeypatch.setitem(EDIT_METHODS, "lacking", Lacking)


def make_editing_models(**changes):
    settings = {"judge": SureJudge(), "held_out": TurnedEncoder(), **changes}
    models = make_models(**settings)
    return EditingModels(models=models, identity_encoder=ColourEncoder())


def make_config(**changes):
    settings = {
        "num_latents": 20,
        "num_seeds": 2,
        "num_tuning": 10,
        "psi": 1.0,
        "max_leakage": 0.2,
        "least_kept": 0.97,
        "num_shown": 2,
        "num_timed": 2,
        "baseline": None,
        "only": None,
        "rows": {
            "clean": {"method": "add_red", "tried": [{"red": 0.01}, {}]},
            "dirty": {"method": "add_red", "tried": [{"green": 5.0}, {"green": 9.0}]},
        },
    }
    return AuditConfig(**{**settings, **changes})


def make_audit(models=None, targets=None, **changes):
    models = models or make_editing_models()
    targets = targets or {"red": RED}
    return Audit(make_config(**changes), targets, models, seed=3, stored_image_size=64)


def run(planned, stored=None):
    planned = {one.key: one for one in planned}
    stored = dict(stored or {})
    pending = find_pending(planned, stored, resume=True)
    for found in run_study(planned, pending, HERE):
        stored |= found
    return stored


def run_whole(audit):
    tuning = audit.plan_tuning()
    choices = audit.choose(tuning, run(tuning))
    reported = audit.plan_reported(choices)
    results = run(reported)
    return choices, {one.variant.label: results[one.key] for one in reported}


def test_settings_and_strengths_are_chosen_on_pictures_of_their_own():
    choices, results = run_whole(make_audit())
    assert choices["clean"].tried == 1
    assert choices["clean"].areas == pytest.approx([0.0, 1.0], abs=0.1)
    arrays, record = results["clean"]
    assert record["problem"] is None
    assert arrays["gained"].shape == (2, 2, 20)
    assert arrays["gained"][choices["clean"].strengths["red"]].mean() > 0.9
    assert (arrays["gained"][1] == 1).all()
    assert (arrays["kept"] == 1).all()
    # Red and much green: every picture becomes green, and half of them were not.
    dirty, _ = results["dirty"]
    assert 0.2 < dirty["kept"].mean() < 0.8


def test_scores_are_those_of_the_closed_form():
    audit = make_audit()
    _, results = run_whole(audit)
    arrays, record = results["clean"]
    originals = Originals(audit.models, psi=1.0, seed=3)
    rows = originals.choose(RED, 20)
    w = originals.w[rows]
    assert (w.mean(1)[:, 0] <= 0).all()  # none is red before
    edited = w + torch.tensor([1.0, 0, 0])
    before, after = w.mean(1), edited.mean(1)
    expected = F.cosine_similarity(before, after)
    np.testing.assert_allclose(arrays["identity"][1, 0], expected, atol=1e-5)
    change = F.normalize(after, dim=1) - F.normalize(before, dim=1)
    cosine = F.cosine_similarity(
        change @ TurnedEncoder.TURN, torch.tensor([[0.0, 1, 0]])
    )
    np.testing.assert_allclose(arrays["direction"][1, 0], cosine, atol=1e-5)
    blended = (after[:, :2].abs() * 4 + 0.5 < 0.7).any(1)
    np.testing.assert_array_equal(arrays["blended"][1, 0], blended)
    assert np.isnan(arrays["style_distance"]).all()  # colours have no styles
    assert (arrays["w_distance"][1] > arrays["w_distance"][0]).all()
    pictures = arrays["pictures"]
    assert pictures.shape == (3, 2, 4, 4, 3)
    shown = np.rint((after[:2].numpy().clip(-1, 1) + 1) * 127.5)
    np.testing.assert_allclose(pictures[2, :, 0, 0], shown, atol=1)
    assert record["preparation"] == {"target": 0.25}
    assert record["seconds_one"] > 0


def test_stored_results_are_found_again_and_due_when_something_else_edits():
    audit = make_audit()
    tuning = audit.plan_tuning()
    stored = run(tuning)
    count = applied.total()
    assert run(make_audit().plan_tuning(), stored).keys() == stored.keys()
    assert applied.total() == count
    models = make_editing_models(judge=None)
    run(make_audit(models=models).plan_tuning(), stored)
    assert applied.total() == 2 * count


def test_the_pictures_of_a_target_do_not_depend_on_the_other_targets():
    green = EditTarget("0 1 0", "0 0 0", attribute="green", value="yes", name="green")
    models = make_editing_models()
    alone = Originals(models, psi=1.0, seed=1)
    beside = Originals(models, psi=1.0, seed=1)
    beside.choose(green, 50)
    rows = alone.choose(RED, 40)
    assert torch.equal(rows, beside.choose(RED, 40))
    torch.testing.assert_close(alone.w[rows], beside.w[rows])


def test_only_those_that_a_target_asks_for_are_edited():
    target = replace(RED, only={"green": "yes"})
    originals = Originals(make_editing_models(), psi=1.0, seed=1)
    rows = originals.choose(target, 12)
    w = originals.w[rows].mean(1)
    assert (w[:, 1] > 0).all()
    assert (w[:, 0] <= 0).all()


def test_a_row_that_lacks_something_is_left_out_with_its_reason():
    rows = {**make_config().rows, "far": {"method": "lacking", "tried": [{}, {}]}}
    audit = make_audit(rows=rows)
    assert audit.rows.keys() == {"clean", "dirty"}
    assert "Run the pipeline relevance" in audit.lacking["far"]
    with pytest.raises(UnavailableError, match="no relevance"):
        make_audit(rows=rows, only="far")


TWO = {"method": "add_red", "tried": [{}, {}]}
MUCH = {"method": "add_red", "tried": [{"red": "much"}]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": {"a": {"method": "add_red"}, "b": TWO}}, "as many `tried`"),
        ({"rows": {"a": {**TWO, "strengths": [2.0, 1.0]}}}, "rising"),
        ({"rows": {"a": {**TWO, "strengths": [1.0]}, "b": TWO}}, "as many strengths"),
        ({"rows": {"a": {"method": "add_blue"}}}, "method must be one of"),
        ({"rows": {"a": {"method": "add_red", "reds": 2}}}, "reds is not a parameter"),
        ({"rows": {"a": MUCH}}, "red must be a number"),
        ({"rows": {"a": {**TWO, "strenghts": [1]}}}, r"mean .*rows\.a\.strengths\?"),
        ({"rows": {"a": 3}}, "must be a group of parameters"),
        ({"only": "cleen"}, "only must be names of rows"),
        ({"baseline": "none"}, "baseline must be one of the rows"),
        ({"max_leakage": 0.0}, "max_leakage"),
    ],
)
def test_wrong_settings_are_refused_in_a_sentence(changes, message):
    with pytest.raises(InputError, match=message):
        make_config(**changes)


def test_a_target_that_the_judge_does_not_know_is_a_problem_of_its_row():
    unknown = replace(RED, value="maybe")
    audit = make_audit(targets={"red": unknown})
    tuning = audit.plan_tuning()
    problems = {record["problem"] for _, record in run(tuning).values()}
    assert len(problems) == 1
    assert "one of no, yes, got 'maybe'" in problems.pop()


class ForGreen(AddRed):
    """There is one for green alone."""

    @classmethod
    def prepare(cls, settings, models, target):
        if target.attribute != "green":
            raise UnavailableError("There is no mapper of it. Train it.")
        return super().prepare(settings, models, target)


def test_a_row_that_lacks_one_target_is_reported_for_the_others(monkeypatch):
    monkeypatch.setitem(EDIT_METHODS, "for_green", ForGreen)
    green = EditTarget("0 1 0", "0 0 0", attribute="green", value="yes", name="green")
    rows = {"green": {"method": "for_green", "green": 2.0, "red": 0.0}}
    audit = make_audit(targets={"red": RED, "green": green}, rows=rows)
    tuning = audit.plan_tuning()
    choices = audit.choose(tuning, run(tuning))
    reported = audit.plan_reported(choices)
    results = run(reported)
    (found,) = gather_found(audit, choices, reported, results)
    assert found.scores.keys() == {"green"}
    (row,) = summary_rows(audit, [found], make_evaluation(), 0)
    assert row["num_targets"] == 1
    assert row["problem"] == "There is no mapper of it. Train it."
    assert row["area"] == pytest.approx(0.5, abs=0.05)  # none for the other target


def test_rows_are_compared_over_the_targets_that_both_have(monkeypatch):
    monkeypatch.setitem(EDIT_METHODS, "for_green", ForGreen)
    green = EditTarget("0 1 0", "0 0 0", attribute="green", value="yes", name="green")
    same = {"green": 2.0, "red": 0.0}
    rows = {
        "all": {"method": "add_red", **same},
        "green": {"method": "for_green", **same},
    }
    targets = {"red": RED, "green": green}
    audit = make_audit(targets=targets, rows=rows, baseline="all")
    tuning = audit.plan_tuning()
    choices = audit.choose(tuning, run(tuning))
    reported = audit.plan_reported(choices)
    found = gather_found(audit, choices, reported, run(reported))
    (row,) = difference_rows(audit, found, make_evaluation())
    assert row["num_targets"] == 1
    assert row["gained"] == row["kept"] == 0


def test_intervals_are_over_the_w_that_targets_share():
    """Two targets of the same texts edit one w in another place of their lists."""
    same = {"neutral": "0 0 0", "attribute": "red", "value": "yes"}
    other = EditTarget("1 0 0", **same, only={"green": "no"}, name="other")
    rows = {"all": {"method": "add_red", "green": 0.5, "tried": [{}]}}
    audit = make_audit(targets={"red": RED, "other": other}, rows=rows)
    tuning = audit.plan_tuning()
    choices = audit.choose(tuning, run(tuning))
    reported = audit.plan_reported(choices)
    (found,) = gather_found(audit, choices, reported, run(reported))
    identity = {t: found.scores[t]["identity"][found.chosen[t]] for t in found.scores}
    of_w = {}
    for position, seed in enumerate((3, 4)):
        for target in (RED, other):
            rows = Originals(audit.models, psi=1.0, seed=seed).choose(target, 20)
            for row, value in zip(rows, identity[target.name][position], strict=True):
                of_w.setdefault((seed, int(row)), []).append(value)
    assert 40 < len(of_w) < 80  # some have both, others one
    sums = np.array([np.sum(values, dtype=float) for values in of_w.values()])
    counts = np.array([len(values) for values in of_w.values()])
    mean = sums.sum() / 80
    values = found.by_w("identity", ["red", "other"])
    assert values.mean() == pytest.approx(mean)
    assert values.mean() == pytest.approx(np.mean(list(identity.values())))
    residual = sums - mean * counts
    error = np.sqrt((residual**2).sum() / (len(of_w) - 1) * len(of_w)) / 80
    assert values.std(ddof=1) / len(values) ** 0.5 == pytest.approx(error)
    (row,) = summary_rows(audit, [found], make_evaluation(), 0)
    assert row["identity"] == pytest.approx(mean)
    assert row["area_low"] <= row["area"] <= row["area_high"]


def test_what_cannot_be_seen_and_what_may_change_is_no_blend_and_no_leak():
    models = make_editing_models()
    ruler = make_ruler(models, seed=0)
    sure, unsure = torch.tensor([[0.9, 0.9]]), torch.tensor([[0.9, 0.5]])
    before = Seen(torch.tensor([[0, 0]]), torch.tensor([[True, True]]), sure)
    after = Seen(torch.tensor([[1, 1]]), torch.tensor([[True, True]]), unsure)
    hidden = replace(
        after,
        visible=torch.tensor([[True, False]]),
        certainty=torch.tensor([[0.9, torch.nan]]),
    )

    def score(seen, target):
        latents = Latents(torch.zeros(1, 2, 3))
        found = score_edits(seen, latents, before, target, None, models, ruler)
        return [float(found[name][0]) for name in ("gained", "kept", "blended")]

    assert score(after, RED) == [1, 0, 1]
    free = score(after, replace(RED, free=["green"]))
    unseen = score(hidden, RED)
    for gained, kept, blended in (free, unseen):
        assert (gained, blended) == (1, 0)
        assert np.isnan(kept)  # there is no other attribute
