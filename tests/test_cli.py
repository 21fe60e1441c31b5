import itertools
import sys
import types
from pathlib import Path

import click
import pandas as pd
import processes
import pytest
import yaml
from click.testing import CliRunner
from kedro.framework.project import configure_project
from kedro.pipeline import Node, Pipeline

from clip2latent_kedro.cli import run
from clip2latent_kedro.cli.overrides import merge_overrides, parse_overrides
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.pairs import DataConfig

ROOT = Path(__file__).parents[1]
CATALOG = {
    "table": {"type": "pandas.CSVDataset", "filepath": "${globals:data_root}/t.csv"},
    "absent": {"type": "pandas.CSVDataset", "filepath": "data/no.csv"},
}
KEPT = {"type": "pandas.CSVDataset", "filepath": "data/k.csv", "versioned": True}
CATALOG |= {"kept": KEPT, "kept_if_made": KEPT}
CATALOG["unused"] = {**KEPT, "filepath": "data/u.csv"}


# The smallest pipelines that meet what can happen in a run.
def make_table(data: DataConfig, seed: int) -> pd.DataFrame:
    return pd.DataFrame({"bs": [data.bs], "seed": [seed]})


def refuse(seed: int):
    msg = f"The file must be whole, got half of it at seed {seed}."
    raise InputError(msg)


def refuse_in_chunks(seed: int):
    yield pd.DataFrame({"seed": [seed]})
    refuse(seed)


def fail(seed: int):
    raise ValueError(f"a bug at seed {seed}")


def interrupt(seed: int):
    raise KeyboardInterrupt


def join(*tables):
    return pd.concat(tables)


def register_pipelines():
    seed = "params:seed"
    nodes = {
        "training": Node(make_table, ["params:data", seed], "table", name="make_table"),
        "refusing": Node(refuse, seed, "refused"),
        "refusing_chunks": Node(refuse_in_chunks, seed, "refused"),
        "failing": Node(fail, seed, "failed"),
        "interrupted": Node(interrupt, seed, "never"),
        "lacking": Node(len, "absent", "length"),
        "reading": Node(join, ["kept_if_made"], "table"),
    }
    pipelines = {name: Pipeline([node]) for name, node in nodes.items()}
    return {**pipelines, "__default__": pipelines["training"]}


@pytest.fixture
def kedro_run(project_path, monkeypatch):
    """`kedro run` within this process, on the pipelines above."""
    name = "clip2latent_kedro.pipeline_registry"
    registry = types.ModuleType(name)
    registry.register_pipelines = register_pipelines
    monkeypatch.setitem(sys.modules, name, registry)
    for catalog in Path("conf").glob("*/catalog*.yml"):
        catalog.unlink()
    Path("conf/base/catalog.yml").write_text(yaml.safe_dump(CATALOG))
    configure_project("clip2latent_kedro")
    return lambda *arguments: CliRunner().invoke(run, arguments, prog_name="run")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data.bs:128", {"data": {"bs": 128}}),
        ("data.bs=128", {"data": {"bs": 128}}),
        (" a : 1 , b = 2 ", {"a": 1, "b": 2}),
        ("url=http://host:80/a", {"url": "http://host:80/a"}),
        ("url:http://host:80/?a=b", {"url": "http://host:80/?a=b"}),
        ("path:C:\\data", {"path": "C:\\data"}),
        ("train.lr:1e-4", {"train": {"lr": 1e-4}}),
        ("logging:null,resume:false", {"logging": None, "resume": False}),
        ("repeats:[4,4,2],seed:1", {"repeats": [4, 4, 2], "seed": 1}),
        ("a:{b: 1, c: 2}", {"a": {"b": 1, "c": 2}}),
        ("", {}),
        ("a.b:1,a.b:2", {"a": {"b": 2}}),
        ('a.b:"x, y",c:1', {"a": {"b": "x, y"}, "c": 1}),
        ("a='x: y, z'", {"a": "x: y, z"}),
        ("a:the girl's,b:it's", {"a": "the girl's", "b": "it's"}),
    ],
)
def test_overrides_take_both_separators_and_any_value(text, expected):
    assert parse_overrides(text) == expected


@pytest.mark.parametrize("text", ["data.bs", ":3", "a:[1"])
def test_malformed_override_is_refused(text):
    with pytest.raises(click.BadParameter):
        parse_overrides(text)


def test_a_colon_in_braces_wants_a_space():
    assert parse_overrides("a:{b: {c: d}}") == {"a": {"b": {"c": "d"}}}
    with pytest.raises(click.BadParameter, match="a space after each colon in braces"):
        parse_overrides("a:{b:{c:d}}")


def test_later_overrides_win_and_dotted_keys_are_nested():
    overrides = [{"data": {"bs": 1, "psi": 2}}, {"data.bs": 3}, {"data": {"x.y": 4}}]
    expected = {"data": {"bs": 3, "psi": 2, "x": {"y": 4}}}
    assert merge_overrides(overrides) == expected


@pytest.mark.parametrize("override", ["data.bs:128", "data.bs=128"])
def test_run_takes_both_spellings(kedro_run, override):
    result = kedro_run("--pipeline=training", f"--params={override}")
    assert result.exit_code == 0, result.output
    assert pd.read_csv("data/t.csv")["bs"].item() == 128
    assert "table: data/t.csv" in result.stdout


