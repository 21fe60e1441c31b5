"""What a report rests on: models, protocol, versions, machine, state of the code."""

import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version

from clip2latent_kedro.runtime import describe_machine
from clip2latent_kedro.study.ablation.config import AblationConfig
from clip2latent_kedro.study.ablation.plan import Ablation

PACKAGES = ("clip2latent-kedro", "torch", "numpy", "kedro")


def describe_origin(
    bench: Ablation,
    ablation: AblationConfig,
    *,
    seed: int,
    num_variants: int,
    seconds: float,
    training_seconds: float,
) -> dict[str, str]:
    """Return facts by name, for people.

    Args:
        bench: Of `prepare`.
        ablation: `params:ablation`.
        seed: `params:seed`.
        num_variants: Different ones.
        seconds: Of drawing and scoring them, whenever that was.
        training_seconds: Of training for them.
    """
    models = bench.models
    held_out, judge = models.held_out, models.judge
    last = seed + ablation.num_seeds - 1
    return {
        "generator": str(models.generator.identity),
        "encoder": str(models.encoder.identity),
        "held-out encoder": "none" if held_out is None else str(held_out.identity),
        "judge": "none" if judge is None else str(judge.identity),
        "pairs to train on": f"{len(bench.pairs):,}",
        "queries": f"{ablation.num_prompts} prompts, or as many pictures; "
        f"{ablation.num_samples} images of each",
        "seeds": f"{seed} to {last}; of the training too, where a study trains",
        "intervals": f"{ablation.confidence:.0%}, Student's t over the seeds; they "
        "do not cover other prompts or other pairs",
        "different variants": str(num_variants),
        "time": f"{seconds:.0f} s of drawing and scoring, {training_seconds:.0f} s of "
        "training, in whichever run that was",
        "written": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "code": describe_code(),
        "versions": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        **{name: str(value) for name, value in describe_machine().items()},
    }


def describe_code() -> str:
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


def flatten(groups: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """Return parameters by dotted name."""
    return {
        f"{group}.{name}": value
        for group, settings in groups.items()
        for name, value in settings.items()
    }
