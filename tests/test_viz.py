"""The flowchart that `kedro viz` shows."""

import contextlib
import json
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from kedro.framework.cli.cli import KedroCLI
from processes import running

METHOD = ["data_generation", "training", "distillation", "evaluation"]
LAYERS = ["models", "pairs", "prior", "evaluation", "reporting"]


def fetch(address):
    with urllib.request.urlopen(address, timeout=10) as answer:
        return answer.read().decode()


def find_port():
    """Return a free port; kedro viz takes none above 49151."""
    for port in range(20_000 + os.getpid() % 10_000, 49_000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    pytest.fail("There is no free port from 20000 to 49000.")


@pytest.fixture
def viz(project_path):
    """Serve the project; return the address."""
    port = find_port()
    log = Path("viz.log")
    command = [sys.executable, "-m", "kedro", "viz", "--no-browser", "--port", port]
    output = log.open("w")
    with output, running(map(str, command), stdout=output, stderr=output) as process:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            try:
                fetch(f"{address}/api/main")
                break
            except urllib.error.URLError:
                time.sleep(0.2)
        else:
            pytest.fail(log.read_text(encoding="utf-8"))
        yield address


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--port=4999",),
        ("-p", "training", "--env", "test"),
    ],
)
@pytest.mark.parametrize("command", [("viz",), ("viz", "run")])
def test_options_may_stand_without_the_name_of_the_command(
    command, options, project_path
):
    """A file that is not there is what `run` looks for before it does anything."""
    command_line = [*command, *options, "--load-file", "none.json"]
    result = CliRunner().invoke(KedroCLI(project_path), command_line)
    assert "'none.json' does not exist" in str(result.exception), result.output


def test_help_is_that_of_the_group(project_path):
    result = CliRunner().invoke(KedroCLI(project_path), ["viz", "--help"])
    assert result.exit_code == 0
    assert all(command in result.output for command in ("build", "deploy", "run"))


def test_the_flowchart_reads_like_the_method(viz):
    assert "Kedro-Viz" in fetch(viz)
    chart = json.loads(fetch(f"{viz}/api/main"))
    assert chart["selected_pipeline"] == "__default__"
    names = {node["id"]: node["name"] for node in chart["nodes"]}

    boxes = chart["modular_pipelines"]
    assert set(boxes) == {"__root__", *METHOD}
    for before, after in pairwise(METHOD):
        assert set(boxes[before]["outputs"]) & set(boxes[after]["inputs"])
    tasks = [node for node in chart["nodes"] if node["type"] == "task"]
    assert all(set(task["modular_pipelines"] or []) & set(METHOD) for task in tasks)

    used = {node.get("layer") for node in chart["nodes"] if node["type"] == "data"}
    assert [layer for layer in chart["layers"] if layer in used] == LAYERS
    assert used == set(LAYERS)  # no data without a layer

    joined = {edge[end] for edge in chart["edges"] for end in ("source", "target")}
    assert not {names[i] for i in set(names) - joined}

    (prompts,) = [i for i, name in names.items() if name == "prompts"]
    node = json.loads(fetch(f"{viz}/api/nodes/{prompts}"))
    assert node["preview_type"] == "TablePreview"
    assert node["preview"]["columns"][0] == "prompt"
