"""What the documentation tells readers to type, held against the project."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from kedro.framework.project import configure_project, pipelines

from clip2latent_kedro.cli.overrides import parse_overrides

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
USERS_OWN = ("evaluation.rows.", "sweep.grids.")  # whose keys anyone may name


def list_options(text):
    """Yield (name, value) of the options of every command in code."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    spans = re.findall(r"`([^`]+)`", prose)
    for command in [line for line in lines if "kedro" in line] + spans:
        if "--" not in command:
            continue
        for word in shlex.split(command.replace("\n", " "), comments=True):
            match = re.fullmatch(r"--(env|pipeline|params|config)=(.+)", word)
            if match and not re.search(r"\bNAME\b|\.\.\.", match[2]):
                yield match.groups()


def flatten(tree, prefix=""):
    for name, value in tree.items():
        yield f"{prefix}{name}"
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{name}.")


@pytest.fixture(scope="module")
def known():
    configure_project("clip2latent_kedro")
    files = sorted((ROOT / "conf/base").glob("parameters*.yml"))
    parameters = {
        name for path in files for name in flatten(yaml.safe_load(path.read_text()))
    }
    return {"pipeline": set(pipelines), "params": parameters}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_name_what_there_is(page, known):
    text = page.read_text()
    wrong = []
    for option, value in list_options(text):
        names = {value}
        if option == "params":
            names = set(flatten(parse_overrides(value))) - known["params"]
            names = {name for name in names if not name.startswith(USERS_OWN)}
        elif option == "pipeline":
            names -= known["pipeline"]
        elif option == "env":  # one that there is, or that the page tells how to make
            path = f"conf/{value}"
            names = set() if (ROOT / path).is_dir() or path in text else names
        elif (ROOT / value).is_file():
            names = set()
        wrong += names
    assert wrong == []


def test_links_of_the_readme_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / "README.md").read_text())
    local = [link for link in links if "://" not in link]
    assert local
    assert [link for link in local if not (ROOT / link).exists()] == []
