from dataclasses import replace

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
NONE = np.full(64, np.nan)


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
    return Scored(name, kind, {**FULL, **settings}, scores, times)


def judge(*rows, baseline="ours"):
    return judge_claims(rows, baseline, confidence=0.95)


def ours(clip=0.6, held_out=0.6, **changes):
    return row("ours", "clip2latent", clip, held_out, **changes)


HOLDS, FAILS, OPEN = "holds", "does not hold", "cannot be told"


@pytest.mark.parametrize(
    ("clip", "held_out", "spread", "verdict"),
    [
        (0.5, 0.5, 0.01, HOLDS),
        (0.5, 0.7, 0.01, FAILS),
        (0.599, 0.599, 0.001, FAILS),  # above, but by less than the margin
        (0.59, 0.59, 0.5, OPEN),
    ],
)
@pytest.mark.parametrize("kind", ["lafite", "clip2gan"])
def test_above_other_trained_methods(kind, clip, held_out, spread, verdict):
    (claim,) = judge(ours(), row("gan", kind, clip, held_out, spread=spread))
    assert claim.title == "ours scores above gan"
    assert claim.verdict == verdict
    assert f"{0.6 - clip:+.3f} [" in claim.sentence


@pytest.mark.parametrize(
    ("clip", "held_out", "seconds", "expected"),
    [  # near by the CLIP that ranks, near by the other, climbs its own alone
        (0.62, 0.59, 10.0, [HOLDS, HOLDS, HOLDS]),
        (0.62, 0.59, 1.5, [FAILS, FAILS, HOLDS]),  # not a fraction of the time
        (0.62, 0.59, 2.0, [OPEN, OPEN, HOLDS]),  # half of it, give or take
        (0.7, 0.6, 10.0, [FAILS, HOLDS, HOLDS]),  # not near
        (0.7, 0.606, 10.0, [FAILS, HOLDS, OPEN]),  # 1 % above, give or take
        (0.7, 0.65, 10.0, [FAILS, FAILS, FAILS]),
        (0.5, 0.55, 10.0, [HOLDS, HOLDS, FAILS]),  # below by both
        (0.602, 0.55, 10.0, [HOLDS, HOLDS, FAILS]),  # above by less than the margin
    ],
)
def test_near_direct_optimisation_which_climbs_its_own_clip_only(
    clip, held_out, seconds, expected
):
    claims = judge(ours(), row("direct", "direct", clip, held_out, seconds=seconds))
    assert [claim.title for claim in claims] == [
        "ours is near direct by the CLIP that ranks, at a fraction of its time",
        "ours is near direct by the held-out CLIP, at a fraction of its time",
        "direct is above ours by its own CLIP, but not by another",
    ]
    assert [claim.verdict for claim in claims] == expected
    took = f"takes 1 s (n = 3) where that takes {seconds:.3g} s (n = 3), a share of"
    assert took in claims[0].sentence
    assert "of the attributes right" in claims[2].sentence


@pytest.mark.parametrize(
    ("held_out", "seconds", "verdict"),
    [
        (0.6, 22.0, HOLDS),
        (0.6, 20.0, OPEN),  # a twentieth, give or take
        (0.6, 18.0, FAILS),  # not a twentieth of the time
        (0.7, 22.0, FAILS),  # not as good
    ],
)
def test_refined_as_good_as_a_search(held_out, seconds, verdict):
    refined = row("refined", "refinement", 0.6, 0.6)
    searched = row("direct", "direct", 0.9, held_out, seconds=seconds)
    (claim,) = judge(refined, searched)
    assert claim.title.startswith("refined is as good as direct by what that does not")
    assert claim.verdict == verdict
    assert judge(refined, replace(searched, seconds=None)) == []


