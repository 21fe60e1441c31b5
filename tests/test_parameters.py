"""The tree of parameters: what every environment has, and what is refused."""

import copy
import random

import pytest
import yaml
from mutations import NUM_EACH
from projects import CONF, load_parameters, override, walk

from clip2latent_kedro.cli.overrides import merge_overrides
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.parameters import check_parameters

ENVIRONMENTS = sorted({path.parent.name for path in CONF.glob("*/parameters*.yml")})


@pytest.fixture(scope="module")
def base():
    return load_parameters()


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_environment_is_valid_and_knows_every_parameter(env, base):
    tree = load_parameters(env)
    check_parameters(tree)
    # Rows and grids have names of the environment's own.
    named = tuple(f"{group}." for group in ("evaluation.rows", "sweep.grids"))
    first, second = (
        {name for name, _ in walk(each) if not name.startswith(named)}
        for each in (tree, base)
    )
    assert first == second


@pytest.mark.parametrize("preset", sorted(CONF.glob("presets/*.yml")), ids=str)
def test_every_preset_is_valid(preset):
    params = yaml.safe_load(preset.read_text())["run"]["params"]
    check_parameters(load_parameters(**merge_overrides([params])))


def test_every_parameter_is_explained_beside_its_value():
    for path in CONF.glob("base/parameters*.yml"):
        for line in path.read_text().splitlines():
            assert "#" in line or line.rstrip() in ("", "model:", "train:"), line


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("data.bz", 1, "data.bz is not a parameter. Did you mean data.bs?"),
        ("model.network.hedas", 1, "Did you mean model.network.heads?"),
        ("portraits.judge.stepz", 1, "Did you mean portraits.judge.steps?"),
        ("psi", 1, "psi is not a parameter. Did you mean data_generation.psi or"),
        ("data.psi", 1, "Did you mean data_generation.psi or sampling.psi?"),
        ("train.xyz", 1, "train.xyz is not a parameter. Known here: max_it, val_it"),
        ("portraits.judge.width", 12, "judge.width must be a multiple of 8, got 12."),
        ("portraits.clip.text_heads", 3, "a multiple of text_heads, got 128 and 3."),
        ("portraits.generator.resolution", 24, "In portraits.generator, "),
        ("data_generation.out_image_size", 0, "out_image_size must be 1 or more"),
        ("ablation.studies.best_of.values", [0], "best_of must be a whole number, 1 "),
        ("data.bs", "x", 'data.bs must be a whole number, got "x".'),
        ("data.bs", 1.0, "data.bs must be a whole number, got 1.0."),
        ("data.bs", True, "data.bs must be a whole number, got true."),
        ("data.bs", {"x": 1}, 'data.bs must be a whole number, got {"x": 1}.'),
        ("data", 3, "data must be a group of parameters, got 3."),
        ("train.lr", "fast", 'train.lr must be a number, got "fast".'),
        ("train.lr", float("nan"), "train.lr must be a number, got NaN."),
        ("data.latent_repeats", 3, "must be a list, each a whole number, got 3."),
        ("data.latent_repeats", [1.5], "latent_repeats.0 must be a whole number"),
        ("data_generation.out_image_size", "x", "must be a whole number or null"),
        ("data_generation.dtype", "int8", "must be one of float32, float16, got"),
        ("resume", "no", 'resume must be true or false, got "no".'),
        ("logging", "print", 'logging must be one of wandb or null, got "print".'),
        ("device", "gpu", "device must be auto, cpu, cuda or cuda:N, got 'gpu'."),
        ("device", "cpu:0", "device must be auto, cpu, cuda or cuda:N, got 'cpu:0'."),
        ("data.bs", 0, "data.bs must be 1 or more, got 0."),
        ("inference.num_samples", 0, "inference.num_samples must be 1 or more, got 0"),
        ("inference.image_batch_size", 0, "image_batch_size must be 1 or more, got 0"),
        ("train.best_by", "fid", "train.best_by must be one of validation_loss, image"),
        ("validation.guidance_scales", [1, 3], "text_score_g3, got 'text_score_g2'."),
        ("validation.num_samples", 0, "validation.num_samples must be 1 or more, got"),
        ("evaluation.rows.x", {"eat": 1}, "evaluation.rows.x.eat is not a"),
        ("evaluation.rows.x", {"eta": "y"}, "In evaluation.rows.x, sampling.eta"),
        ("evaluation.rows.x", {"eta": 2}, "In evaluation.rows.x, sampling.eta"),
        ("evaluation.rows.x", 3, "evaluation.rows.x must be a group of parameters"),
        ("evaluation.rows.x", {"prior": "y"}, "rows.x.prior must be one of prior"),
        ("evaluation.rows.x", {"method": "gan"}, "rows.x.method must be one of clip2l"),
        (
            "evaluation.rows.direct.lr",
            "fast",
            "In evaluation.rows.direct, baselines.optimisation.strong.lr must be a num",
        ),
        ("evaluation.baseline", "x", "evaluation.baseline must be one of the rows,"),
        ("evaluation.only", "x", "evaluation.only must be names of rows, of random_w"),
        ("sweep.grids.x", 3, "sweep.grids.x must be a group of parameters, got 3."),
        ("sweep.grids", {"x": {"eta": 1}}, "sweep.grids.x.eta must be a list of"),
        ("sweep.grids", {"x": {"eta": ["y"]}}, "In sweep.grids.x, sampling.eta must"),
        ("sweep.grids", {"x": {"eta": [0, 2]}}, "In sweep.grids.x, sampling.eta must"),
        ("train.max_it", 10**30, "train.max_it must be a number of at most"),
        ("data.bs", 10**400, "data.bs must be a number of at most"),
        ("data_generation.n_samples", 2**31, "must be a number of at most 2147483647"),
        ("train.lr", 1e300, "train.lr must be a number"),
        ("train.lr", 10**30, "train.lr must be a number"),
        ("baselines.clip2gan.lr", 1e31, "clip2gan.lr must be a number"),
        ("train.weight_decay", float("inf"), "weight_decay must be a number"),
        ("baselines.optimisation.strong.l2_lambda", 10**400, "must be a number"),
        ("evaluation.rows.x", {"num_steps": 10**30}, "num_steps must be a number of"),
        ("portraits.judge.steps", 0, "portraits.judge.steps must be 1 or more, got"),
        ("portraits.judge.lr", -1.0, "portraits.judge.lr must be above 0, got -1.0."),
        ("portraits.clip.text_layers", 0, "portraits.{clip,clip_held_out}.text_layers"),
        ("portraits.vae.beta", -0.5, "portraits.vae.beta must be 0 or more"),
        ("portraits.clip.ema_beta", 1.0, "clip_held_out}.ema_beta must be 0 or"),
        ("evaluation.rows.x", {"method": []}, "evaluation.rows.x.method must be one"),
        ("inference.prompts", ["a", ["b"]], "inference.prompts must be a string or a"),
    ],
)
def test_wrong_parameter_is_refused_in_one_sentence(base, path, value, message):
    with pytest.raises(InputError) as refusal:
        check_parameters(override(base, path, value))
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_missing_parameter_is_named(base):
    tree = copy.deepcopy(base)
    del tree["train"]["lr"]
    with pytest.raises(InputError, match=r"^train.lr is missing. Set it in conf/"):
        check_parameters(tree)


def test_whole_number_stands_for_a_float(base):
    check_parameters(override(base, "train.lr", 1))


VALUES = [
    "x", "", "a man, smiling: yes", "h\u00e9 \u2603", "\ud800", True, None, 0, -1, 0.5,
    -0.5, 10**9, 10**30, 10**400, 1e300, float("nan"), float("inf"), -float("inf"), [],
    [1], [[1, [2]]], [None], {}, {"a": {"b": 1}},
]  # fmt: skip


def test_values_of_any_kind_are_taken_or_refused_in_sentences(base):
    tried = [(path, value) for path, _ in walk(base) for value in VALUES]
    num_refused = 0
    for path, value in random.Random(0).sample(tried, min(3 * NUM_EACH, len(tried))):
        try:
            check_parameters(override(base, path, value))
        except InputError:
            num_refused += 1
    assert num_refused > NUM_EACH
