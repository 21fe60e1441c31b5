import copy
import re
from pathlib import Path

import pytest
import yaml
from kedro.config import OmegaConfigLoader

from clip2latent_kedro.cli.overrides import merge_overrides
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.parameters import check_parameters
from clip2latent_kedro.settings import CONFIG_LOADER_ARGS
from clip2latent_kedro.study.ablation.config import AblationConfig

CONF = Path(__file__).parents[1] / "conf"
ENVIRONMENTS = sorted({path.parent.name for path in CONF.glob("*/parameters*.yml")})


def load_parameters(env="base", **overrides):
    loader = OmegaConfigLoader(
        str(CONF), env=env, runtime_params=overrides, **CONFIG_LOADER_ARGS
    )
    return loader["parameters"]


@pytest.fixture(scope="module")
def base():
    return load_parameters()


def override(tree, path, value):
    *groups, name = path.split(".")
    tree = copy.deepcopy(tree)
    group = tree
    for step in groups:
        group = group[step]
    group[name] = value
    return tree


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_environment_is_valid_and_knows_every_parameter(env, base):
    tree = load_parameters(env)
    check_parameters(tree)
    # Rows, grids and targets have names of the environment's own.
    named = tuple(
        f"{group}."
        for group in (
            "evaluation.rows",
            "sweep.grids",
            "tuning.grids",
            "coverage.zero_shot",
            "editing.targets",
        )
    )
    first, second = (
        {name for name in flatten(each) if not name.startswith(named)}
        for each in (tree, base)
    )
    assert first == second


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_no_study_tells_a_level_to_a_prior_that_takes_none(env):
    """Whatever level the sampling of the environment has."""
    tree = load_parameters(env)
    level = tree["sampling"]["noise_level"]
    takes_it = tree["model"]["network"]["noise_level_input"]
    for study in AblationConfig(**tree["ablation"]).read_studies().values():
        for variant in study.variants():
            told = variant.overrides.get("sampling.noise_level", level)
            name = "model.network.noise_level_input"
            assert told is None or variant.overrides.get(name, takes_it), variant.label


@pytest.mark.parametrize("preset", sorted(CONF.glob("presets/*.yml")), ids=str)
def test_every_preset_is_valid(preset):
    params = yaml.safe_load(preset.read_text())["run"]["params"]
    check_parameters(load_parameters(**merge_overrides([params])))


def test_every_parameter_is_explained_beside_a_value():
    """Beside its own, or where a setting of that name stands first."""
    lines = [
        (path.name, *line.partition("#")[::2])
        for path in sorted(CONF.glob("base/parameters*.yml"))
        for line in path.read_text().splitlines()
        if re.match(r"\s*[\w.]+:", line)
    ]
    explained = {value.split(":")[0].strip() for _, value, comment in lines if comment}
    for name, value, comment in lines:
        assert comment or value.split(":")[0].strip() in {*explained, "model", "train"}
        assert "..." not in comment, (name, comment)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("data.bz", 1, "data.bz is not a parameter. Did you mean data.bs?"),
        ("model.network.hedas", 1, "Did you mean model.network.heads?"),
        ("portraits.judge.stepz", 1, "Did you mean portraits.judge.steps?"),
        ("psi", 1, "psi is not a parameter. Did you mean data_generation.psi or"),
        ("data.psi", 1, "Did you mean data_generation.psi or sampling.psi"),
        ("train.xyz", 1, "train.xyz is not a parameter. Known here: max_it, val_it"),
        ("portraits.clip.text_heads", 7, "a multiple of text_heads, 7, got 128."),
        ("portraits.generator.resolution", 24, "portraits.generator.resolution must"),
        ("ablation.ensemble_size", 12, "any more. Priors are trained side by side"),
        ("ablation.studies.best_of.values", [0], "best_of must be a whole number, 1 "),
        ("data.bs", "x", 'data.bs must be a whole number, 1 or more, got "x".'),
        ("data.bs", 1.0, "data.bs must be a whole number, 1 or more, got 1.0."),
        ("data.bs", True, "data.bs must be a whole number, 1 or more, got true."),
        (
            "data.bs",
            {"x": 1},
            'must be a whole number, 1 or more, got {"x": 1}.',
        ),
        ("data", 3, "data must be a group of parameters, got 3."),
        ("train.lr", "fast", 'train.lr must be a number, above 0, got "fast".'),
        ("train.lr", float("nan"), "train.lr must be a number, above 0, got NaN."),
        (
            "data.latent_repeats",
            3,
            "a list, each a whole number, 1 or more, got 3.",
        ),
        ("data.latent_repeats", [1.5], "latent_repeats.0 must be a whole number"),
        (
            "data_generation.out_image_size",
            "x",
            "a whole number, 1 or more, or null",
        ),
        ("data_generation.dtype", "int8", "must be one of float32, float16, got"),
        ("resume", "no", 'resume must be true or false, got "no".'),
        ("logging", "print", 'logging must be one of wandb or null, got "print".'),
        ("device", "gpu", "device must be auto, cpu, cuda or cuda:N, got 'gpu'."),
        ("data.bs", 0, "data.bs must be a whole number, 1 or more, got 0."),
        ("validation.guidance_scales", [1, 3], 'text_score_g3, got "text_score_g2".'),
        ("evaluation.rows.x", {"eat": 1}, "evaluation.rows.x.eat is not a"),
        ("evaluation.rows.x", {"eta": "y"}, "evaluation.rows.x.eta must be a number"),
        ("evaluation.rows.x", {"eta": 2}, "evaluation.rows.x.eta must be a number"),
        ("evaluation.rows.x", {"num_samples": 0}, "evaluation.rows.x.num_samples must"),
        ("ablation.studies.pairs.values", [0], "ablation.studies.pairs.num_pairs must"),
        ("evaluation.rows.x", 3, "evaluation.rows.x must be a group of parameters"),
        ("evaluation.rows.x", {"prior": "y"}, "rows.x.prior must be one of prior"),
        ("evaluation.rows.x", {"method": "gan"}, "rows.x.method must be one of clip2l"),
        (
            "evaluation.rows.direct.lr",
            "fast",
            "evaluation.rows.direct.lr must be a num",
        ),
        (
            "sweep.grids.x",
            3,
            "sweep.grids.x must be a group of parameters or null, got 3.",
        ),
        (
            "sweep.grids",
            {"x": {"eta": 1}},
            "sweep.grids.x.eta must be a list of values to try, got 1.",
        ),
        ("sweep.grids", {"x": {"eat": [1]}}, "sweep.grids.x.eat is not a parameter."),
        ("sweep.grids", {"x": {"prior": ["y"]}}, "x.prior must be one of prior, prior"),
        ("sweep.grids", {"x": {"eta": ["y"]}}, "sweep.grids.x.eta must"),
        ("sweep.grids", {"x": {"eta": [0, 2]}}, "sweep.grids.x.eta must"),
    ],
)
def test_wrong_parameter_is_refused_in_one_sentence(base, path, value, message):
    with pytest.raises(InputError) as refusal:
        check_parameters(override(base, path, value))
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)
    root = path.partition(".")[0]
    assert f"{root}.{root}" not in str(refusal.value)


def test_missing_parameter_is_named(base):
    tree = copy.deepcopy(base)
    del tree["train"]["lr"]
    with pytest.raises(InputError, match=r"^train.lr is missing. It must be a number"):
        check_parameters(tree)


def test_whole_number_stands_for_a_float(base):
    check_parameters(override(base, "train.lr", 1))


def flatten(tree, prefix=""):
    flat = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
