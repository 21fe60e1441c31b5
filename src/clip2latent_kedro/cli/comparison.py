"""`kedro compare-scores`: what has changed beyond chance between two runs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from math import hypot, inf
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
from kedro.framework.session import KedroSession

from clip2latent_kedro.datasets.versions import describe_versions, list_versions
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.metrics.bootstrap import Interval
from clip2latent_kedro.study.comparison import (
    FEWEST_PROMPTS,
    MEASURED_BY,
    is_comparable,
    paired_difference,
)
from clip2latent_kedro.study.tables import ENDS

Key = tuple[str, ...]
BY_PROMPT = {"scores": "scores_by_prompt"}  # the table of a table's single prompts


@dataclass(frozen=True)
class Table:
    """One version of a table of means with intervals.

    Attributes:
        means: Its rows are named by the columns of text that it begins with; a score
            is a column NAME beside NAME_low and NAME_high.
        by_prompt: The scores of each `method`, `prompt_index` and `prompt`; None
            if the table has no such other.
    """

    means: pd.DataFrame
    by_prompt: pd.DataFrame | None = None


@dataclass(frozen=True)
class Change:
    """A score of one row whose difference between two versions is not chance.

    Attributes:
        key: The texts that name the row.
        score: Its name.
        before: Mean in the older version.
        after: Mean in the newer one.
        difference: Of both, with an interval that allows for all comparisons.
        is_paired: Whether it is of the same prompts, one by one.
    """

    key: Key
    score: str
    before: float
    after: float
    difference: Interval
    is_paired: bool

    def __str__(self) -> str:
        """Return both means, and the difference with its interval."""
        unpaired = "" if self.is_paired else ", unpaired"
        return (
            f"{', '.join(self.key)}: {self.score} {self.before:.3f} -> "
            f"{self.after:.3f} ({self.difference:+.3f}{unpaired})"
        )


@dataclass(frozen=True)
class TableComparison:
    """Two versions of a table of scores.

    Attributes:
        changes: Beyond chance, in the order of the newer table.
        num_compared: Scores of rows that both have.
        num_paired: Those of them that are compared prompt by prompt.
        gone: Names of rows that only the older table has.
        new: Names of rows that only the newer one has.
        others: Scores that are another quantity in the newer table, each with why.
        unknown: Whether a table does not tell which models scored.
    """

    changes: list[Change]
    num_compared: int
    num_paired: int
    gone: list[str]
    new: list[str]
    others: dict[str, str]
    unknown: bool

    def lines(self) -> Iterator[str]:
        """Yield what there is to say."""
        yield from map(str, self.changes)
        for said, names in (("Gone", self.gone), ("New", self.new)):
            if names:
                yield f"{said}: {'; '.join(names)}."
        for score, reason in self.others.items():
            yield f"Not compared: {score}, which is another quantity by {reason}."
        if self.unknown:
            yield (
                "Which models scored is not known of both versions. With other models "
                "the scores are other quantities."
            )
        yield (
            f"{len(self.changes)} of {self.num_compared} scores have changed, by "
            f"intervals of the differences that allow for as many comparisons "
            f"(Bonferroni). {self.num_paired} are paired by prompt; the others have "
            f"other prompts, or none stored, and are compared by their own intervals."
        )


def compare_tables(
    before: Table, after: Table, *, confidence: float
) -> TableComparison:
    """Return what has changed between two tables of means with intervals.

    Args:
        before: The older table.
        after: The newer one.
        confidence: Of the intervals in the tables, and of all comparisons together.

    Raises:
        InputError: If a table has no scores or names two rows alike.
    """
    old, new = _index_rows(before.means), _index_rows(after.means)
    known = _score_names(before.means)
    scores = [name for name in _score_names(after.means) if name in known]
    if not scores:
        msg = (
            "The two tables must share a score NAME with NAME_low and NAME_high, got "
            "none. Compare tables of one kind."
        )
        raise InputError(msg)
    others: dict[str, str] = {}
    compared: list[tuple[Key, str]] = []
    for key, score in product((key for key in new if key in old), scores):
        if np.isnan([*_ends(old[key], score), *_ends(new[key], score)]).any():
            continue
        reason = _name_other_measure(score, old[key], new[key])
        if reason:
            others.setdefault(score, reason)
        else:
            compared.append((key, score))
    changes, num_paired = [], 0
    error = (1 - confidence) / max(1, len(compared))  # of each comparison (Bonferroni)
    for key, score in compared:
        difference = _pair(score, key, before.by_prompt, after.by_prompt, 1 - error)
        is_paired = difference is not None
        num_paired += is_paired
        if difference is None:
            difference = _unpaired(score, old[key], new[key], confidence, 1 - error)
        if difference.low > 0 or difference.high < 0:
            was, now = (_ends(rows[key], score)[0] for rows in (old, new))
            changes.append(Change(key, score, was, now, difference, is_paired))
    return TableComparison(
        changes,
        len(compared),
        num_paired,
        gone=[", ".join(key) for key in old if key not in new],
        new=[", ".join(key) for key in new if key not in old],
        others=others,
        unknown=any("encoder" not in table.means for table in (before, after)),
    )


def _name_other_measure(
    score: str, old: Mapping[Any, Any], new: Mapping[Any, Any]
) -> str:
    """Return why a score of a row is not the same quantity in both; "" if it is."""
    for by in MEASURED_BY.get(score, ()):
        if by in old and by in new and str(old[by]) != str(new[by]):
            return f"another {by.replace('_', ' ')} ({old[by]} -> {new[by]})"
    counts = old.get("num_samples", 1), new.get("num_samples", 1)
    if not is_comparable(score, *counts):
        return f"other numbers of samples ({counts[0]} -> {counts[1]})"
    return ""


def _pair(
    score: str,
    key: Key,
    before: pd.DataFrame | None,
    after: pd.DataFrame | None,
    confidence: float,
) -> Interval | None:
    """Return the difference prompt by prompt; None if the prompts are not the same."""
    if before is None or after is None or score not in before or score not in after:
        return None
    prompt = ["prompt_index", "prompt"]
    old, new = (
        table[table["method"] == key[0]].set_index(prompt)[score].sort_index()
        for table in (before, after)
    )
    if not new.index.equals(old.index):
        return None
    return paired_difference(
        new.to_numpy(float), old.to_numpy(float), confidence=confidence
    )


def _unpaired(
    score: str,
    old: Mapping[Any, Any],
    new: Mapping[Any, Any],
    confidence: float,
    wanted: float,
) -> Interval:
    """Return the difference of two independent means, by their own intervals.

    These have `confidence`, and are widened to what is wanted as a normal's would be.
    """
    was, was_low, was_high = _ends(old, score)
    now, now_low, now_high = _ends(new, score)
    if min(row.get("num_prompts", inf) for row in (old, new)) < FEWEST_PROMPTS:
        return Interval(now - was, -inf, inf)
    alone, together = (
        NormalDist().inv_cdf((1 + sure) / 2) for sure in (confidence, wanted)
    )
    down = hypot(now - now_low, was_high - was) * together / alone
    up = hypot(now_high - now, was - was_low) * together / alone
    return Interval(now - was, now - was - down, now - was + up)


def load_versions(
    entry: str, versions: tuple[str, ...], env: str | None
) -> tuple[dict[str, Table], float]:
    """Return two versions of a catalog entry, the older request first.

    Args:
        entry: A versioned table.
        versions: Two versions, or the beginnings of their names; none for the last
            two.
        env: Environment of the configuration; None for the default one.

    Returns:
        The tables by version, and the confidence that intervals are made with.

    Raises:
        InputError: If the entry or a version is not there.
    """
    session = KedroSession.create(env=env)
    assert isinstance(session, KedroSession)
    with session:
        context = session.load_context()
        catalog, parameters = context.catalog, context.config_loader["parameters"]
    if entry not in catalog.keys():  # noqa: SIM118 - `in catalog` also matches patterns
        msg = f"entry must be a table of the catalog, got {entry!r}."
        raise InputError(msg)
    known = list_versions(entry, catalog.get(entry))
    wanted = [_find_version(version, known) for version in versions] or known[-2:]
    if len(set(wanted)) < 2:
        msg = (
            f"{entry} must have two versions to compare, got "
            f"{', '.join(wanted) or 'none'}. Run the pipeline that makes it again."
        )
        raise InputError(msg)
    other = BY_PROMPT.get(entry, "")
    stored = list_versions(other, catalog.get(other)) if other else []
    tables: dict[str, Table] = {}
    for version in wanted:
        means = catalog.load(entry, version=version)
        if not isinstance(means, pd.DataFrame):
            msg = f"entry must be a table of the catalog, got {entry!r}."
            raise InputError(msg)
        has_prompts = version in stored
        by_prompt = catalog.load(other, version=version) if has_prompts else None
        tables[version] = Table(means, by_prompt)
    made_by = "ablation" if entry == "ablation_scores" else "evaluation"
    return tables, parameters[made_by]["confidence"]


def _find_version(version: str, known: list[str]) -> str:
    """Return the one version that begins so."""
    found = [name for name in known if name.startswith(version)]
    if version in found:
        return version
    if len(found) != 1:
        what = f"{len(found)} versions begin so" if found else "there is none"
        raise InputError(describe_versions(version, known, what))
    return found[0]


def _score_names(table: pd.DataFrame) -> list[str]:
    known = set(map(str, table.columns))
    names = map(str, table.columns)
    return [name for name in names if {f"{name}{end}" for end in ENDS} <= known]


def _index_rows(table: pd.DataFrame) -> dict[Key, Mapping[Any, Any]]:
    """Return the rows by the texts that they begin with."""
    texts = []
    for name in table.columns:
        if pd.api.types.is_numeric_dtype(table[name]):
            break
        texts.append(name)
    rows: dict[Key, Mapping[Any, Any]] = {}
    for row in table.to_dict("records"):
        key = tuple(str(row[name]) for name in texts)
        if not key or key in rows:
            msg = (
                f"Each row of the table must begin with a name of its own, got "
                f"{', '.join(key) or 'no text'} twice or none."
            )
            raise InputError(msg)
        rows[key] = row
    return rows


def _ends(row: Mapping[Any, Any], score: str) -> tuple[float, float, float]:
    """Return mean, low and high of a score."""
    try:
        mean, low, high = (float(row[f"{score}{end}"]) for end in ENDS)
    except (TypeError, ValueError) as error:
        msg = f"The table must hold numbers under {score}, got {error}. Make it again."
        raise InputError(msg) from error
    return mean, low, high
