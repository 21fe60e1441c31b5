from itertools import product

import numpy as np
import pytest

from clip2latent_kedro.evaluation.claims import Scored, judge_claims

RNG = np.random.default_rng(0)
PROMPTS = RNG.normal(0, 0.1, 64)  # what all rows share, so that pairs matter
FULL = {"sampler": "ddpm", "num_steps": 1000, "variance": "corrected", "psi": 1.0}


def row(name, kind, clip, held_out, *, seconds=1.0, spread=0.01, **settings):
    def values(mean):
        noise = RNG.normal(0, 1, len(PROMPTS))
        noise -= noise.mean()
        return mean + PROMPTS + spread * noise

    scores = {
        "clip_score": values(clip),
        "held_out_score": values(held_out),
        "accuracy": values(0.5),
    }
    return Scored(name, kind, settings or FULL, scores, seconds)


def judge(*rows, baseline="ours"):
    return judge_claims(rows, baseline, num_resamples=400, confidence=0.95, seed=0)


def ours(clip=0.6, held_out=0.6, **changes):
    return row("ours", "clip2latent", clip, held_out, **changes)


@pytest.mark.parametrize(
    ("clip", "held_out", "spread", "verdict"),
    [
        (0.5, 0.5, 0.01, "holds"),
        (0.5, 0.7, 0.01, "does not hold"),
        (0.59, 0.59, 0.5, "cannot be told"),
    ],
)
@pytest.mark.parametrize("kind", ["lafite", "clip2gan"])
def test_above_other_trained_methods(kind, clip, held_out, spread, verdict):
    (claim,) = judge(ours(), row("gan", kind, clip, held_out, spread=spread))
    assert claim.title == "ours scores above gan"
    assert claim.verdict == verdict
    assert f"{0.6 - clip:+.3f} [" in claim.sentence


@pytest.mark.parametrize(
    ("clip", "seconds", "verdict"),
    [
        (0.61, 10.0, "holds"),
        (0.61, 1.5, "does not hold"),  # not a fraction of the time
        (0.8, 10.0, "does not hold"),  # not near
        (0.5, 10.0, "holds"),  # above
    ],
)
def test_near_direct_optimisation_at_a_fraction_of_the_time(clip, seconds, verdict):
    direct = row("direct", "direct", clip, 0.6, seconds=seconds)
    claim = judge(ours(), direct)[0]
    assert claim.title == (
        "ours is near direct by the CLIP that ranks, at a fraction of its time"
    )
    assert claim.verdict == verdict
    assert f"takes 1 s where that takes {seconds:.3g} s" in claim.sentence
    by_another = judge(ours(), direct)[1]
    assert "near direct by the held-out CLIP, at a" in by_another.title
    assert by_another.verdict == ("holds" if seconds > 2 else "does not hold")


@pytest.mark.parametrize(
    ("clip", "held_out", "verdict"),
    [
        (0.7, 0.55, "holds"),
        (0.7, 0.65, "does not hold"),
        (0.5, 0.55, "does not hold"),
    ],
)
def test_optimisation_climbs_its_own_clip_only(clip, held_out, verdict):
    *_, claim = judge(ours(), row("direct", "direct", clip, held_out))
    assert claim.title.startswith("direct is above ours by its own CLIP, but not")
    assert claim.verdict == verdict
    assert "of the attributes right" in claim.sentence


@pytest.mark.parametrize(
    ("clip", "held_out", "seconds", "verdict"),
    [
        (0.5, 0.6, 20.0, "holds"),  # its own score does not matter
        (0.9, 0.6, 19.0, "does not hold"),  # not a twentieth of the time
        (0.9, 0.7, 20.0, "does not hold"),  # not as good
    ],
)
def test_refined_as_good_as_a_search(clip, held_out, seconds, verdict):
    refined = row("refined", "refinement", 0.6, 0.6)
    searched = row("direct", "direct", clip, held_out, seconds=seconds)
    (claim,) = judge(refined, searched)
    assert claim.title.startswith("refined is as good as direct by what that does not")
    assert claim.verdict == verdict
    assert f"takes 1 s where that takes {seconds:.3g} s" in claim.sentence
    assert judge(refined, row("direct", "direct", 0.6, 0.6, seconds=None)) == []


@pytest.mark.parametrize(
    ("clip", "verdict"), [(0.599, "holds"), (0.61, "holds"), (0.55, "does not hold")]
)
def test_respacing_costs_nothing(clip, verdict):
    full = ours(seconds=8.0, **FULL)
    few = row("few", "clip2latent", clip, 0.6, **{**FULL, "num_steps": 4})
    guided = row("other", "clip2latent", 0.1, 0.1, **{**FULL, "psi": 0.5})
    (claim,) = judge(full, few, guided)
    assert claim.title == "4 steps instead of 1000 cost nothing (few, ours)"
    assert claim.verdict == verdict
    assert "takes 1 s instead of 8 s" in claim.sentence


def test_the_sentence_has_the_paired_interval():
    first, second = ours(), row("gan", "lafite", 0.5, 0.5)
    (claim,) = judge(first, second)
    low, high = (
        float(x) for x in claim.sentence.split("[")[1].split("]")[0].split(",")
    )
    # Pairing takes out what prompts share, ten times the rest.
    assert 0.09 < low < 0.1 < high < 0.11


def test_claims_without_their_rows_or_figures_are_left_out():
    assert judge(ours()) == []
    gan, direct = row("gan", "lafite", 0, 0), row("direct", "direct", 0, 0)
    assert judge(ours(), gan, baseline=None) == []
    assert judge(gan, direct, baseline="gan") == []
    untimed = row("direct", "direct", 0.7, 0.5, seconds=None)
    assert [c.title for c in judge(ours(), untimed)] == [
        "direct is above ours by its own CLIP, but not by another"
    ]
    single = {"clip_score": PROMPTS, "held_out_score": np.full(64, np.nan)}
    single["accuracy"] = single["held_out_score"]
    blind = [
        Scored(name, kind, FULL, single, 1.0)
        for name, kind in (("ours", "clip2latent"), ("direct", "direct"))
    ]
    (claim,) = judge(*blind)
    assert "held-out" not in claim.sentence


def test_only_prompts_that_both_have_count():
    first, second = ours(), row("gan", "lafite", 0.5, 0.5)
    scores = dict(second.scores)
    for name, odd in product(scores, [slice(1, None, 2)]):
        scores[name] = scores[name].copy()
        scores[name][odd] = np.nan
    (claim,) = judge(first, Scored("gan", "lafite", {}, scores, 1.0))
    even = (first.scores["clip_score"] - scores["clip_score"])[::2].mean()
    assert f"{even:+.3f} [" in claim.sentence
