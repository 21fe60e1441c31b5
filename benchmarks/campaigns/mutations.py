"""Changed files of every kind that is read, and changed parameters, in great number.

The suite tries a few of each; this tries as many as are asked for, by the same tests:
each must be read, or refused with an error of the project's own, and none may run code.
Example: `python benchmarks/campaigns/mutations.py --num 10000`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from math import ceil
from pathlib import Path
from xml.etree import ElementTree

PROJECT = Path(__file__).parents[2]
TESTS = ("tests/test_changed_files.py", "tests/test_parameter_mutations.py")
NO_CAMPAIGN = "no_tensor_holds or that_cannot_work"  # a few values, always the same


def main() -> None:
    """Print a Markdown table, a row for each kind of file, and exit as the tests do."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num", type=int, default=10_000, help="inputs, all together")
    options = parser.parse_args()

    command = [sys.executable, "-m", "pytest", "-q", "--override-ini=addopts="]
    command += ["--strict-markers", "--import-mode=importlib", *TESTS]
    command += ["-k", f"not ({NO_CAMPAIGN})"]
    listed = subprocess.run(
        [*command, "--collect-only"], cwd=PROJECT, capture_output=True, text=True
    ).stdout
    num_tests = sum("::" in line for line in listed.splitlines())
    each = ceil(options.num / num_tests)
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.xml"
        done = subprocess.run(
            [*command, "-n", "2", f"--junitxml={results}"],
            cwd=PROJECT,
            env={
                **os.environ,
                "CLIP2LATENT_MUTATIONS": str(each),
                "OMP_NUM_THREADS": "1",
            },
            capture_output=True,
            text=True,
        )
        cases = ElementTree.parse(results).iter("testcase")
        print("| what is changed | inputs | foreign exceptions | s |")
        print("|---|---|---|---|")
        for case in cases:
            failed = case.find("failure") is not None or case.find("error") is not None
            name = case.get("name", "").removeprefix("test_").replace("_", " ")
            seconds = float(case.get("time", 0))
            print(f"| {name} | {each} | {int(failed)} | {seconds:.0f} |")
    print("\n".join(done.stdout.splitlines()[-3:]))
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
