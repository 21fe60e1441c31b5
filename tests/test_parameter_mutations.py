"""Every parameter given every kind of wrong value, each checked as a run's are."""

import random

import pytest
from mutations import NUM_EACH
from test_parameters import load_parameters, override

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.parameters import check_parameters

VALUES = [
    "x", "", "a man, smiling: yes", "h\u00e9 \u2603", "\ud800", True, None, 0, -1, 0.5,
    -0.5, 10**9, 10**30, 10**400, 1e300, float("nan"), float("inf"), -float("inf"), [],
    [1], [[1, [2]]], [None], {}, {"a": {"b": 1}},
]  # fmt: skip


def paths(tree, prefix=""):
    """Yield the path of every parameter, groups included."""
    for name, value in tree.items():
        yield f"{prefix}{name}"
        if isinstance(value, dict):
            yield from paths(value, f"{prefix}{name}.")


def changed(tree, path, value):
    """Return the tree with a value in place of another; names may hold dots."""
    for name in tree:
        if path == name:
            return {**tree, name: value}
        if path.startswith(f"{name}.") and isinstance(tree[name], dict):
            rest = path.removeprefix(f"{name}.")
            return {**tree, name: changed(tree[name], rest, value)}
    raise KeyError(path)


def test_wrong_values_are_taken_or_refused_in_sentences():
    base = load_parameters()
    chance = random.Random(0)
    tried = [(path, value) for path in paths(base) for value in VALUES]
    num_refused = 0
    for path, value in chance.sample(tried, min(3 * NUM_EACH, len(tried))):
        try:
            check_parameters(changed(base, path, value))
        except InputError:
            num_refused += 1
    assert num_refused > NUM_EACH


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("train.max_it", 10**30),
        ("data.bs", 10**400),
        ("data_generation.n_samples", 2**31),
        ("train.lr", 1e300),
        ("train.lr", 10**31),
        ("baselines.clip2gan.lr", 1e31),
        ("train.weight_decay", float("inf")),
        ("baselines.optimisation.strong.l2_lambda", 10**400),
        ("sampling.guidance_scale", float("nan")),
        ("evaluation.rows.x", {"num_steps": 10**30}),
    ],
)
def test_a_number_that_no_tensor_holds_is_refused(path, value):
    with pytest.raises(InputError, match=r"must be a .*number"):
        check_parameters(override(load_parameters(), path, value))


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (
            "evaluation.rows.x",
            {"method": []},
            "evaluation.rows.x.method must be a string",
        ),
        (
            "inference.prompts",
            ["a", ["b"]],
            "prompts must be a string or a list",
        ),
    ],
)
def test_a_value_that_cannot_work_is_refused_before_anything_runs(
    path, value, expected
):
    with pytest.raises(InputError) as refusal:
        check_parameters(override(load_parameters(), path, value))
    assert expected in str(refusal.value)
    assert "\n" not in str(refusal.value)
