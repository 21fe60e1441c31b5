"""What ends in a sentence on the project's own pipelines, and what does not."""

import errno
import json
import shlex
import types
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from kedro.framework.project import configure_project
from kedro.io.core import DatasetError

from clip2latent_kedro.cli import run
from clip2latent_kedro.cli.overrides import parse_overrides
from clip2latent_kedro.cli.refusals import MEMORY, explain


@pytest.fixture
def kedro_run(project_path):
    """`kedro run` of the project's pipelines, within this process."""
    configure_project("clip2latent_kedro")

    def start(*arguments):
        options = ["--env=test", "--pipeline=published", *arguments]
        return CliRunner().invoke(run, options, prog_name="run")

    return start


def assert_refused(result, sentence):
    assert result.exit_code == 2, result.exception
    *_, last = result.stderr.splitlines()
    assert last.startswith("Error: ")
    assert sentence in last
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ("data.latent_repeats.0:5", "data.latent_repeats must be a list, each a whole"),
        ("inference.prompts:{a sign: hello}", "must be a string or a list, each a str"),
        ("inference.prompts.0:hello", "must be a string or a list, each a string, got"),
        ("sampling.guidance_interval.0:1", "must be a list, each a number, 0 or"),
        ("ablation.studies.guidance.values.0:1", "values must be a list, got"),
        ("data:5", "data must be a group of parameters, got 5."),
        ("train:null", "train must be a group of parameters, got null."),
        ("train:[1,2]", "train must be a group of parameters, got [1, 2]."),
        ("evaluation.rows:[1]", "evaluation.rows must be a group of parameters, got"),
        ("data.bs.x:3", "data.bs must be a whole number, 1 or more, got"),
        ("data:5,data.bs:3", "data must be given either as a value or as a group of"),
        ("device:mps", "device must be auto, cpu, cuda or cuda:N, got 'mps'. Use auto"),
        ("device:cpu:0", "device must be auto, cpu, cuda or cuda:N, got 'cpu:0'."),
        ("device:cuda:99", "device is 'cuda:99', but"),
        ("seed:${nope", "The configuration cannot be read:"),
        ("seed:${globals:nope}", "Globals key 'nope' not found"),
        ("seed:${oc.env:NOPE}", "Unsupported interpolation type oc.env"),
    ],
)
def test_parameters_of_another_form(kedro_run, params, sentence):
    assert_refused(kedro_run(f"--params={params}"), sentence)


def test_device_cuda_without_one(kedro_run, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    found = "device is 'cuda', but 0 CUDA devices were found on this machine. Use"
    assert_refused(kedro_run("--params=device:cuda"), found)


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("--async", "--async cannot be used: nodes here yield what they make piece by"),
        ("--runner-params=is_async:true", "--async cannot be used"),
        ("--runner=ParallelRunner", "ThreadRunner, got 'ParallelRunner': models are"),
        (
            "--runner=Nope",
            "ThreadRunner, or the path of another",
        ),
        ("--runner=os.path", "or the path of another class, got 'os.path'."),
        ("--runner=..", "or the path of another class, got '..'."),
        ("--runner-params=max_workers:4", "--runner-params must be of is_async for"),
        (
            "--nodes=training.tran",
            "Pipeline does not contain nodes named ['tra",
        ),
        (
            "--tags=nope",
            "Pipeline contains no nodes after applying all",
        ),
        ("--from-nodes=nope", "Pipeline does not contain nodes named ['nope']"),
        ("--to-nodes=nope", "Pipeline does not contain nodes named ['nope']"),
        ("--from-inputs=nope", "Pipeline does not contain datasets named ['nope']"),
        ("--to-outputs=nope", "Pipeline does not contain datasets named ['nope']"),
        ("--namespaces=nope", "does not contain nodes with the following namespaces"),
        (
            "--pipelines=sweep,tuning",
            "got sweep and tuning, which both make frozen_models, sampling_models.",
        ),
        (
            "--pipeline=nope",
            "pipeline must be one of __default__, ablation, audit, baselines",
        ),
        ("--pipelines=training,nope", "got 'nope'."),
        ("--env=nope", "env must be one of"),
        (
            "--runner=ThreadRunner --runner-params=max_workers:0",
            "max_workers must be a whole number of 1 or more",
        ),
        (
            "--pipeline=portraits --nodes=portraits.measure_portraits_models",
            "got none of portraits_training_seconds, which no run st",
        ),
        ("--load-versions=nope:1", "Name entries that are in conf/*/catalog*.yml."),
        ("--config=nope.yml", "File 'nope.yml' does not exist."),
        ("--conf-source=nope", "Path 'nope' does not exist."),
        ("--conf-source=pyproject.toml", "Given configuration path either does not"),
    ],
)
def test_a_command_line_that_names_what_there_is_not(kedro_run, argument, sentence):
    assert_refused(kedro_run(*argument.split()), sentence)


def test_outside_of_the_configuration(kedro_run, tmp_path):
    (tmp_path / "conf").rename(tmp_path / "elsewhere")
    assert_refused(kedro_run(), f"must be the folder {tmp_path / 'conf'}, which does")


