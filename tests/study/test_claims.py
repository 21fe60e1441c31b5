from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from clip2latent_kedro.metrics.bootstrap import Interval
from clip2latent_kedro.study.claims import (
    Claim,
    Part,
    Scored,
    describe_claims,
    judge_claims,
)
from clip2latent_kedro.study.comparison import FEWEST_PROMPTS

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
    times = None if seconds is None else [0.99 * seconds, seconds, 1.01 * seconds]
    return Scored(name, kind, settings or FULL, scores, times)


def judge(*rows, baseline="ours"):
    return judge_claims(rows, baseline, confidence=0.95)


def ours(clip=0.6, held_out=0.6, **changes):
    return row("ours", "clip2latent", clip, held_out, **changes)


@pytest.mark.parametrize(
    ("clip", "held_out", "spread", "verdict"),
    [
        (0.5, 0.5, 0.01, "holds"),
        (0.5, 0.7, 0.01, "does not hold"),
        (0.599, 0.599, 0.001, "does not hold"),  # above, but by less than the margin
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
        (0.61, 2.0, "cannot be told"),  # half of it, give or take
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
    assert (
        f"takes 1 s (n = 3) where that takes {seconds:.3g} s (n = 3), a share of"
        in claim.sentence
    )
    by_another = judge(ours(), direct)[1]
    assert "near direct by the held-out CLIP, at a" in by_another.title
    by_time = {1.5: "does not hold", 2.0: "cannot be told", 10.0: "holds"}
    assert by_another.verdict == by_time[seconds]


@pytest.mark.parametrize(
    ("clip", "held_out", "verdict"),
    [
        (0.7, 0.55, "holds"),
        (0.7, 0.6, "holds"),  # as far as the margin goes
        (0.7, 0.606, "cannot be told"),  # 1 % above, give or take
        (0.7, 0.65, "does not hold"),
        (0.5, 0.55, "does not hold"),
        (0.602, 0.55, "does not hold"),  # above, but by less than the margin
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
        (0.5, 0.6, 22.0, "holds"),  # its own score does not matter
        (0.9, 0.6, 20.0, "cannot be told"),  # a twentieth, give or take
        (0.9, 0.6, 18.0, "does not hold"),  # not a twentieth of the time
        (0.9, 0.7, 22.0, "does not hold"),  # not as good
    ],
)
def test_refined_as_good_as_a_search(clip, held_out, seconds, verdict):
    refined = row("refined", "refinement", 0.6, 0.6)
    searched = row("direct", "direct", clip, held_out, seconds=seconds)
    (claim,) = judge(refined, searched)
    assert claim.title.startswith("refined is as good as direct by what that does not")
    assert claim.verdict == verdict
    assert f"s (n = 3) where that takes {seconds:.3g} s" in claim.sentence
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
    assert "takes 1 s (n = 3) where that takes 8 s (n = 3)." in claim.sentence


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
        Scored(name, kind, FULL, single, [1.0, 1.0])
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
    (claim,) = judge(first, Scored("gan", "lafite", {}, scores, [1.0]))
    even = (first.scores["clip_score"] - scores["clip_score"])[::2].mean()
    assert f"{even:+.3f} [" in claim.sentence


BOUND = 0.25
EPSILON = 1e-9


@pytest.mark.parametrize(
    ("low", "high", "above", "not_above"),
    [
        (BOUND + EPSILON, 1.0, "holds", "does not hold"),
        (BOUND, 1.0, "cannot be told", "cannot be told"),
        (BOUND - EPSILON, 1.0, "cannot be told", "cannot be told"),
        (0.0, BOUND + EPSILON, "cannot be told", "cannot be told"),
        (0.0, BOUND, "does not hold", "holds"),
        (0.0, BOUND - EPSILON, "does not hold", "holds"),
        (-np.inf, np.inf, "cannot be told", "cannot be told"),
    ],
)
def test_a_part_is_told_by_the_whole_interval(low, high, above, not_above):
    interval = Interval((low + high) / 2, low, high)
    assert Part(interval, BOUND).verdict == above
    assert Part(interval, BOUND, is_above=False).verdict == not_above


def test_wider_intervals_never_tell_what_narrower_ones_do_not():
    """Of any claim of one to three parts, whatever has made them wider."""
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(5000):
        bounds, means = rng.normal(size=(2, rng.integers(1, 4)))
        sides = rng.integers(2, size=len(means)).astype(bool)
        half = rng.exponential(0.5, (2, len(means)))
        wider = half + rng.exponential(0.5, half.shape) * rng.integers(2)

        def verdict(half, means=means, bounds=bounds, sides=sides):
            ends = zip(means, means - half[0], means + half[1], strict=True)
            parts = [
                Part(Interval(*end), bound, bool(side))
                for end, bound, side in zip(ends, bounds, sides, strict=True)
            ]
            return Claim("", parts, "").verdict

        before, after = verdict(half), verdict(wider)
        seen.add((before, after))
        assert after in (before, "cannot be told")
    assert len(seen) == 5


def test_a_held_out_interval_that_only_reaches_zero_shows_no_equality():
    """+0.080 [-0.027, +0.189] does not say that it is not above."""
    direct = row("direct", "direct", 0.8, 0.68, spread=0.43)
    *_, claim = judge(ours(), direct)
    assert claim.parts[0].verdict == "holds"
    held_out = claim.parts[1].interval
    assert held_out.low < 0 < 0.006 < held_out.high
    assert claim.verdict == "cannot be told"


def test_fewer_prompts_do_not_make_a_claim_hold():
    """Every claim, at its own figures, of 64 prompts down to none."""
    rows = [
        ours(seconds=8.0, **FULL),
        row("few", "clip2latent", 0.6, 0.6, **{**FULL, "num_steps": 4}),
        row("gan", "lafite", 0.61, 0.61),
        row("direct", "direct", 0.7, 0.6, seconds=160.0),
        row("refined", "refinement", 0.7, 0.6),
    ]
    whole = {claim.title: claim.verdict for claim in judge(*rows)}
    assert len(whole) == 6
    for num_prompts in (32, FEWEST_PROMPTS, FEWEST_PROMPTS - 1, 2, 1):
        fewer = [
            Scored(
                one.name,
                one.kind,
                one.settings,
                {name: values[:num_prompts] for name, values in one.scores.items()},
                one.seconds,
            )
            for one in rows
        ]
        for claim in judge(*fewer):
            if num_prompts < FEWEST_PROMPTS:
                assert claim.verdict == "cannot be told"
                assert "[-inf, +inf]" in claim.sentence


@pytest.mark.parametrize(
    ("own", "other", "verdict"),
    [
        ([1.0], [19.0], "holds"),  # each known to a factor of 3: at most 9 / 19
        ([1.0], [17.0], "cannot be told"),
        ([1.0], [0.23], "cannot be told"),
        ([1.0], [0.22], "does not hold"),  # at least 1 / (9 x 0.22), more than half
        ([1.0, 1.0], [7.0], "holds"),
        ([1.0, 1.0], [5.0], "cannot be told"),
        ([1.0, 1.0, 1.0], [2.0, 2.0, 2.0], "holds"),  # exactly half
        ([1.0, 1.0, 1.0], [1.999, 1.999, 1.999], "does not hold"),
        ([1.0, 1.2], [3.0, 2.5], "cannot be told"),
        ([1.0, 1.2] * 5, [3.0, 2.5] * 5, "holds"),
    ],
)
def test_time_has_three_ends_too(own, other, verdict):
    def timed(scored, seconds):
        scores = scored.scores
        return Scored(scored.name, scored.kind, scored.settings, scores, seconds)

    claim, *_ = judge(timed(ours(), own), timed(row("d", "direct", 0.6, 0.6), other))
    assert claim.parts[0].verdict == "holds"
    assert claim.verdict == verdict


def test_parts_share_the_error_of_a_claim():
    """One CLIP has an interval of 95 %, each of two of 97.5 %."""
    first, second = ours(), row("gan", "lafite", 0.5, 0.5)
    (both,) = judge(first, second)
    blind = dict(second.scores, held_out_score=np.full(64, np.nan))
    (one,) = judge(first, Scored("gan", "lafite", {}, blind, None))
    widths = [
        part.interval.high - part.interval.low for part in (both.parts[0], *one.parts)
    ]
    # t(0.9875, 63) / t(0.975, 63)
    assert widths[0] / widths[1] == pytest.approx(2.2956 / 1.9983, rel=1e-3)


def test_margins_and_caveats_are_said():
    first, second = ours(), row("gan", "lafite", 0.5, 0.4)
    told = Scored(
        "gan", "lafite", {}, second.scores, None, caveats=["It saw 16,000 images."]
    )
    (claim,) = judge(first, told)
    margins = "where above is more than 0.0050 and 0.0040 (1% of that score)."
    shared = PROMPTS.mean()
    expected = f"{abs(0.5 + shared) / 100:.4f} and {abs(0.4 + shared) / 100:.4f}"
    assert margins.replace("0.0050 and 0.0040", expected) in claim.sentence
    assert claim.sentence.endswith(" It saw 16,000 images.")
    said = describe_claims([claim, claim], 0.95)
    assert said.startswith("Claims that were looked at: 2,")
    assert "95% confidence" in said


def test_two_rows_that_get_nothing_right_are_not_told_apart():
    """A share of a score of zero is no margin: neither is worse than the other."""
    nothing = np.zeros(len(PROMPTS))
    refined, direct = (
        replace(found, scores={**found.scores, "accuracy": nothing})
        for found in (
            row("quick", "refinement", 0.6, 0.62, seconds=0.1),
            row("direct", "direct", 0.6, 0.6, seconds=10.0),
        )
    )
    (claim,) = judge(refined, direct)
    assert [part.verdict for part in claim.parts] == [
        "holds",
        "cannot be told",
        "holds",
    ]
    assert claim.verdict == "cannot be told"
