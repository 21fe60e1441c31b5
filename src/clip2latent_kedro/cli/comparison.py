"""`kedro compare-scores`: what has changed beyond the intervals between two runs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from kedro.framework.session import KedroSession
from kedro.io import DataCatalog

from clip2latent_kedro.datasets.versions import describe_versions, list_versions
from clip2latent_kedro.errors import InputError

Key = tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """A score of one row whose intervals of two versions have nothing in common.

    Attributes:
        key: The texts that name the row.
        score: Its name.
        before: Mean, low and high in the older version.
        after: The same in the newer one.
    """

    key: Key
    score: str
    before: tuple[float, float, float]
    after: tuple[float, float, float]

    def __str__(self) -> str:
        """Return both with their intervals, and the difference of the means."""
        before, after = (
            f"{mean:.3f} [{low:.3f}, {high:.3f}]"
            for mean, low, high in (self.before, self.after)
        )
        difference = self.after[0] - self.before[0]
        name = ", ".join(self.key)
        return f"{name}: {self.score} {before} -> {after} ({difference:+.3f})"


@dataclass(frozen=True)
class Comparison:
    """Two versions of a table of scores.

    Attributes:
        changes: Beyond the intervals, in the order of the newer table.
        num_compared: Scores of rows that both have.
        gone: Names of rows that only the older table has.
        new: Names of rows that only the newer one has.
    """

    changes: list[Change]
    num_compared: int
    gone: list[str]
    new: list[str]

    def lines(self) -> Iterator[str]:
        """Yield what there is to say."""
        yield from map(str, self.changes)
        for said, names in (("Gone", self.gone), ("New", self.new)):
            if names:
                yield f"{said}: {'; '.join(names)}."
        yield (
            f"{len(self.changes)} of {self.num_compared} scores have changed beyond "
            f"their intervals."
        )


def compare_tables(before: pd.DataFrame, after: pd.DataFrame) -> Comparison:
    """Return what has changed between two tables of means with intervals.

    Args:
        before: The older table. Its rows are named by the columns of text that it
            begins with; a score is a column NAME beside NAME_low and NAME_high.
        after: The newer one.

    Raises:
        InputError: If a table has no scores or names two rows alike.
    """
    old, new = _index_rows(before), _index_rows(after)
    scores = [name for name in _score_names(after) if name in _score_names(before)]
    if not scores:
        msg = (
            "The two tables must share a score NAME with NAME_low and NAME_high, got "
            "none. Compare tables of one kind."
        )
        raise InputError(msg)
    changes, num_compared = [], 0
    for key in (key for key in new if key in old):
        for score in scores:
            was, now = (_triple(rows[key], score) for rows in (old, new))
            if pd.isna([*was, *now]).any():
                continue
            num_compared += 1
            if now[1] > was[2] or now[2] < was[1]:
                changes.append(Change(key, score, was, now))
    return Comparison(
        changes,
        num_compared,
        gone=[", ".join(key) for key in old if key not in new],
        new=[", ".join(key) for key in new if key not in old],
    )


def load_versions(
    entry: str, versions: tuple[str, ...], env: str | None
) -> dict[str, pd.DataFrame]:
    """Return two versions of a catalog entry, the older request first.

    Args:
        entry: A versioned table.
        versions: Two versions, or the beginnings of their names; none for the last
            two.
        env: Environment of the configuration; None for the default one.

    Raises:
        InputError: If the entry or a version is not there.
    """
    session = KedroSession.create(env=env)
    assert isinstance(session, KedroSession)
    with session:
        config = session.load_context().config_loader["catalog"]
    if entry not in config:
        msg = f"entry must be a table of the catalog, got {entry!r}."
        raise InputError(msg)
    dataset = DataCatalog.from_config({entry: config[entry]}).get(entry)
    known = list_versions(entry, dataset)
    wanted = [_find_version(version, known) for version in versions] or known[-2:]
    if len(set(wanted)) < 2:
        msg = (
            f"{entry} must have two versions to compare, got "
            f"{', '.join(wanted) or 'none'}. Run the pipeline that makes it again."
        )
        raise InputError(msg)
    tables = {}
    for version in wanted:
        catalog = DataCatalog.from_config(
            {entry: config[entry]}, load_versions={entry: version}
        )
        table = catalog.load(entry)
        if not isinstance(table, pd.DataFrame):
            msg = f"entry must be a table of the catalog, got {entry!r}."
            raise InputError(msg)
        tables[version] = table
    return tables


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
    ends = ("_low", "_high")
    return [
        str(name)
        for name in table.columns
        if all(f"{name}{end}" in table.columns for end in ends)
    ]


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


def _triple(row: Mapping[Any, Any], score: str) -> tuple[float, float, float]:
    mean, low, high = (float(row[f"{score}{end}"]) for end in ("", "_low", "_high"))
    return mean, low, high
