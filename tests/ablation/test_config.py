import json

import pytest
from prior.toy import (
    make_data_config,
    make_diffusion_config,
    make_network_config,
    make_train_config,
)

from clip2latent_kedro.ablation import AblationConfig, Settings, plan_variants
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.samplers import SamplingConfig

BASE = Settings(
    SamplingConfig("ddim", 4, 1.0),
    make_data_config(),
    make_network_config(),
    make_diffusion_config(),
    make_train_config(),
)
PSI = {"axis": "sampling.psi", "values": [0.5, 1.0]}
NOISE = {"axis": "data.embed_noise_scale", "values": [0.0, 1.0]}


def make_config(studies, **changes):
    settings = {
        "num_prompts": 2,
        "num_samples": 2,
        "num_seeds": 2,
        "confidence": 0.95,
        "strip_prompts": 1,
        "ensemble_size": 4,
        "budget": {"train.max_it": 5},
        "only": None,
        "studies": studies,
    }
    return AblationConfig(**{**settings, **changes})


def plan(studies, circumstances=None, **changes):
    made_by = circumstances or {"prior": "a", "seed": 0}
    return plan_variants(make_config(studies, **changes), BASE, made_by)


def test_lines_times_across_times_values_then_those_apart():
    study = {
        **PSI,
        "base": {"sampling.eta": 0.5},
        "lines": {"one": {}, "two": {"sampling.psi": 9.0, "sampling.eta": 0.0}},
        "across": {"sampling.num_steps": [2, 3]},
        "apart": {"auto": {"sampling.truncation": "auto"}, "gone": None},
    }
    variants = plan({"s": study, "left_out": None})
    assert [v.point.label for v in variants] == [
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
    sampling = [v.settings.sampling for v in variants]
    assert [s.psi for s in sampling] == [0.5, 1.0] * 4 + [1.0]
    assert [s.eta for s in sampling] == [0.5] * 4 + [0.0] * 4 + [0.5]
    assert [s.num_steps for s in sampling] == [2, 2, 3, 3] * 2 + [4]
    assert sampling[-1].truncation == "auto"
    assert not any(v.retrains for v in variants)
    assert all(v.settings.train == BASE.train for v in variants)  # without the budget


def test_only_what_decides_a_prior_trains_one_with_the_budget():
    lines = {"text": {}, "image": {"condition": "image"}}
    variants = plan({"noise": {**NOISE, "lines": lines}, "psi": PSI})
    noise = [v for v in variants if v.study == "noise"]
    assert all(v.retrains and v.settings.train.max_it == 5 for v in noise)
    assert [v.settings.data.embed_noise_scale for v in noise] == [0.0, 1.0] * 2
    assert noise[0].settings.training() == noise[2].settings.training()
    assert noise[0].key != noise[2].key
    assert not any(v.retrains for v in variants if v.study == "psi")


def test_keys_tell_what_a_result_depends_on():
    studies = {"noise": NOISE, "psi": PSI}

    def keys(name, **changes):
        return [v.key for v in plan(studies, **changes) if v.study == name]

    assert len(set(keys("noise") + keys("psi"))) == 4
    other = {"circumstances": {"prior": "b", "seed": 0}}
    assert keys("noise", **other) == keys("noise")  # they have priors of their own
    assert not set(keys("psi", **other)) & set(keys("psi"))
    seed = {"circumstances": {"prior": "a", "seed": 1}}
    assert not set(keys("noise", **seed)) & set(keys("noise"))
    budget = {"budget": {"train.max_it": 6}}
    assert keys("psi", **budget) == keys("psi")
    assert not set(keys("noise", **budget)) & set(keys("noise"))
    whole = {"psi": {**PSI, "values": [0.5, 1]}}
    assert [v.key for v in plan(whole)] == keys("psi")
    json.dumps([v.settings.training() for v in plan(studies)])


def test_only_chooses_studies():
    config = make_config({"noise": NOISE, "psi": PSI}, only=" psi ")
    assert list(config.read_studies()) == ["psi"]


@pytest.mark.parametrize(
    ("study", "message"),
    [
        (3, r"studies\.x must be a group of parameters or null, got 3"),
        ({**PSI, "line": {}}, r"studies\.x\.line is not a parameter\. Known here: ti"),
        (
            {"values": [1]},
            r"studies\.x\.axis must be one of sampling\.sampler, .* None",
        ),
        ({**PSI, "axis": "sampling.ps"}, r"x\.axis must be one of .*'sampling\.ps'"),
        ({**PSI, "values": 3}, r"x\.values must be a list of values to try, got 3"),
        ({**PSI, "base": {"a.b": 1}}, r"x\.base\.a\.b is not a setting\. Known here"),
        ({**PSI, "lines": {"l": 3}}, r"x\.lines\.l must be settings by name, got 3"),
        ({**PSI, "apart": {"l": {"q": 1}}}, r"x\.apart\.l\.q is not a setting"),
        ({**PSI, "across": {"best_of": 2}}, r"x\.across\.best_of must be a list"),
        ({**PSI, "values": [1, 1]}, r"x must have variants of different names"),
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
            {"budget": {"sampling.psi": 1}},
            r"budget\.sampling\.psi must be a setting of",
        ),
        ({"budget": {"train.x": 1}}, r"budget\.train\.x is not a setting"),
    ],
)
def test_a_protocol_that_is_out_of_range(changes, message):
    with pytest.raises(InputError, match=message):
        make_config({"x": PSI}, **changes)


def test_a_name_that_is_no_file_name():
    with pytest.raises(InputError, match="named in letters, digits and _ alone"):
        make_config({"../x": PSI})


@pytest.mark.parametrize(
    ("axis", "value", "message"),
    [
        ("sampling.psi", -1.0, r"studies\.x: psi must be a number, 0 or more"),
        ("best_of", 0, r"studies\.x\.best_of must be a whole number, 1 or"),
        (
            "num_pairs",
            1.5,
            r"studies\.x\.num_pairs must be .*2 or more, or null",
        ),
        ("condition", "sound", r"x\.condition must be one of text, image, got .sound"),
    ],
)
def test_a_value_that_is_out_of_range_names_its_study(axis, value, message):
    with pytest.raises(InputError, match=message):
        plan({"x": {"axis": axis, "values": [value]}})
