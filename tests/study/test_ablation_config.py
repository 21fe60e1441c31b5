import pytest

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.study.ablation.config import AblationConfig, OwnConfig

PSI = {"axis": "sampling.psi", "values": [0.5, 1.0]}
NOISE = {"axis": "data.embed_noise_scale", "values": [0.0, 1.0]}


def make_config(studies, **changes):
    settings = {
        "num_prompts": 2,
        "num_samples": 2,
        "num_seeds": 2,
        "confidence": 0.95,
        "strip_prompts": 1,
        "budget": "short",
        "budgets": {"short": {"train.max_it": 5}},
        "only": None,
        "studies": studies,
    }
    return AblationConfig(**{**settings, **changes})


def test_lines_times_across_times_values_then_those_apart():
    study = {
        **PSI,
        "base": {"sampling.eta": 0.5},
        "lines": {"one": {}, "two": {"sampling.psi": 9.0, "sampling.eta": 0.0}},
        "across": {"sampling.num_steps": [2, 3]},
        "apart": {"auto": {"sampling.truncation": "auto"}, "gone": None},
    }
    studies = make_config({"s": study, "left_out": None}).read_studies()
    assert list(studies) == ["s"]
    assert not studies["s"].retrains
    variants = list(studies["s"].variants())
    assert [v.label for v in variants] == [
        "one, num_steps 2, psi 0.5",
        "one, num_steps 2, psi 1.0",
        "one, num_steps 3, psi 0.5",
        "one, num_steps 3, psi 1.0",
        "two, num_steps 2, psi 0.5",
        "two, num_steps 2, psi 1.0",
        "two, num_steps 3, psi 0.5",
        "two, num_steps 3, psi 1.0",
        "auto",
    ]
    assert [v.is_off_axis for v in variants] == [False] * 8 + [True]
    assert [v.value for v in variants] == [0.5, 1.0] * 4 + [None]
    assert variants[6].overrides == {  # the axis decides over the line
        "sampling.psi": 0.5,
        "sampling.eta": 0.0,
        "sampling.num_steps": 3,
    }
    auto = {"sampling.eta": 0.5, "sampling.truncation": "auto"}
    assert variants[-1].overrides == auto
    assert all(v.group == "s" for v in variants)


def test_a_study_retrains_if_any_variant_changes_what_decides_a_prior():
    for axis in ("data.embed_noise_scale", "num_pairs", "train.lr"):
        config = make_config({"x": {"axis": axis, "values": [2, 3]}})
        assert config.read_studies()["x"].retrains
    apart = {"wide": {"model.network.dim": 9}}
    assert make_config({"x": {**PSI, "apart": apart}}).read_studies()["x"].retrains
    for axis, value in (("best_of", 2), ("condition", "image"), ("sampling.eta", 1)):
        config = make_config({"x": {"axis": axis, "values": [value]}})
        assert not config.read_studies()["x"].retrains


def test_only_chooses_studies():
    config = make_config({"noise": NOISE, "psi": PSI}, only=" psi ")
    assert list(config.read_studies()) == ["psi"]


@pytest.mark.parametrize(
    ("study", "message"),
    [
        (3, r"studies\.x must be a group of parameters or null, got 3"),
        ({**PSI, "line": {}}, r"studies\.x\.line is not a parameter\. Did you mean"),
        ({"values": [1]}, r"studies\.x\.axis is missing"),
        ({**PSI, "values": []}, r"x\.values must be a list of values to try, got \[\]"),
        ({**PSI, "axis": "sampling.ps"}, r"x\.axis must be one of .*\"sampling\.ps\""),
        ({**PSI, "values": 3}, r"x\.values must be a list, got 3"),
        ({**PSI, "base": {"a.b": 1}}, r"x\.base\.a\.b is not a setting\. Known here"),
        (
            {**PSI, "lines": {"l": 3}},
            r"lines\.l must be a group of parameters, got 3",
        ),
        ({**PSI, "apart": {"l": {"q": 1}}}, r"x\.apart\.l\.q is not a setting"),
        ({**PSI, "across": {"best_of": 2}}, r"x\.across\.best_of must be a list"),
        ({**PSI, "values": [1, 1]}, r"x must have variants of different names"),
        ({**PSI, "against": "cpu_seconds"}, r"x\.against must be axis where nothing"),
    ],
)
def test_a_study_that_is_written_wrong(study, message):
    with pytest.raises(InputError, match=message):
        make_config({"x": study})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"only": "y"}, r"^only must be names of studies, of x, or null"),
        (
            {"budgets": {"short": {"sampling.psi": 1}}},
            r"budgets\.short\.sampling\.psi must be a setting of",
        ),
        (
            {"budgets": {"short": {"train.x": 1}}},
            r"budgets\.short\.train\.x is not a setting",
        ),
        ({"budget": "long"}, r"^budget must be a name of budgets, short, or null"),
        ({"num_prompts": 1}, r"^num_prompts must be a whole number, 2 or more, got 1"),
    ],
)
def test_a_protocol_that_is_out_of_range(changes, message):
    with pytest.raises(InputError, match=message):
        make_config({"x": PSI}, **changes)


def test_a_name_that_is_no_file_name():
    with pytest.raises(InputError, match="named in letters, digits and _ alone"):
        make_config({"../x": PSI})


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"best_of": 0}, "best_of must be a whole number, 1 or more, got 0"),
        ({"num_pairs": 1.5}, "num_pairs must be a whole number, 2 or more, or null"),
        ({"condition": "sound"}, "condition must be one of text, image, got"),
    ],
)
def test_what_only_an_ablation_sets_has_a_range(own, message):
    with pytest.raises(InputError, match=message):
        OwnConfig(**own)