@pytest.mark.parametrize(
    ("clip", "blends", "verdict"),
    [
        (0.7, 0.4, HOLDS),
        (0.7, 0.2, FAILS),  # as many
        (0.5, 0.4, FAILS),  # not above
        (0.605, 0.4, OPEN),  # above by less than one hundredth, give or take
    ],
)
@pytest.mark.parametrize("kind", ["direct", "refinement"])
def test_what_climbs_clip_may_do_so_by_blends(kind, clip, blends, verdict):
    def blending(one, share):
        values = np.where(np.arange(len(PROMPTS)) % 10 < 10 * share, 1.0, 0.0)
        return replace(one, scores={**one.scores, "blended": values})

    own = blending(ours(seconds=None), 0.2)
    climbing = row("climber", kind, clip, 0.5, seconds=None)
    found = judge(own, blending(climbing, blends))
    claim = found[-1]
    assert (
        claim.title
        == "climber is above ours by the CLIP that it climbs, with more blends"
    )
    assert claim.verdict == verdict
    assert "by the share of blends" in claim.sentence
    # Without a judge that says how sure it is, there is no such claim.
    assert judge(own, climbing) == found[:-1]


@pytest.mark.parametrize(
    ("clip", "verdict"), [(0.599, HOLDS), (0.61, HOLDS), (0.55, FAILS)]
)
def test_respacing_costs_nothing(clip, verdict):
    few = row("few", "clip2latent", clip, 0.6, num_steps=4)
    other = row("other", "clip2latent", 0.1, 0.1, psi=0.5)
    (claim,) = judge(ours(seconds=8.0), few, other)
    assert claim.title == "4 steps instead of 1000 cost nothing (few, ours)"
    assert claim.verdict == verdict
    assert "takes 1 s (n = 3) where that takes 8 s (n = 3)." in claim.sentence


def test_claims_without_their_rows_or_figures_are_left_out():
    assert judge(ours()) == []
    gan, direct = row("gan", "lafite", 0, 0), row("direct", "direct", 0.7, 0.5)
    assert judge(ours(), gan, baseline=None) == []
    assert judge(gan, direct, baseline="gan") == []
    (untimed,) = judge(ours(), replace(direct, seconds=None))
    assert untimed.title == "direct is above ours by its own CLIP, but not by another"
    blind = {"clip_score": PROMPTS, "held_out_score": NONE, "accuracy": NONE}
    (single,) = judge(*(replace(one, scores=blind) for one in (ours(), direct)))
    assert "held-out" not in single.sentence


def test_intervals_are_paired_over_prompts_that_both_have():
    first, second = ours(), row("gan", "lafite", 0.5, 0.5)
    (claim,) = judge(first, second)
    low, high = claim.parts[0].interval.low, claim.parts[0].interval.high
    # Pairing takes out what prompts share, ten times the rest.
    assert 0.09 < low < 0.1 < high < 0.11
    even = np.arange(64) % 2 == 0
    fewer = {name: np.where(even, of, np.nan) for name, of in second.scores.items()}
    (claim,) = judge(first, replace(second, scores=fewer))
    mean = (first.scores["clip_score"] - second.scores["clip_score"])[even].mean()
    assert claim.parts[0].interval.mean == pytest.approx(mean)
    assert f"{mean:+.3f} [" in claim.sentence


BOUND = 0.25
EPSILON = 1e-9


