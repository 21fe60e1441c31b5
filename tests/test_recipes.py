"""Recipes for clusters: scripts that bash can read, commands that the project knows."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from projects import load_parameters, walk

from clip2latent_kedro.cli.overrides import parse_overrides
from clip2latent_kedro.pipeline_registry import CREATED_BY

RECIPES = Path(__file__).parents[1] / "recipes"
SCRIPTS = sorted((RECIPES / "slurm").glob("*.sbatch"))
JOB = yaml.safe_load((RECIPES / "kuberay" / "rayjob.yaml").read_text())


def commands(text):
    """Yield the options of each `run` in a text, by name."""
    for command in text.replace("\\\n", " ").splitlines():
        words = command.split(" # ")[0].split(" run ", 1)
        if len(words) == 2 and "--pipeline" in words[1] and command[0] != "#":
            options = (w for w in words[1].split() if w.startswith("--"))
            yield dict(
                word.strip('"').removeprefix("--").split("=", 1) for word in options
            )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_scripts_are_read_and_ask_for_what_there_is(script):
    assert subprocess.run([shutil.which("bash"), "-n", script]).returncode == 0
    (options,) = commands(script.read_text())
    assert options["pipeline"] in CREATED_BY
    known = {name for name, _ in walk(load_parameters())}
    asked = parse_overrides(options.get("params", "").strip('"'))
    assert {name for name, _ in walk(asked)} <= known


def test_the_job_of_kubernetes_is_of_whole_pods():
    (options,) = commands(
        f"kedro {JOB['spec']['entrypoint']}".replace("kedro kedro", "kedro")
    )
    assert options["pipeline"] in CREATED_BY
    cluster = JOB["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    claims = yaml.safe_load_all((RECIPES / "kuberay" / "data.yaml").read_text())
    names = {claim["metadata"]["name"] for claim in claims}
    for group in groups:
        assert isinstance(group["rayStartParams"], dict)
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
        claimed = {v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"]}
        assert claimed == names
        resources = container["resources"]
        assert resources["requests"] == resources["limits"]  # as Ray advises
    (workers,) = cluster["workerGroupSpecs"]
    assert workers["minReplicas"] <= workers["replicas"] <= workers["maxReplicas"]