PAIRS = "training_pairs: "  # an entry that a run reads


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("parameters.yml", "data: [1", "parameters.yml"),
        ("parameters.yml", "seed: ${globals:nope}", "Globals key 'nope' not found"),
        ("parameters.yml", "seed: \xff".encode("latin-1"), "cannot be read"),
        ("parameters_more.yml", "data: {bs: 3}", "Duplicate keys found in"),
        ("catalog_more.yml", PAIRS + "{type: no.Such, filepath: a}", "no.Such"),
        (
            "catalog_more.yml",
            "training_pairs: {type: json.JSONDataset, path: a}",
            "JSONDataset",
        ),
        (
            "catalog_more.yml",
            "training_pairs: {filepath: a}",
            "'type' is missing from dataset",
        ),
        ("catalog_more.yml", PAIRS + "3", "training_pairs"),
        ("catalog_more.yml", "x: [", "catalog_more.yml"),
    ],
)
def test_a_broken_configuration(kedro_run, name, content, sentence):
    path = Path("conf/test") / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert_refused(kedro_run("--pipeline=training"), sentence)


@pytest.mark.parametrize(
    ("raised", "sentence"),
    [
        (MemoryError(), f"Lower {MEMORY['training']}."),
        (torch.OutOfMemoryError("CUDA out of memory. Tried 3 GiB."), "Lower data.bs"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
            "Memory ran out (DefaultCPUAllocator: can't allocate memory: you tried)",
        ),
        (
            OSError(errno.ENOSPC, "full", "a/b"),
            "a/b cannot be written or read: No",
        ),
        (
            OSError(errno.EROFS, "read", "a/b"),
            "Make the folder writable, or set",
        ),
        (
            PermissionError(errno.EACCES, "no", "a/b"),
            "a/b cannot be written or read: P",
        ),
        (RuntimeError("I/O error: File too large (os error 27)"), "(ulimit -f)"),
    ],
)
def test_a_system_that_refuses_says_how_to_go_on(raised, sentence):
    def node(error):
        raise error

    training = {"__name__": "clip2latent_kedro.pipelines.training.nodes"}
    node = types.FunctionType(node.__code__, training)
    with pytest.raises(type(raised)) as failure:
        node(raised)
    wrapped = DatasetError("Failed while saving data to dataset x.")
    wrapped.__cause__ = failure.value
    for error in (failure.value, wrapped):
        assert sentence in explain(error)
        assert explain(error).endswith("the same command goes on from there.")


def test_a_folder_where_a_file_is_meant(kedro_run):
    Path("data").write_text("")
    result = kedro_run("--pipeline=data_generation")
    assert_refused(result, "Move the file that stands where a folder is meant.")


@pytest.mark.parametrize("bug", [TypeError, KeyError, AttributeError, ValueError])
def test_a_bug_has_no_sentence(bug):
    def fail():
        raise bug("a bug")

    with pytest.raises(bug) as failure:
        fail()
    assert explain(failure.value) is None
    wrapped = RuntimeError("another")
    wrapped.__cause__ = failure.value
    assert explain(wrapped) is None


def test_a_bug_while_a_file_is_missed_has_no_sentence():
    """What was being handled when a bug struck is not what went wrong."""
    bug = TypeError("a bug")
    bug.__context__ = OSError(errno.ENOSPC, "full", "a")
    assert explain(bug) is None


PROMPTS = [
    "a man, smiling", "a sign that says: hello", "# one", "a # b", "a = b", "-x", "- x",
    "\u00e4 \u2603", 'a "b", c', "it's, so", "a, b, c", "a, b: c", "5 # 6", "&a b",
    "[a", "'a'", "{a}", "*", "true", "1984", "null", "", "a\\b, c", "@x", "${a}, b",
    "%", "| a",
]  # fmt: skip


@pytest.mark.parametrize("prompt", PROMPTS)
def test_any_prompt_can_be_given_in_quotes(prompt):
    text = f"inference.prompts:{json.dumps(prompt, ensure_ascii=False)}"
    assert parse_overrides(text) == {"inference": {"prompts": prompt}}


@pytest.mark.parametrize(
    "prompt",
    ["a sign that says: hello", "# one", "5 # 6", "a = b", "-x", "- x", "&a b"],
)
def test_a_prompt_without_commas_needs_no_quotes(prompt):
    assert parse_overrides(f"a.prompts:{prompt}") == {"a": {"prompts": prompt}}


@pytest.mark.parametrize(
    "prompt", ["a man, smiling", 'a "b", c', "it's, so", "a, b, c"]
)
def test_the_message_says_what_can_be_typed(kedro_run, prompt):
    """What it proposes is read by a shell, and then as the prompt that was meant."""
    result = kedro_run(f"--params=seed:1,inference.prompts:{prompt}")
    assert result.exit_code == 2
    assert "put a value with commas in quotes within those of" in result.stderr
    proposed = result.stderr.partition("of the shell: --params=")[2].strip()[:-1]
    (text,) = shlex.split(proposed)
    assert parse_overrides(text) == {"inference": {"prompts": prompt}}
