"""How long commands take from the key to their end, beside a bare `import torch`.

    python benchmarks/startup.py [--repeats 5] [--bytecode]

Commands are measured by turns, each as a process of its own, after a first round that
warms the disk cache. The table has medians: seconds on the clock, and seconds of
processors, which say more where other programs run too. It needs a trained prior
(`kedro run`), and writes nothing into the project. Where Python stores no bytecode
(PYTHONDONTWRITEBYTECODE), every import compiles; `--bytecode` stores it for the time of
the measurement.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROMPTS = (
    "a man",
    "a woman",
    "an old man smiling",
    "a young woman with red hair",
    "a man with a beard at the beach",
    "a pirate at sea",
)
FIRST_PICTURES = """
from clip2latent_kedro import Clip2StyleGAN
Clip2StyleGAN()(["a man, smiling", "an old woman"], 4)
"""


def list_commands(seed):
    """Return each command by what it does; a seed that is new draws anew."""
    python, kedro = [sys.executable], [sys.executable, "-m", "kedro"]
    prompts = ",".join(f'"{prompt}"' for prompt in PROMPTS)
    params = [f"--params=inference.prompts:[{prompts}]", f"--params=seed:{seed}"]
    run = [*kedro, "run", "--pipeline=inference", *params]
    return {
        "python -c 'import torch'": [*python, "-c", "import torch"],
        "kedro registry list": [*kedro, "registry", "list"],
        "kedro run --help": [*kedro, "run", "--help"],
        "kedro draw, 2 prompts": [*kedro, "draw", *PROMPTS[:2], f"--seed={seed}"],
        "kedro run --pipeline=inference, 6 prompts": run,
        "Clip2StyleGAN() to first pictures": [*python, "-c", FIRST_PICTURES],
    }


def make_project(folder):
    """Fill a folder with the project as it is, so that its data stay as they are."""
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "conf", folder / "conf")
    package = Path("src/clip2latent_kedro")
    (folder / package.parent).mkdir()
    (folder / package).symlink_to(ROOT / package)
    (folder / "data").mkdir()
    for path in (ROOT / "data").iterdir():
        if path.name not in ("inference", "drawn"):
            (folder / "data" / path.name).symlink_to(path)


def measure(command, folder, environment):
    """Return seconds on the clock and of processors until a command has ended."""
    before, start = os.times(), time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True
    )
    seconds, after = time.perf_counter() - start, os.times()
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    used = after.children_user + after.children_system
    return seconds, used - before.children_user - before.children_system


def main():
    """Measure all commands by turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--bytecode", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "project")
        folder.mkdir()
        make_project(folder)
        environment = {**os.environ, "KEDRO_DISABLE_TELEMETRY": "1"}
        if arguments.bytecode:
            environment.pop("PYTHONDONTWRITEBYTECODE", None)
            environment["PYTHONPYCACHEPREFIX"] = str(Path(place, "bytecode"))
        measured = {name: [] for name in list_commands(0)}
        for turn in range(arguments.repeats + 1):
            for name, command in list_commands(turn).items():
                found = measure(command, folder, environment)
                if turn:  # the first one warms up
                    measured[name].append(found)
    medians = {
        name: [statistics.median(column) for column in zip(*rows, strict=True)]
        for name, rows in measured.items()
    }
    clock, cpu = next(iter(medians.values()))
    print("| command | seconds | ratio | CPU seconds | ratio |\n|---|---|---|---|---|")
    for name, (seconds, used) in medians.items():
        ratios = f"{seconds / clock:.2f} | {used:.2f} | {used / cpu:.2f}"
        print(f"| `{name}` | {seconds:.2f} | {ratios} |")


if __name__ == "__main__":
    main()