@pytest.mark.parametrize(
    ("low", "high", "above", "not_above"),
    [
        (BOUND + EPSILON, 1.0, HOLDS, FAILS),
        (BOUND, 1.0, OPEN, OPEN),
        (0.0, BOUND + EPSILON, OPEN, OPEN),
        (0.0, BOUND, FAILS, HOLDS),
        (-np.inf, np.inf, OPEN, OPEN),
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
        before, after = (
            Claim(
                "",
                [
                    Part(Interval(mean, mean - down, mean + up), bound, bool(side))
                    for mean, down, up, bound, side in zip(
                        means, *ends, bounds, sides, strict=True
                    )
                ],
                "",
                ("", ""),
            ).verdict
            for ends in (half, wider)
        )
        seen.add((before, after))
        assert after in (before, OPEN)
    assert len(seen) == 5


def test_fewer_prompts_do_not_make_a_claim_hold():
    """Every claim, at its own figures, of 64 prompts down to one."""
    rows = [
        ours(seconds=8.0),
        row("few", "clip2latent", 0.6, 0.6, num_steps=4),
        row("gan", "lafite", 0.61, 0.61),
        row("direct", "direct", 0.7, 0.6, seconds=160.0),
        row("refined", "refinement", 0.7, 0.6),
    ]
    assert len(judge(*rows)) == 6
    for num in (FEWEST_PROMPTS - 1, 2, 1):
        fewer = [
            replace(one, scores={name: of[:num] for name, of in one.scores.items()})
            for one in rows
        ]
        for claim in judge(*fewer):
            assert claim.verdict == OPEN
            assert "[-inf, +inf]" in claim.sentence


@pytest.mark.parametrize(
    ("own", "other", "verdict"),
    [
        ([1.0], [19.0], HOLDS),  # each known to a factor of 3: at most 9 / 19
        ([1.0], [17.0], OPEN),
        ([1.0], [0.23], OPEN),
        ([1.0], [0.22], FAILS),  # at least 1 / (9 x 0.22), more than half
        ([1.0, 1.0], [7.0], HOLDS),
        ([1.0, 1.0], [5.0], OPEN),
        ([1.0, 1.0, 1.0], [2.0, 2.0, 2.0], HOLDS),  # exactly half
        ([1.0, 1.0, 1.0], [1.999, 1.999, 1.999], FAILS),
        ([1.0, 1.2], [3.0, 2.5], OPEN),
        ([1.0, 1.2] * 5, [3.0, 2.5] * 5, HOLDS),
    ],
)
def test_time_has_three_ends_too(own, other, verdict):
    direct = row("direct", "direct", 0.6, 0.6)
    claim, *_ = judge(replace(ours(), seconds=own), replace(direct, seconds=other))
    assert claim.parts[0].verdict == HOLDS
    assert claim.verdict == verdict


def test_parts_share_the_error_of_a_claim():
    """One CLIP has an interval of 95 %, each of two of 97.5 %."""
    first, second = ours(), row("gan", "lafite", 0.5, 0.5)
    blind = replace(second, scores={**second.scores, "held_out_score": NONE})
    both, one = (judge(first, other)[0].parts[0].interval for other in (second, blind))
    # t(0.9875, 63) / t(0.975, 63)
    widths = (both.high - both.low) / (one.high - one.low)
    assert widths == pytest.approx(2.2956 / 1.9983, rel=1e-3)


def test_margins_and_caveats_are_said():
    gan = replace(row("gan", "lafite", 0.5, 0.4), caveats=["It saw 16,000 images."])
    (claim,) = judge(ours(), gan)
    bounds = [abs(mean + PROMPTS.mean()) / 100 for mean in (0.5, 0.4)]
    assert [part.bound for part in claim.parts] == pytest.approx(bounds)
    said = f"where above is more than {bounds[0]:.4f} and {bounds[1]:.4f} (1% of that"
    assert said in claim.sentence
    assert claim.sentence.endswith(". It saw 16,000 images.")
    said = describe_claims([claim, claim], 0.95)
    assert said.startswith("Claims that were looked at: 2,")
    assert "95% confidence" in said


def test_two_rows_that_get_nothing_right_are_not_told_apart():
    """A share of a score of zero is no margin: neither is worse than the other."""
    refined, direct = (
        replace(found, scores={**found.scores, "accuracy": np.zeros(len(PROMPTS))})
        for found in (
            row("quick", "refinement", 0.6, 0.62, seconds=0.1),
            row("direct", "direct", 0.6, 0.6, seconds=10.0),
        )
    )
    (claim,) = judge(refined, direct)
    assert [part.verdict for part in claim.parts] == [HOLDS, OPEN, HOLDS]
    assert claim.verdict == OPEN
