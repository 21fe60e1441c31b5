r"""What a GPU does with the paper's models: one command, under 8 minutes.

    python benchmarks/gpu_check.py                        # needs torch and NumPy alone
    python benchmarks/gpu_check.py --device cpu --size small    # a try, under a minute
    python benchmarks/gpu_check.py --sections synthesis cpu --out results

Sections, each a process of its own that is ended when its time is over and that may
fail without the others (a row that fails says why and the next one goes on):

    synthesis   pairs a second by precision, layout, batch and compilation; their share
                of the card's peak; cosines of the embeddings with those of float32
    training    steps a second of the paper's network, plain, compiled, by CUDA graphs
    sampling    seconds for 16 latents in 1, 4, 10 and 1000 steps
    run_time    seconds for a text: clip2latent, direct optimisation, a pass of LAFITE
    cpu         the largest differences from what the CPU computes
    workers     pairs a second of several processes that share the card

Weights are random, of the architectures of the paper (see random_models.py), since no
time depends on them. Half precision must keep the cosine of what trained weights give
as well, which these weights cannot show. Results go to gpu_check.md and gpu_check.json
in --out (the environment's OUT, or this folder), anew after each section, and on the
screen.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
from pathlib import Path
from typing import Any

import bare
import torch
from gpu_answers import cpu, run_time, sampling
from gpu_sizes import SIZES, Check
from gpu_speed import synthesis, training, workers

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.runtime import describe_machine, pick_device

SECTIONS = {
    "synthesis": synthesis,
    "training": training,
    "sampling": sampling,
    "run_time": run_time,
    "cpu": cpu,
    "workers": workers,
}
SPARE = 5.0  # seconds of a section in which no row is begun any more


def main() -> None:
    """Run the sections, and write what they found after each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--size", default="paper", choices=SIZES)
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=[*SECTIONS])
    parser.add_argument("--out", default=os.environ.get("OUT", "."))
    options = parser.parse_args()
    try:
        device = pick_device(options.device)
    except InputError as error:
        parser.error(str(error))

    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {
        "machine": {**describe_machine(), "cuda": torch.version.cuda},
        "lent": bare.LENT,
        "size": options.size,
        "sections": {},
    }
    began = time.monotonic()
    for name in options.sections:
        report["sections"][name] = run_section(name, device, options.size)
        report["seconds"] = round(time.monotonic() - began, 1)
        (folder / "gpu_check.json").write_text(json.dumps(report, indent=1))
        (folder / "gpu_check.md").write_text(as_markdown(report))
        print(as_markdown({**report, "sections": {name: report["sections"][name]}}))
        sys.stdout.flush()


def run_section(name: str, device: str, size: str) -> list[dict[str, Any]]:
    """Return the rows of a section, of a process that ends when its time is over."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(theirs, name, device, size))
    process.start()
    theirs.close()
    until = time.monotonic() + SIZES[size].limits[name]
    rows: list[dict[str, Any]] = []
    try:
        while ours.poll(max(0.0, until - time.monotonic())):
            rows.append(ours.recv())
        rows.append({"row": name, "failed": "ended: the section's time is over"})
    except EOFError:
        process.join()
        if process.exitcode:
            rows.append({"row": name, "failed": f"exit code {process.exitcode}"})
    process.kill()
    process.join()
    return rows


def _measure(rows: Any, name: str, device: str, size: str) -> None:
    sizes = SIZES[size]
    until = time.monotonic() + sizes.limits[name] - SPARE
    try:
        for row in SECTIONS[name](Check(device, sizes, until)):
            rows.send(row)
    except Exception as error:  # before its first row, such as by want of memory
        reason = (str(error) or type(error).__name__).splitlines()[0]
        rows.send({"row": name, "failed": reason[:200]})


def as_markdown(report: dict[str, Any]) -> str:
    """Return tables, one of each section."""
    machine = ", ".join(f"{k} {v}" for k, v in report["machine"].items() if v)
    lines = [f"{machine}; sizes: {report['size']}; {report.get('seconds', 0)} s", ""]
    for name, rows in report["sections"].items():
        columns = list(dict.fromkeys(column for row in rows for column in row))
        lines += [f"### {name}", "", f"| {' | '.join(columns)} |"]
        lines += ["|" + "---|" * len(columns)]
        for row in rows:
            cells = [_cell(row.get(column)) for column in columns]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
