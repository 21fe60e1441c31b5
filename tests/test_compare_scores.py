"""`kedro compare-scores`, by itself and as a command."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from kedro.framework.project import configure_project
from projects import refusal

from clip2latent_kedro.cli import cli
from clip2latent_kedro.cli.comparison import Table, compare_tables
from clip2latent_kedro.errors import InputError


def table(**means):
    """A score with intervals of 0.1 to both sides, and one number without."""
    rows = [
        {
            "method": name,
            "seconds": 1.0,
            "score": mean,
            "score_low": mean - 0.1,
            "score_high": mean + 0.1,
        }
        for name, mean in means.items()
    ]
    return pd.DataFrame(rows)


def compare_means(before, after):
    return compare_tables(Table(before), Table(after), confidence=0.95)


def test_unpaired_means_have_changed_if_the_interval_of_the_difference_leaves_out_0():
    """Two halves of 0.1 make 0.141, of one of two comparisons 0.162 (2.24 / 1.96)."""
    found = compare_means(table(a=0.5, b=0.5, c=0.5), table(a=0.66, b=0.67, d=0.1))
    assert [change.key for change in found.changes] == [("b",)]
    assert (found.num_compared, found.num_paired) == (2, 0)
    assert (found.gone, found.new) == (["c"], ["d"])
    lines = list(found.lines())
    assert lines[:3] == [
        "b: score 0.500 -> 0.670 (+0.170 [+0.008, +0.332], unpaired)",
        "Gone: c.",
        "New: d.",
    ]
    assert lines[3].startswith("Which models scored is not known of both versions.")
    assert lines[4].startswith("1 of 2 scores have changed, by intervals of the diff")
    assert "0 are paired by prompt" in lines[4]
    worse = compare_means(table(b=0.71), table(b=0.5))
    assert "(-0.210 [" in str(worse.changes[0])


@pytest.mark.parametrize(("number", "changed"), [(0, 1), (99, 0)])
def test_more_comparisons_need_more_of_a_difference(number, changed):
    same = {f"b{index}": 0.5 for index in range(number)}
    found = compare_means(table(a=0.5, **same), table(a=0.66, **same))
    assert (len(found.changes), found.num_compared) == (changed, number + 1)


def by_prompt(num_prompts=20, **means):
    """Scores of each prompt, which differ by far more than methods do."""
    prompts = [f"prompt {number}" for number in range(num_prompts)]
    rows = []
    for name, mean in means.items():
        apart = np.linspace(-0.3, 0.3, num_prompts) + mean
        part = {"method": name, "prompt_index": range(num_prompts), "prompt": prompts}
        rows.append(pd.DataFrame({**part, "score": apart}))
    return pd.concat(rows)


def test_the_same_prompts_are_paired():
    """A difference of 0.01 that every prompt shows, far within the intervals."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.002, 20)
    older, newer = by_prompt(a=0.5, b=0.5), by_prompt(a=0.51, b=0.5)
    newer["score"] += [*(noise - noise.mean()), *(noise - noise.mean())]
    before, after = table(a=0.5, b=0.5), table(a=0.51, b=0.5)
    found = compare_tables(
        Table(before, older), Table(after, newer.sample(frac=1)), confidence=0.95
    )
    (change,) = found.changes
    assert change.key == ("a",)
    assert change.is_paired
    half = 2.433 * noise.std(ddof=1) / 20**0.5  # t(0.9875, 19), of two comparisons
    assert change.difference.low == pytest.approx(0.01 - half, abs=1e-6)
    assert (found.num_compared, found.num_paired) == (2, 2)
    others = newer.assign(prompt=newer["prompt"] + "!")
    for other in (others, by_prompt(num_prompts=19, a=0.51, b=0.5), None):
        unpaired = compare_tables(
            Table(before, older), Table(after, other), confidence=0.95
        )
        assert (unpaired.changes, unpaired.num_paired) == ([], 0)


def test_few_prompts_tell_nothing():
    few = {"num_prompts": 7}
    found = compare_means(table(a=0.1).assign(**few), table(a=0.9).assign(**few))
    assert (found.changes, found.num_compared) == ([], 1)
    older, newer = by_prompt(7, a=0.1), by_prompt(7, a=0.9)
    pairs = Table(table(a=0.1), older), Table(table(a=0.9), newer)
    found = compare_tables(*pairs, confidence=0.95)
    assert (found.changes, found.num_paired) == ([], 1)