def test_params_may_be_repeated_and_laid_over_a_file(kedro_run):
    params = {"data": {"bs": 16}, "seed": 5}
    Path("run.yml").write_text(yaml.safe_dump({"run": {"params": params}}))
    result = kedro_run("--params=data.bs:8", "--params=device:cpu", "--config=run.yml")
    assert result.exit_code == 0, result.output
    assert pd.read_csv("data/t.csv").loc[0].to_dict() == {"bs": 8, "seed": 5}


def test_environment_changes_parameters_and_paths(kedro_run):
    assert kedro_run("--env=test").exit_code == 0
    expected = yaml.safe_load(Path("conf/test/parameters.yml").read_text())["data"]
    assert pd.read_csv("data/test/t.csv")["bs"].item() == expected["bs"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--params=data.bz:1"], "data.bz is not a parameter. Did you mean data.bs?"),
        (["--params=model.network.dephth:1"], "Did you mean model.network.depth?"),
        (
            ["--params=data.bs:many"],
            'data.bs must be a whole number, 1 or more, got "many".',
        ),
        (["--params=data.bs:0"], "data.bs must be a whole number, 1 or more, got 0."),
        (["--params=trian.lr:1"], "trian is not a parameter."),
        (["--pipeline=trainig"], "Did you mean training?"),
        (["--env=tset"], "env must be one of"),
        (["--nodes=make_tabel"], "make_tabel"),
        (["--pipeline=refusing"], "The file must be whole, got half of it at seed 0."),
        (["--pipeline=refusing_chunks"], "The file must be whole"),
        (["--pipeline=lacking"], "data/no.csv does not exist."),
    ],
)
def test_what_the_user_can_mend_is_a_sentence_and_exit_code_2(
    kedro_run, arguments, message
):
    result = kedro_run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.output


@pytest.fixture
def kept(project_path):
    """Two versions of each of two tables."""
    for version, name in itertools.product(("2030", "2031"), ("k.csv", "u.csv")):
        path = Path("data") / name / version / name
        path.parent.mkdir(parents=True)
        pd.DataFrame({"version": [version]}).to_csv(path, index=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--load-versions=kept:2030"],
        ["--load-versions=kept_if_made:2030, kept:2030"],
        ["-lv", "kept:2030", "-lv", "kept_if_made:2030"],
        ["--config=mapping.yml"],
        ["--config=text.yml"],
    ],
)
def test_a_named_version_is_read_through_every_entry_of_its_file(
    kept, kedro_run, arguments
):
    for name, content in (("mapping", {"kept": 2030}), ("text", "kept:2030")):
        content = yaml.safe_dump({"run": {"load_versions": content}})
        Path(f"{name}.yml").write_text(content)
    result = kedro_run("--pipeline=reading", *arguments)
    assert result.exit_code == 0, result.output
    assert pd.read_csv("data/t.csv")["version"].item() == 2030


@pytest.mark.parametrize(
    ("versions", "message"),
    [
        ("unused:2030", "must name entries that the run reads, got unused"),
        ("kept:2029", "version must be one of 2030, 2031, got '2029'"),
        ("kept:../2030", "version must be one of 2030, 2031, got '../2030'"),
        ("table:2030", "entry must be versioned in the catalog, got 'table'"),
        ("kpet:2030", "[kpet] are not found in the catalog."),
        ("kept", "'kept' must be ENTRY:VERSION."),
        ("kept:", "'kept:' must be ENTRY:VERSION."),
        ("kept:2030,", "'' must be ENTRY:VERSION."),
        ("kept:2030,kept:2031", "kept must have one version, got 2030 and 2031."),
        ("kept:2030,kept_if_made:2031", "must name one version of"),
    ],
)
def test_a_version_that_cannot_be_read_is_refused(kept, kedro_run, versions, message):
    result = kedro_run("--pipeline=reading", f"--load-versions={versions}")
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not Path("data/t.csv").exists()


def test_a_version_in_the_catalog_is_refused(kept, kedro_run):
    catalog = {**CATALOG, "kept": {**KEPT, "version": "2030"}}
    Path("conf/base/catalog.yml").write_text(yaml.safe_dump(catalog))
    result = kedro_run("--pipeline=reading")
    assert result.exit_code == 2
    assert "Name it by --load-versions=kept:VERSION." in result.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("pipeline: training", "run.yml must be YAML of the form"),
        ("run: [", "run.yml must be YAML of the form"),
        ("run: {params: 3}", "run.yml must be YAML of the form"),
        ("run: {pipelin: training}", "options that `run` does not have: pipelin."),
    ],
)
def test_malformed_config_file_is_refused(kedro_run, content, message):
    Path("run.yml").write_text(content)
    result = kedro_run("--config=run.yml")
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_bug_keeps_its_traceback(kedro_run):
    result = kedro_run("--pipeline=failing")
    assert result.exit_code == 1
    assert isinstance(result.exception, ValueError)


def test_interrupted_run_says_how_to_go_on(kedro_run):
    result = kedro_run("--pipeline=interrupted")
    assert result.exit_code == 130
    assert result.stderr == "Interrupted. Resume with the same command.\n"


def test_typo_is_refused_from_the_shell():
    command = [sys.executable, "-m", "kedro", "run", "--params=sampling.num_stpes:3"]
    result = processes.run(command, cwd=ROOT)
    assert result.returncode == 2
    assert result.stderr == (
        "Error: sampling.num_stpes is not a parameter. "
        "Did you mean sampling.num_steps?\n"
    )
