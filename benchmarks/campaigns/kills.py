"""Runs that are killed at random moments, and end with the bits of one that is not.

Of each kind one run is left alone; its results are what is expected. Then runs of the
same are killed by SIGKILL, the whole of them or one worker, at moments drawn over all
of the time that the first took, start-up and saving included, and gone on with. After
some kills in a row a run is left to its end, and what it stored is compared.
Example: `python benchmarks/campaigns/kills.py --num 50 --seed 0`.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import torch
from safetensors.torch import load_file

PROJECT = Path(__file__).parents[2]
LEFT_OUT = ("seconds", "training_seconds", "training_cpu_seconds")  # of the clock
IN_A_ROW = 5  # kills before a run is left to its end


@dataclass(frozen=True)
class Kind:
    """What is run and killed.

    Attributes:
        pipeline: Its name.
        parameters: Of the run, over those of the environment `test`.
        results: What is compared, below the folder of data.
        before: Pipelines whose results it reads, run once.
        kills_worker: Whether one of its workers is killed, not the whole of it.
    """

    pipeline: str
    parameters: dict[str, object]
    results: tuple[str, ...]
    before: tuple[str, ...] = ()
    kills_worker: bool = False


PAIRS = {"data_generation.n_samples": 6144, "data_generation.samples_per_shard": 256}
TRAINING = {"train.max_it": 600, "train.save_it": 20, "train.val_it": 100}
DISTILLATION = {"distillation.max_it": 150, "distillation.save_it": 5}
ROWS = "random_w,nearest_pair,clip2latent_fast,clip2latent_respaced,refinement_5"
WORKERS = {"workers": 2, "threads": 1}
STORE, CHECKPOINT = ("training_pairs.zarr",), ("prior_checkpoint.safetensors",)
KINDS = {
    "data_generation": Kind("data_generation", PAIRS, STORE),
    "training": Kind("training", TRAINING, CHECKPOINT, ("data_generation",)),
    "distillation": Kind(
        "distillation",
        DISTILLATION,
        ("student_checkpoint.safetensors",),
        ("data_generation", "training"),
    ),
    "evaluation": Kind(
        "evaluation",
        {"evaluation.only": ROWS, "evaluation.num_samples": 8},
        ("answers",),
        ("data_generation", "training", "distillation"),
    ),
    "local workers": Kind(
        "data_generation", {**PAIRS, **WORKERS}, STORE, kills_worker=True
    ),
    "local training workers": Kind(
        "training",
        {**TRAINING, **WORKERS},
        CHECKPOINT,
        ("data_generation",),
        kills_worker=True,
    ),
    "ray workers": Kind(
        "data_generation",
        {**PAIRS, **WORKERS, "engine": "ray"},
        STORE,
        kills_worker=True,
    ),
}
MARKS = ("spawn_main", "ray::_Worker")  # how the command line of a worker is told


@dataclass
class Count:
    """What came of the kills of a kind."""

    kills: int = 0
    ended: int = 0
    equal: int = 0
    faults: list[str] = field(default_factory=list)


def main() -> None:
    """Print a Markdown table, a row for each kind, and exit 1 if something differed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num", type=int, default=50, help="kills of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=15.0, help="of each kind")
    parser.add_argument("kinds", nargs="*", help=", ".join(KINDS))
    options = parser.parse_args()
    unknown = set(options.kinds) - KINDS.keys()
    if unknown:
        parser.error(f"kinds must be of {', '.join(KINDS)}, got {min(unknown)}")

    print("| kind | kills | runs to the end | equal in every bit | s of one run |")
    print("|---|---|---|---|---|", flush=True)
    faults = []
    for name in options.kinds or KINDS:
        with tempfile.TemporaryDirectory() as folder:
            project = copy_project(Path(folder))
            chance = random.Random(f"{options.seed} {name}")
            count, seconds = try_kind(
                project, KINDS[name], options.num, chance, 60 * options.minutes
            )
        row = (name, count.kills, count.ended, count.equal, f"{seconds:.1f}")
        print(f"| {' | '.join(map(str, row))} |", flush=True)
        faults += [f"{name}: {fault}" for fault in count.faults]
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)


def copy_project(folder: Path) -> Path:
    """Return a folder with a copy of the project, whose data are its own."""
    for name in ("conf", "src"):
        shutil.copytree(PROJECT / name, folder / name)
    shutil.copy(PROJECT / "pyproject.toml", folder)
    return folder


