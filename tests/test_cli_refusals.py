"""What ends in a sentence on the project's own pipelines, and what does not."""

import errno
import json
import shlex
import types
from pathlib import Path

import pytest
import torch
from kedro.io.core import DatasetError
from projects import refusal

from clip2latent_kedro.cli.overrides import parse_overrides
from clip2latent_kedro.cli.refusals import MEMORY, explain


@pytest.fixture
def refused(kedro_run):
    """Return the sentence that a run ends with, or fail."""

    def refused(*arguments):
        options = ["--env=test", "--pipeline=published", *arguments]
        return refusal(kedro_run(*options))

    return refused


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ("data.latent_repeats.0:5", "data.latent_repeats must be a list, each a whole"),
        ("ablation.studies.guidance.values.0:1", "values must be a list of values"),
        ("data.bs.x:3", 'data.bs must be a whole number, got {"x": 3}.'),
        ("data:5,data.bs:3", "data must be given either as a value or as a group of"),
        ("device:cuda:99", "device is 'cuda:99', but"),
        ("seed:${nope", "The configuration cannot be read:"),
        ("seed:${globals:nope}", "Globals key 'nope' not found"),
        ("seed:${oc.env:NOPE}", "Unsupported interpolation type oc.env"),
    ],
)
def test_parameters_of_another_form(refused, params, sentence):
    assert sentence in refused(f"--params={params}")


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("--async", "--async cannot be used: nodes here yield what they make piece by"),
        ("--runner-params=is_async:true", "--async cannot be used"),
        ("--runner=ParallelRunner", "ThreadRunner, got 'ParallelRunner': models are"),
        ("--runner=Nope", "ThreadRunner, or the path of another"),
        ("--runner=os.path", "or the path of another class, got 'os.path'."),
        ("--runner=..", "or the path of another class, got '..'."),
        ("--runner-params=max_workers:4", "--runner-params must be of is_async for"),
        ("--nodes=training.tran", "Pipeline does not contain nodes named ['tra"),
        ("--tags=nope", "Pipeline contains no nodes after applying all"),
        ("--from-nodes=nope", "Pipeline does not contain nodes named ['nope']"),
        ("--from-inputs=nope", "Pipeline does not contain datasets named ['nope']"),
        ("--namespaces=nope", "does not contain nodes with the following namespaces"),
        ("--pipeline=nope", "pipeline must be one of __default__, ablation, baselines"),
        ("--pipelines=training,nope", "got 'nope'."),
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
def test_a_command_line_that_names_what_there_is_not(refused, argument, sentence):
    assert sentence in refused(*argument.split())


def test_outside_of_the_configuration(refused, tmp_path):
    (tmp_path / "conf").rename(tmp_path / "elsewhere")
    assert f"must be the folder {tmp_path / 'conf'}, which does" in refused()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("parameters.yml", "data: [1", "parameters.yml"),
        ("parameters.yml", "seed: ${globals:nope}", "Globals key 'nope' not found"),
        ("parameters.yml", "seed: \xff".encode("latin-1"), "cannot be read"),
        ("parameters_more.yml", "data: {bs: 3}", "Duplicate keys found in"),
        ("catalog_more.yml", "training_pairs: {type: no.A, filepath: a}", "no.A"),
        ("catalog_more.yml", "training_pairs: {type: json.JSONDataset, a: 1}", "JSOND"),
        ("catalog_more.yml", "training_pairs: {filepath: a}", "'type' is missing from"),
        ("catalog_more.yml", "training_pairs: 3", "training_pairs"),
        ("catalog_more.yml", "x: [", "catalog_more.yml"),
    ],
)
def test_a_broken_configuration(refused, name, content, sentence):
    path = Path("conf/test") / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert sentence in refused("--pipeline=training")


@pytest.mark.parametrize(
    ("raised", "sentence"),
    [
        (MemoryError(), f"Lower {MEMORY['training']}."),
        (torch.OutOfMemoryError("CUDA out of memory. Tried 3 GiB."), "Lower data.bs"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
            "Memory ran out (DefaultCPUAllocator: can't allocate memory: you tried)",
        ),
        (OSError(errno.ENOSPC, "full", "a/b"), "a/b cannot be written or read: No"),
        (OSError(errno.EROFS, "read", "a/b"), "Make the folder writable, or set"),
        (PermissionError(errno.EACCES, "", "a/b"), "a/b cannot be written or read: P"),
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


def test_a_folder_where_a_file_is_meant(refused):
    Path("data").write_text("")
    sentence = "Move the file that stands where a folder is meant."
    assert sentence in refused("--pipeline=data_generation")


@pytest.mark.parametrize("bug", [TypeError, KeyError, AttributeError, ValueError])
def test_a_bug_has_no_sentence(bug):
    """Neither wrapped, nor if it strikes while something that has one is handled."""

    def fail():
        try:
            raise OSError(errno.ENOSPC, "full", "a")
        except OSError:
            raise bug("a bug")  # noqa: B904

    with pytest.raises(bug) as failure:
        fail()
    wrapped = RuntimeError("another")
    wrapped.__cause__ = failure.value
    assert explain(failure.value) is explain(wrapped) is None


PROMPTS = [
    "a man, smiling", "a sign that says: hello", "# one", "a # b", "a = b", "-x", "- x",
    "\u00e4 \u2603", 'a "b", c', "it's, so", "a, b, c", "a, b: c", "5 # 6", "&a b",
    "[a", "'a'", "{a}", "*", "true", "1984", "null", "", "a\\b, c", "@x", "${a}, b",
    "%", "| a",
]  # fmt: skip
BARE = ("a sign that says: hello", "# one", "5 # 6", "a = b", "-x", "- x", "&a b")


@pytest.mark.parametrize("prompt", PROMPTS)
def test_any_prompt_can_be_given_in_quotes(prompt):
    """Without commas and braces most need none."""
    text = f"a.prompts:{json.dumps(prompt, ensure_ascii=False)}"
    assert parse_overrides(text) == {"a": {"prompts": prompt}}
    if prompt in BARE:
        assert parse_overrides(f"a.prompts:{prompt}") == {"a": {"prompts": prompt}}


@pytest.mark.parametrize("prompt", ["a man, smiling", 'a "b", c', "it's, so"])
def test_the_message_says_what_can_be_typed(refused, prompt):
    """What it proposes is read by a shell, and then as the prompt that was meant."""
    sentence = refused(f"--params=seed:1,inference.prompts:{prompt}")
    assert "put a value with commas in quotes within those of" in sentence
    (text,) = shlex.split(sentence.partition("of the shell: --params=")[2].strip()[:-1])
    assert parse_overrides(text) == {"inference": {"prompts": prompt}}
