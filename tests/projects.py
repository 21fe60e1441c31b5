"""The project as a user has it: its configuration, its commands, what they leave."""

import sys
from pathlib import Path

from kedro.config import OmegaConfigLoader
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from processes import run

from clip2latent_kedro.settings import CONFIG_LOADER_ARGS

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"


def kedro(*arguments, **options):
    """Run a command of Kedro in a process of its own."""
    return run([sys.executable, "-m", "kedro", *arguments], **options)


def run_pipelines(env, *pipelines, **parameters):
    """Run pipelines of the project in the working directory, in this process."""
    bootstrap_project(Path.cwd())
    with KedroSession.create(Path.cwd(), env=env, runtime_params=parameters) as session:
        return session.run(pipeline_names=list(pipelines))


def latest(folder, name):
    """Return the path of the last version of a file below a folder of data."""
    path = Path(folder) / name
    return max(path.iterdir()) / path.name


def refusal(result):
    """Return the sentence that a command of Click ended with, or fail."""
    assert result.exit_code == 2, result.exception
    assert "Traceback" not in result.output
    *_, last = result.stderr.splitlines()
    assert last.startswith("Error: ")
    return last


def open_config(env="base", **overrides):
    return OmegaConfigLoader(
        str(CONF), env=env, runtime_params=overrides, **CONFIG_LOADER_ARGS
    )


def load_parameters(env="base", **overrides):
    return open_config(env, **overrides)["parameters"]


def walk(tree, prefix=""):
    """Yield the dotted path and the value of every parameter, groups included."""
    for name, value in tree.items():
        yield f"{prefix}{name}", value
        if isinstance(value, dict):
            yield from walk(value, f"{prefix}{name}.")


def override(tree, path, value):
    """Return a tree with the value at a path replaced or added; names may hold dots."""
    for name, group in tree.items():
        if path == name:
            break
        if path.startswith(f"{name}.") and isinstance(group, dict):
            rest = path.removeprefix(f"{name}.")
            return {**tree, name: override(group, rest, value)}
    return {**tree, path: value}
