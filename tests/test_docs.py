"""What the documentation tells readers to type, held against the project."""

import re
import shlex
from itertools import product

import pytest
import yaml
from kedro.framework.project import configure_project, pipelines
from projects import CONF, ROOT, walk

from clip2latent_kedro.cli.overrides import parse_overrides

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
USERS_OWN = (
    "evaluation.rows.",
    "sweep.grids.",
    "coverage.zero_shot.",
    "engines.data_generation.",
    "engines.training.",
    "engines.studies.",
)  # whose keys anyone may name


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


def list_parameters():
    """Return every path of the parameters, and whether a group stands there."""
    trees = [yaml.safe_load(p.read_text()) for p in CONF.glob("base/parameters*.yml")]
    found = [item for tree in trees for item in walk(tree)]
    return {path: isinstance(value, dict) for path, value in found}


@pytest.fixture(scope="module")
def known():
    configure_project("clip2latent_kedro")
    return {"pipeline": set(pipelines), "params": set(list_parameters())}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_name_what_there_is(page, known):
    text = page.read_text()
    wrong = []
    for option, value in list_options(text):
        names = {value}
        if option == "params":
            names = {name for name, _ in walk(parse_overrides(value))} - known["params"]
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


def list_documented():
    """Return what stands in backticks, `a.{b,c}` as a.b and a.c."""
    for text in re.findall(r"`([^`]+)`", (ROOT / "docs/parameters.md").read_text()):
        parts = re.split(r"\{([^}]*)\}", text)
        yield from map("".join, product(*(part.split(",") for part in parts)))


def test_every_parameter_is_documented():
    documented = set(list_documented())
    everywhere = tuple(name[:-1] for name in documented if name.endswith(".*"))
    by_name = {name.removesuffix(".") for name in USERS_OWN}
    named = {
        path
        for path, is_group in list_parameters().items()
        if not path.startswith(USERS_OWN) and (not is_group or path in by_name)
    }
    assert by_name <= named
    assert {
        path for path in named - documented if not path.startswith(everywhere)
    } == set()
