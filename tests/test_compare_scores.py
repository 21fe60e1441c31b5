"""`kedro compare-scores`, by itself and as a command."""

from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from kedro.framework.project import configure_project

from clip2latent_kedro.cli import cli
from clip2latent_kedro.cli.comparison import compare_tables
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


def test_what_has_changed_is_what_has_intervals_apart():
    found = compare_tables(table(a=0.5, b=0.5, c=0.5), table(a=0.69, b=0.71, d=0.1))
    assert [change.key for change in found.changes] == [("b",)]
    assert (found.num_compared, found.gone, found.new) == (2, ["c"], ["d"])
    assert list(found.lines()) == [
        "b: score 0.500 [0.400, 0.600] -> 0.710 [0.610, 0.810] (+0.210)",
        "Gone: c.",
        "New: d.",
        "1 of 2 scores have changed beyond their intervals.",
    ]
    worse = compare_tables(table(b=0.71), table(b=0.5))
    assert "(-0.210)" in str(worse.changes[0])


def test_scores_that_one_version_lacks_are_passed_over():
    before, after = table(a=0.5, b=0.5), table(a=0.9, b=0.9)
    after.loc[1, "score"] = None
    after["other"], after["other_low"], after["other_high"] = 1.0, 1.0, 1.0
    found = compare_tables(before, after)
    assert (found.num_compared, len(found.changes)) == (1, 1)


def test_rows_may_be_named_by_several_texts():
    def twice(mean):
        both = pd.concat([table(a=mean), table(a=0.5)], ignore_index=True)
        both.insert(0, "grid", ["x", "y"])
        return both

    found = compare_tables(twice(0.1), twice(0.9))
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
        compare_tables(before, after)


@pytest.fixture
def compare(project_path):
    """The command, in a project with three versions of the scores."""
    configure_project("clip2latent_kedro")
    for version, mean in (("2020-01", 0.1), ("2021-01", 0.5), ("2021-02", 0.9)):
        folder = Path("data/scores.csv") / version
        folder.mkdir(parents=True)
        table(a=mean).to_csv(folder / "scores.csv", index=False)

    def compare(*arguments):
        return CliRunner().invoke(cli, ["compare-scores", *arguments])

    return compare


def test_the_last_two_versions_are_compared(compare):
    result = compare()
    assert result.exit_code == 0, result.output
    assert "scores: 2021-01 -> 2021-02" in result.output
    assert "a: score 0.500 [0.400, 0.600] -> 0.900" in result.output


def test_versions_may_be_named_by_their_beginnings(compare):
    result = compare("2021-02", "2020")
    assert "scores: 2021-02 -> 2020-01" in result.output
    assert "(-0.800)" in result.output


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
    result = compare(*arguments)
    assert result.exit_code == 2
    error = [line for line in result.output.splitlines() if line.startswith("Error")]
    assert len(error) == 1
    assert message in error[0]