def test_scores_by_other_models_or_of_other_numbers_are_not_compared():
    def scored(mean, num_samples=4, **models):
        names = ("clip_score", "clip_score_best", "accuracy", "pixel_diversity")
        row = {"method": "a", "num_samples": num_samples}
        for name in names:
            row |= {name: mean, f"{name}_low": mean - 0.1, f"{name}_high": mean + 0.1}
        known = {"encoder": "e@1", "held_out_encoder": "h@1", "judge": "j@1"}
        return pd.DataFrame([{**row, **known, **models}])

    same = compare_means(scored(0.1), scored(0.9))
    assert (len(same.changes), same.others, same.unknown) == (4, {}, False)
    other = compare_means(scored(0.1), scored(0.9, encoder="e@2"))
    assert [change.score for change in other.changes] == ["accuracy", "pixel_diversity"]
    assert other.num_compared == 2
    said = list(other.lines())
    assert (
        "Not compared: clip_score, which is another quantity by another encoder "
        "(e@1 -> e@2)." in said
    )
    judged = compare_means(scored(0.1), scored(0.9, judge="j@2"))
    assert list(judged.others) == ["accuracy"]
    more = compare_means(scored(0.1), scored(0.9, num_samples=8))
    assert more.others == {"clip_score_best": "other numbers of samples (4 -> 8)"}
    unknown = scored(0.9).drop(columns=["encoder", "held_out_encoder", "judge"])
    assert compare_means(scored(0.1), unknown).unknown


def test_scores_that_one_version_lacks_are_passed_over():
    before, after = table(a=0.5, b=0.5), table(a=0.9, b=0.9)
    after.loc[1, "score"] = None
    after["other"], after["other_low"], after["other_high"] = 1.0, 1.0, 1.0
    found = compare_means(before, after)
    assert (found.num_compared, len(found.changes)) == (1, 1)


def test_rows_may_be_named_by_several_texts():
    def twice(mean):
        both = pd.concat([table(a=mean), table(a=0.5)], ignore_index=True)
        both.insert(0, "grid", ["x", "y"])
        return both

    found = compare_means(twice(0.1), twice(0.9))
    assert [change.key for change in found.changes] == [("x", "a")]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (table(a=1)[["method", "score"]], table(a=1), "must share a score NAME with"),
        (
            pd.concat([table(a=1)] * 2),
            table(a=1),
            "begin with a name of its own, got a",
        ),
        (table(a=1).drop(columns="method"), table(a=1), "got no text twice or none"),
    ],
)
def test_other_tables_are_refused(before, after, message):
    with pytest.raises(InputError, match=message):
        compare_means(before, after)


@pytest.fixture
def compare(project_path):
    """The command, in a project with three versions of the scores."""
    configure_project("clip2latent_kedro")
    for version, mean in (("2020-01", 0.1), ("2021-01", 0.5), ("2021-02", 0.9)):
        folder = Path("data/scores.csv") / version
        folder.mkdir(parents=True)
        table(a=mean).to_csv(folder / "scores.csv", index=False)
        if version != "2020-01":
            folder = Path("data/scores_by_prompt.csv") / version
            folder.mkdir(parents=True)
            by_prompt(a=mean).to_csv(folder / "scores_by_prompt.csv", index=False)

    def compare(*arguments):
        return CliRunner().invoke(cli, ["compare-scores", *arguments])

    return compare


def test_the_last_two_versions_are_compared(compare):
    result = compare()
    assert result.exit_code == 0, result.output
    assert "scores: 2021-01 -> 2021-02" in result.output
    assert "a: score 0.500 -> 0.900 (+0.400 [+0.400, +0.400])" in result.output
    assert "1 are paired by prompt" in result.output


def test_versions_may_be_named_by_their_beginnings(compare):
    result = compare("2021-02", "2020")
    assert "scores: 2021-02 -> 2020-01" in result.output
    assert "(-0.800 [" in result.output
    assert "], unpaired)" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["2021", "2020"], "got '2021': 2 versions begin so."),
        (["2019", "2020"], "version must be one of 2020-01, 2021-01, 2021-02, got"),
        (["2020"], "compare-scores takes two versions or none, got 1."),
        (["2020", "2020"], "scores must have two versions to compare, got 2020-01"),
        (["--entry=prompts"], "entry must be versioned in the catalog, got 'prompts'."),
        (["--entry=nothing"], "entry must be a table of the catalog, got 'nothing'."),
        (["--entry=sweep_scores"], "sweep_scores must have two versions to compare"),
        (["--env=nowhere"], "env must be one of ablation_quick, base,"),
    ],
)
def test_what_cannot_be_compared_is_said_in_a_sentence(compare, arguments, message):
    assert message in refusal(compare(*arguments))
