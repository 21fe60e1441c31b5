import re
from itertools import product
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
SETTINGS_BY_NAME = ("evaluation.rows", "sweep.grids")  # whose keys are the user's own


def list_parameters(tree, prefix=""):
    for name, value in tree.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict) and path not in SETTINGS_BY_NAME:
            yield from list_parameters(value, f"{path}.")
        else:
            yield path


def list_documented():
    """Return what stands in backticks, `a.{b,c}` as a.b and a.c."""
    for text in re.findall(r"`([^`]+)`", (ROOT / "docs/parameters.md").read_text()):
        parts = re.split(r"\{([^}]*)\}", text)
        yield from map("".join, product(*(part.split(",") for part in parts)))


def test_every_parameter_is_documented():
    documented = set(list_documented())
    everywhere = tuple(name[:-1] for name in documented if name.endswith(".*"))
    missing = [
        parameter
        for path in sorted((ROOT / "conf/base").glob("parameters*.yml"))
        for parameter in list_parameters(yaml.safe_load(path.read_text()))
        if parameter not in documented and not parameter.startswith(everywhere)
    ]
    assert missing == []