def try_kind(
    project: Path, kind: Kind, num: int, chance: random.Random, limit: float
) -> tuple[Count, float]:
    """Return what came of `num` kills, and the seconds of a run that is left alone."""
    if kind.before:
        finish(start(project, ",".join(kind.before), {}))
    data = project / "data" / "test"
    untouched = project / "untouched"
    if data.exists():
        shutil.copytree(data, untouched)
    began = time.perf_counter()
    finish(start(project, kind.pipeline, kind.parameters))
    seconds = time.perf_counter() - began
    expected = read_results(data, kind)
    count = Count()
    deadline = time.monotonic() + limit
    while count.kills < num and time.monotonic() < deadline:
        shutil.rmtree(data)
        if untouched.exists():
            shutil.copytree(untouched, data)
        try:
            for is_last in kills_in_a_row(num - count.kills):
                count.kills += interrupt(project, kind, chance.uniform(0, seconds))
                if is_last:
                    break
            if not kind.kills_worker:
                finish(start(project, kind.pipeline, kind.parameters))
        except RuntimeError as error:
            count.faults.append(str(error))
            continue
        count.ended += 1
        differing = compare(read_results(data, kind), expected)
        count.equal += not differing
        count.faults += differing
    return count, seconds


def kills_in_a_row(left: int) -> Iterator[bool]:
    """Yield whether each kill is the last before a run is left to its end."""
    for number in range(min(IN_A_ROW, left)):
        yield number == min(IN_A_ROW, left) - 1


def start(
    project: Path, pipelines: str, parameters: dict[str, object]
) -> subprocess.Popen[str]:
    """Start `kedro run` in a session of its own."""
    run = ["run", "--env=test", f"--pipelines={pipelines}"]
    settings = ",".join(f"{name}={as_yaml(x)}" for name, x in parameters.items())
    if settings:
        run.append(f"--params={settings}")
    return subprocess.Popen(
        [sys.executable, "-m", "kedro", *run],
        cwd=project,
        env={**os.environ, "KEDRO_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def as_yaml(value: object) -> str:
    """Return a parameter as it is written on the command line."""
    return f'"{value}"' if isinstance(value, str) and "," in value else str(value)


def finish(process: subprocess.Popen[str]) -> None:
    """Wait for a run; raise `RuntimeError` with its last lines if it failed."""
    output, _ = process.communicate()
    if process.returncode:
        lines = " / ".join(output.strip().splitlines()[-3:])
        msg = f"exit code {process.returncode}: {lines[-400:]}"
        raise RuntimeError(msg)


def interrupt(project: Path, kind: Kind, moment: float) -> int:
    """Start a run and kill it, or one of its workers, at a moment; return the kills.

    A run whose worker was killed is left to its end.
    """
    process = start(project, kind.pipeline, kind.parameters)
    if kind.kills_worker:
        time.sleep(moment)
        killed = kill_worker(process.pid)
        finish(process)
        return killed
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return 1
    finish(process)
    return 0


def kill_worker(pid: int) -> int:
    """Kill one of the workers of a process, if it has one by now."""
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(pid).children(recursive=True):
            line = " ".join(child.cmdline())
            if any(mark in line for mark in MARKS):
                child.kill()
                return 1
    return 0


def read_results(data: Path, kind: Kind) -> dict[str, object]:
    """Return what is compared, by the path of a file and the name of a part."""
    found: dict[str, object] = {}
    for result in kind.results:
        root = data / result
        files = [root] if root.is_file() else sorted(root.rglob("*"))
        for path in filter(Path.is_file, files):
            name = str(path.relative_to(data))
            if path.suffix == ".safetensors":
                found |= {f"{name} {k}": v for k, v in load_file(path).items()}
            elif path.suffix == ".npz":
                found |= {f"{name} {k}": v for k, v in read_npz(path).items()}
            else:
                found[name] = path.read_bytes()
    return found


def read_npz(path: Path) -> dict[str, object]:
    """Return the arrays of a stored row, and its record without times."""
    with np.load(path) as arrays:
        found: dict[str, object] = dict(arrays)
    record = json.loads(str(found.pop("record")))
    return {**found, "record": {k: v for k, v in record.items() if k not in LEFT_OUT}}


def compare(found: dict[str, object], expected: dict[str, object]) -> list[str]:
    """Return the names of what differs in any bit."""
    names = sorted(found.keys() ^ expected.keys())
    for name in found.keys() & expected.keys():
        one, other = found[name], expected[name]
        if isinstance(one, torch.Tensor):
            one, other = one.numpy(), other.numpy()
        if isinstance(one, np.ndarray):
            is_equal = one.dtype == other.dtype and one.tobytes() == other.tobytes()
        else:
            is_equal = one == other
        names += [] if is_equal else [name]
    return [f"{name} differs" for name in names]


if __name__ == "__main__":
    main()
