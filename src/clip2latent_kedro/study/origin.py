"""What a report rests on: models, versions, and the state of the code."""

import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version

from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.study.cells import Table, text_table

PACKAGES = ("clip2latent-kedro", "torch", "numpy", "kedro")


def describe_origin(models: Models, **own: str) -> dict[str, str]:
    """Return facts by name, for people.

    Args:
        models: What samples and scores.
        own: What else a report rests on, `_` for blanks.
    """
    held_out, judge = models.held_out, models.judge
    return {
        "generator": str(models.generator.identity),
        "encoder": str(models.encoder.identity),
        "held-out encoder": "none" if held_out is None else str(held_out.identity),
        "judge": "none" if judge is None else str(judge.identity),
        **{name.replace("_", " "): fact for name, fact in own.items()},
        "written": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "code": _describe_code(),
        "versions": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }


def origin_table(facts: Mapping[str, str]) -> Table:
    """Return the facts of `describe_origin` as a table."""
    return text_table("Models, code and seed", ["what", "which"], facts.items())


def _describe_code() -> str:
    """Return commit and state of the working tree; a phrase where git knows none."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    changes = _git("status", "--porcelain")
    if commit is None or changes is None:
        return "not in a git repository"
    num_changed = len(changes.splitlines())
    state = f"{num_changed} files changed since" if num_changed else "unchanged"
    return f"commit {commit}, {state}"


def _git(*arguments: str) -> str | None:
    try:
        found = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
