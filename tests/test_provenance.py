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


def test_each_setting_that_differs_is_named_with_both_values():
    stored = {"seed": 0, "train": {"lr": 0.1, "bs": 8}, "gone": 1}
    asked = {"seed": 0, "train": {"lr": 0.2, "bs": 8}, "new": [1]}
    assert list_differences(stored, asked) == [
        "gone (stored 1, asked None)",
        "new (stored None, asked [1])",
        "train.lr (stored 0.1, asked 0.2)",
    ]


def test_free_settings_and_all_below_them_may_differ():
    stored = {"versions": {"torch": "1", "zarr": "2"}, "train": {"save_it": 1}}
    asked = {"versions": {"torch": "3"}, "train": {"save_it": 2}}
    assert list_differences(stored, asked, free={"versions", "train.save_it"}) == []
    assert list_differences({"seeds": 1}, {"seeds": 2}, free={"seed"})


def test_equal_settings_have_no_difference():
    assert list_differences({"a": {"b": [1, 2]}}, {"a": {"b": [1, 2]}}) == []


def test_a_digest_is_shown_by_its_start():
    (phrase,) = list_differences({"code": "a" * 64}, {"code": "b" * 64})
    assert phrase == "code (stored 'aaaaaaaaaaaa...', asked 'bbbbbbbbbbbb...')"


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


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("formula.py", "Return twice as much.", "Return 2 x."),
        ("formula.py", '    """Return twice as much."""\n', ""),
        ("formula.py", "# twice", "# two times"),
        ("formula.py", "2 * x", "(2*x)"),
        ("start.py", '"""Starts."""', "# nothing"),
        ("apart.py", "1", "2"),
    ],
)
def test_words_layout_and_other_modules_keep_a_digest(digest, file, old, new):
    assert digest(file, old, new) == digest()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("formula.py", "2 * x", "3 * x"),
        ("formula.py", "2 * x", "2.0 * x"),
        ("start.py", "return Model()", "return None"),
        ("late.py", "1", "2"),
        ("named.py", "1", "2"),
        ("kinds.py", '"a"', '"b"'),
    ],
)
def test_code_that_is_imported_somewhere_moves_a_digest(digest, file, old, new):
    assert digest(file, old, new) != digest()


def test_a_model_brings_its_own_modules_and_those_of_its_loader(tmp_path, monkeypatch):
    """A user's own package: its class, what wraps it, and its entry point."""

    class Model:
        __module__ = "keyed.models"
        identity = None

    class Wrapper:
        __module__ = "somewhere"
        identity = None

        def __init__(self, model):
            self.model = model

    installed = tmp_path / "keyed-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Name: keyed\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(
        "[clip2latent_kedro.generators]\nmine = keyed.loading:load\n"
        "[another_program]\nelse = keyed.other:load\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    expected = {"somewhere", "keyed.models", "keyed.loading"}
    assert provenance._modules_of(Wrapper(Wrapper(Model()))) == expected


def test_what_holds_a_model_brings_the_modules_of_all_in_it():
    """Of a prior the network, which it knows by an interface alone; once each."""

    class Network(torch.nn.Module):
        __module__ = f"{provenance.__package__}.prior.mlp"

    class Prior(torch.nn.Module):
        __module__ = f"{provenance.__package__}.prior.diffusion"

        def __init__(self):
            super().__init__()
            self.networks = torch.nn.Sequential(Network())
            self.linear = torch.nn.Linear(1, 1)

    class Method:
        __module__ = "somebodys.method"

        def __init__(self):
            self.prior, self.itself, self.steps = Prior(), self, [1]
            self.stages = {"last": [Stage()]}
            self.stages["all"] = self.stages

    class Stage:
        __module__ = "somebodys.stage"

    assert provenance._modules_of(Method()) >= {
        "somebodys.method",
        "somebodys.stage",
        Prior.__module__,
        Network.__module__,
    }
    assert not any(
        name.startswith(("torch", "builtins"))
        for name in provenance._modules_of(Method())
    )


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
