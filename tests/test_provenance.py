"""What a stored result depends on: settings, and code that is read as such."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from clip2latent_kedro import provenance
from clip2latent_kedro.provenance import (
    describe_provenance,
    digest_code,
    extend_provenance,
    list_differences,
)

TRAINED = {"seed": 0, "train": {"lr": 0.1, "bs": 8}, "gone": 1}


@pytest.mark.parametrize(
    ("stored", "asked", "free", "expected"),
    [
        (TRAINED, TRAINED, (), []),
        (
            TRAINED,
            {"seed": 0, "train": {"lr": 0.2, "bs": 8}, "new": [1]},
            (),
            [
                "gone (stored 1, asked None)",
                "new (stored None, asked [1])",
                "train.lr (stored 0.1, asked 0.2)",
            ],
        ),
        (TRAINED, {"seed": 0, "train": {"lr": 1}}, ("train", "gone"), []),
        (
            TRAINED,
            {**TRAINED, "gone": 2},
            ("go",),
            ["gone (stored 1, asked 2)"],
        ),
        (
            {"code": "a" * 64},
            {"code": "b" * 64},
            (),
            ["code (stored 'aaaaaaaaaaaa...', asked 'bbbbbbbbbbbb...')"],
        ),
    ],
)
def test_settings_that_differ_are_named_unless_they_are_free(
    stored, asked, free, expected
):
    assert list_differences(stored, asked, free=set(free)) == expected


PACKAGE = {
    "__init__.py": "",
    "start.py": '''\
"""Starts."""

from keyed.formula import double
from . import kinds


def load(path, options):
    from keyed import late

    return Model()


class Model:
    """Something."""
''',
    "formula.py": '''\
"""Doubles."""


def double(x):
    """Return twice as much."""
    # twice
    return 2 * x
''',
    "kinds.py": 'KINDS = {"a": "keyed.named:load"}\n',
    "late.py": "LATE = 1\n",
    "named.py": "from .formula import double\n\nNAMED = 1\n",
    "apart.py": "APART = 1\n",
}


@pytest.fixture
def digest(tmp_path, monkeypatch):
    """Digest the code of `start` in a copy of `PACKAGE` with one text replaced."""
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "keyed"

    def digest(file=None, old="", new=""):
        folder.mkdir(exist_ok=True)
        for name, text in PACKAGE.items():
            assert name != file or old in text
            (folder / name).write_text(text.replace(old, new) if name == file else text)
        for cached in (digest_code, provenance._read_module, provenance._find_source):
            cached.cache_clear()  # of a process, in which code stays as it is
        return digest_code("keyed.start")

    return digest


SAME, MOVED = True, False


@pytest.mark.parametrize(
    ("file", "old", "new", "is_same"),
    [
        ("formula.py", "Return twice as much.", "Return 2 x.", SAME),
        ("formula.py", '    """Return twice as much."""\n', "", SAME),
        ("formula.py", "# twice", "# two times", SAME),
        ("formula.py", "2 * x", "(2*x)", SAME),
        ("start.py", '"""Starts."""', "# nothing", SAME),
        ("apart.py", "1", "2", SAME),
        ("formula.py", "2 * x", "3 * x", MOVED),
        ("formula.py", "2 * x", "2.0 * x", MOVED),
        ("start.py", "return Model()", "return None", MOVED),
        ("late.py", "1", "2", MOVED),
        ("named.py", "1", "2", MOVED),
        ("kinds.py", '"a"', '"b"', MOVED),
    ],
)
def test_code_that_is_imported_moves_a_digest_and_words_do_not(
    digest, file, old, new, is_same
):
    assert (digest(file, old, new) == digest()) == is_same


class Holder:
    """What holds models, in attributes and containers, and itself."""

    __module__ = "somebodys.method"

    def __init__(self, *parts):
        self.itself, self.steps, self.stages = self, [1], {"last": [*parts]}
        self.stages["all"] = self.stages


def of_module(name, base=object):
    return type("Part", (base,), {"__module__": name, "identity": None})()


def test_a_model_brings_the_modules_of_all_in_it_and_of_its_loader(
    tmp_path, monkeypatch
):
    """A user's own package: its class, what wraps it, and its entry point."""
    installed = tmp_path / "keyed-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Name: keyed\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(
        "[clip2latent_kedro.generators]\nmine = keyed.loading:load\n"
        "[another_program]\nelse = keyed.other:load\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    network = f"{provenance.__package__}.prior.mlp"
    inside = torch.nn.Sequential(of_module(network, torch.nn.Module))
    inside.append(torch.nn.Linear(1, 1))
    found = provenance._modules_of(Holder(Holder(of_module("keyed.models")), inside))
    assert found == {"somebodys.method", "keyed.models", "keyed.loading", network}


def test_equal_code_versions_and_device_are_equal_making():
    making = describe_provenance("cuda:1", "clip2latent_kedro.samplers", None)
    assert making == describe_provenance("cuda:0", "clip2latent_kedro.samplers")
    assert making["device"] == "cuda"
    assert (
        making["code"] != describe_provenance("cuda", "clip2latent_kedro.pairs")["code"]
    )
    assert set(making) == {"code", "device", "numpy", "torch"}


def test_a_training_goes_on_under_other_code_and_says_so(caplog):
    first, second = {"code": "1", "device": "cpu"}, {"code": "2", "device": "cpu"}
    assert extend_provenance([], first, what="prior") == [first]
    assert extend_provenance([first], first, what="prior") == [first]
    assert not caplog.text
    assert extend_provenance([first], second, what="prior") == [first, second]
    assert "stored prior was trained otherwise: code (stored '1', asked" in caplog.text


COMPUTED_BY = {
    "pairs": ["pairs.generation", "generators.adapters", "encoders.compact_clip"],
    "rows": ["study.samples", "methods.clip2latent"],
    "rows without a prior": ["study.samples", "methods.random_w", "methods.references"],
    "generator images": ["study.distances"],
    "seconds without a prior": ["study.timing", "methods.random_w"],
    "trials": ["study.engine", "methods.clip2latent"],
    "variants": ["study.ablation.plan"],
    "pictures": ["inference"],
    "trainings": ["prior.training"],
}


@pytest.mark.parametrize(
    ("file", "moved"),
    [
        ("samplers/ddim.py", {"rows", "trials", "variants", "pictures"}),
        ("prior/diffusion.py", {"rows", "trials", "variants", "pictures", "trainings"}),
        ("generators/stylegan2_layers.py", {"pairs"}),
        ("study/scoring.py", {"trials", "variants"}),
        ("cli/overrides.py", set()),
        ("progress.py", set()),
    ],
)
def test_a_formula_moves_the_results_that_it_decides(file, moved, tmp_path):
    """On a copy of the package, by what it says of itself."""
    source = Path(provenance.__file__).parent
    ignored = shutil.ignore_patterns("weights", "__pycache__")
    shutil.copytree(source, tmp_path / source.name, ignore=ignored)
    program = f"""
import json
import sys
from clip2latent_kedro.provenance import digest_code
print(json.dumps({{
    name: digest_code(*("clip2latent_kedro." + root for root in roots))
    for name, roots in {COMPUTED_BY!r}.items()
}}))
assert "torch" not in sys.modules  # to name a result imports nothing
"""

    def digest(added=""):
        path = tmp_path / source.name / file
        path.write_text(f"{path.read_text()}\n{added}\n")
        found = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            check=True,
        )
        return json.loads(found.stdout)

    before = digest()
    assert digest("# A comment.") == before
    after = digest("FACTOR = 2")
    assert {name for name in before if before[name] != after[name]} == set(moved)
