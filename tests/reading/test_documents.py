"""What a few letters stand for is counted before it is made."""

from itertools import pairwise

import pytest

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.prior.published_config import check_config
from clip2latent_kedro.reading import (
    check_tree,
    parse_json,
    read_json,
    read_text,
    read_yaml,
)


def laughs(form, num_levels=12):
    """Nine aliases of nine aliases of ...: 9^12 values."""
    lines = ["a0: &a0 {x: 1}"]
    for level in range(1, num_levels):
        many = ", ".join([f"*a{level - 1}"] * 9)
        lines.append(f"a{level}: &a{level} {form.format(many)}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (laughs("[{}]"), "stands for more than 20000 values"),
        (laughs("{{<<: [{}]}}"), "stands for more than 20000 values"),
        ("a: &a [*a]", "contains itself"),
        ("a: &a {b: *a}", "contains itself"),
        ("[" * 60 + "]" * 60, "nested more than 50 deep"),
        ("[" * 200_000, "nested more than 50 deep"),
        ("- " * 60 + "1", "nested more than 50 deep"),
        ("a: 1\na: 2", "has the key 'a' twice"),
        ("a: " + "9" * 5000, "must be a YAML file"),
        ("a: 0x" + "f" * 5000, "whole number of 20000 bits"),
        ("a: " + "x" * 20_000, "a value of 20000 letters"),
        ("a: !!set {b, c}", "an object of type set"),
        ("a: !!binary aGVsbG8=", "an object of type bytes"),
        ("? [a, b]\n: 1", "must be a YAML file"),
        ("a: !!python/object/apply:os.system [true]", "could not determine"),
        ("a: \0", "special characters are not allowed"),
        ("x" * 300_000, "has 300000 bytes, more than 262144"),
    ],
)
def test_a_bomb_of_yaml_is_refused(text, match, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=match):
        read_yaml(path)


def test_honest_yaml_is_read(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("a: &a {b: [1, 2.5]}\nc: *a\nd: {<<: *a, e: 2022-10-05}\n")
    inside = {"b": [1, 2.5]}
    dated = {**inside, "e": "2022-10-05"}
    assert read_yaml(path) == {"a": inside, "c": inside, "d": dated}
    with pytest.raises(InputError, match="no such file"):
        read_yaml(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[" * 60 + "]" * 60, "nested more than 50 deep"),
        ("[" * 100_000, "nested more than 50 deep"),
        ("9" * 5000, "limit"),
        (str(2**70), "whole number of 71 bits"),
        ('"\\ud800"', "surrogates not allowed"),
        ("[1, ", "line 1"),
    ],
)
def test_a_bomb_of_json_is_refused(text, match, tmp_path):
    with pytest.raises(ValueError, match=match):
        parse_json(text)
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match=match):
        read_json(path)


def test_a_file_is_measured_before_it_is_read(tmp_path):
    """A terabyte of nothing: there is no such disk, and no such memory."""
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    for read in (read_json, read_yaml, lambda path: read_text(path, "a text")):
        with pytest.raises(InputError, match="has 1099511627776 bytes, more than"):
            read(path)


def test_shared_parts_of_a_tree_count_each_time():
    tree = [1]
    for _ in range(30):
        tree = [tree, tree]
    with pytest.raises(ValueError, match="more than 20000 values"):
        check_tree(tree)
    with pytest.raises(InputError, match="a plain configuration, but it stands for"):
        check_config({"model": tree}, "cfg")


def test_references_to_references_are_bounded():
    names = "abcdefghi"
    data = {
        name: ["${data.%s}" % after] * 100  # noqa: UP031
        for name, after in pairwise(names)
    }
    with pytest.raises(InputError, match="lead too far: it stands for more than"):
        check_config({"data": {**data, "i": 1}}, "cfg")
