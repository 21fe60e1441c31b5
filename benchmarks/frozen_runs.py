"""Whether two revisions of the project compute the same, bit for bit.

Each revision is laid out in a folder of its own, where every pipeline runs in the test
environment and the default run in a short form. Arrays, tables, settings and messages
are compared; times, versions and digests of the code are not.

Example, for what is not committed yet against the commit before:
`python benchmarks/frozen_runs.py HEAD .`
"""

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
import zarr
from PIL import Image
from safetensors import safe_open

PROJECT = Path(__file__).parents[1]
SHORT = (  # a default run of about a minute
    "data_generation.n_samples:2048,train.max_it:200,train.val_it:100,"
    "distillation.max_it:20,evaluation.num_prompts:4,evaluation.num_samples:2,"
    "evaluation.timing_repeats:1,evaluation.timing_warmups:1,"
    "evaluation.generator_images:64,evaluation.num_resamples:100"
)
RUNS = {
    "default": ["--env=test"],
    "inference": ["--env=test", "--pipeline=inference"],
    "sweep": ["--env=test", "--pipeline=sweep"],
    "ablation": ["--env=test", "--pipeline=ablation"],
    "baselines": ["--env=test", "--pipeline=baselines"],
    "portraits": ["--env=test", "--pipeline=portraits"],
    "export": ["--env=test", "--pipeline=export"],
    "short": [f"--params={SHORT}"],
}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(name)s %(levelname)s %(message)s"}},
    "handlers": {
        "file": {
            "class": "logging.FileHandler",
            "filename": "messages.log",
            "formatter": "plain",
        }
    },
    "loggers": {"clip2latent_kedro": {"level": "INFO", "handlers": ["file"]}},
}
VERSION = re.compile(r"\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d\.\d{3}Z")
TIMES = re.compile(r"\b\d+([.:]\d+)*\s?(s|min|seconds|minutes|\w+/s)\b")
KEYED = re.compile(r"/[0-9a-f]{16,}\b")  # results that stand in tables as well
UNEQUAL_BY_NATURE = re.compile(r"second|machine|version|code|digest|identity|key")


def lay_out(revision: str, folder: Path) -> None:
    """Put a revision into a folder; `.` is the working tree with what is new in it."""
    if revision == ".":
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.check_output(listed, cwd=PROJECT, text=True).split("\0")
        for name in filter(None, names):
            if (PROJECT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes((PROJECT / name).read_bytes())
        return
    archive = subprocess.check_output(["git", "archive", revision], cwd=PROJECT)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")


def run_all(folder: Path, names: list[str]) -> None:
    """Run pipelines one after another in a folder of `lay_out`."""
    (folder / "frozen_logging.yml").write_text(yaml.safe_dump(LOGGING))
    environment = {
        **os.environ,
        "KEDRO_LOGGING_CONFIG": str(folder / "frozen_logging.yml"),
        "PYTHONPATH": str(folder / "src"),
        "OMP_NUM_THREADS": "1",
    }
    for name in names:
        command = [sys.executable, "-m", "kedro", "run", *RUNS[name]]
        print(f"{folder.name}: {name}", file=sys.stderr, flush=True)
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, check=False
        )
        if done.returncode:
            sys.exit(f"{name} failed:\n{done.stderr.decode()[-2000:]}")


def read_content(folder: Path) -> dict[str, Any]:
    """Return all that is stored below a folder, by the place of each part."""
    found: dict[str, Any] = {}
    for path in sorted((folder / "data").rglob("*")):
        place = VERSION.sub("V", str(path.relative_to(folder)))
        if ".zarr/" in place or KEYED.search(place):
            continue
        if not (path.is_file() or path.suffix == ".zarr"):
            continue
        for name, value in read_parts(path):
            if isinstance(value, str):
                value = value.replace(str(folder), "")
            found[f"{place}: {name}" if name else place] = value
    messages = (folder / "messages.log").read_text().replace(str(folder), "")
    for line in TIMES.sub("TIME", VERSION.sub("V", messages)).splitlines():
        found[f"message: {line}"] = found.get(f"message: {line}", 0) + 1
    return found


def read_parts(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a file that should be equal, by name."""
    match path.suffix:
        case ".zarr":
            group = zarr.open_group(path, mode="r")
            yield from ((name, array[:]) for name, array in group.arrays())
            yield from flatten(dict(group.attrs))
        case ".npz" | ".npy":
            content = np.load(path)
            yield from content.items() if path.suffix == ".npz" else [("", content)]
        case ".safetensors":
            with safe_open(path, framework="np") as file:
                for name, text in (file.metadata() or {}).items():
                    is_json = text[:1] in ("{", "[")
                    yield from flatten(json.loads(text) if is_json else text, name)
                for name in file.keys():  # noqa: SIM118, not a dictionary
                    yield name, file.get_tensor(name)
        case ".png" if path.name not in ("scores.png", "figure.png"):  # times in them
            with Image.open(path) as image:
                yield "", np.array(image)
                yield from flatten(dict(image.info), "labels")
        case ".csv":
            table = pd.read_csv(path)
            yield from ((name, table[name].to_numpy()) for name in table)
        case ".json":
            yield from flatten(json.loads(path.read_text()))


def flatten(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested settings by dotted name."""
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            yield from flatten(value, f"{prefix}.{name}" if prefix else str(name))
    elif isinstance(tree, list):
        for number, value in enumerate(tree):
            yield from flatten(value, f"{prefix}.{number}")
    else:
        yield prefix, tree


def differences(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each part that is not the same."""
    for place in sorted({*before, *after}):
        if UNEQUAL_BY_NATURE.search(place):
            continue
        if place not in after or place not in before:
            yield f"only {'before' if place in before else 'after'}: {place}"
        elif not same(before[place], after[place]):
            yield f"differs: {place}"


def same(left: Any, right: Any) -> bool:
    """Whether two parts are equal, NaN where the other is NaN included."""
    left, right = np.asarray(left), np.asarray(right)
    if left.dtype.kind in "fc" and right.dtype.kind in "fc":
        return np.array_equal(left, right, equal_nan=True)
    if left.dtype == object or right.dtype == object:  # texts, None and NaN mixed
        return repr(left.tolist()) == repr(right.tolist())
    return np.array_equal(left, right)


def main() -> None:
    """Run both revisions and print what differs; exit 1 if anything does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revisions", nargs=2, help="before and after; . is the tree")
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=list(RUNS))
    options = parser.parse_args()
    contents = []
    with tempfile.TemporaryDirectory() as temporary:
        for side, revision in zip(("before", "after"), options.revisions, strict=True):
            folder = Path(temporary) / side
            folder.mkdir()
            lay_out(revision, folder)
            run_all(folder, options.runs)
            contents.append(read_content(folder))
    found = list(differences(*contents))
    print(*found, f"{len(contents[0])} parts, {len(found)} differ", sep="\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
