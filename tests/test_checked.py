"""Every class of settings against its annotations and its rules."""

import math
from dataclasses import is_dataclass, replace
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from annotated_types import Ge, Gt, Interval, Le, Len, Lt, MultipleOf
from test_parameters import load_parameters

from clip2latent_kedro.checked import (
    Seed,
    change_settings,
    check_types,
    describe,
    read_settings,
)
from clip2latent_kedro.encoders.compact_clip import CompactClipConfig
from clip2latent_kedro.encoders.open_clip import OpenClipOptions
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.biggan import BigGanOptions
from clip2latent_kedro.generators.lafite import LafiteConfig
from clip2latent_kedro.generators.stylegan2_config import StyleGAN2Config
from clip2latent_kedro.generators.stylegan3_config import StyleGAN3Config
from clip2latent_kedro.generators.vae import VaeConfig
from clip2latent_kedro.methods.lafite.discriminator import DiscriminatorConfig
from clip2latent_kedro.parameters import Parameters
from clip2latent_kedro.samplers import SamplingConfig
from clip2latent_kedro.study.ablation.config import OwnConfig

TREE = read_settings(Parameters, load_parameters())
LAFITE = LafiteConfig(8, 8, 16, 64, 8)
STYLEGAN3 = StyleGAN3Config(8, 0, 8, 64)
FILES = [
    StyleGAN2Config(8, 8, 16, 64, 8),
    STYLEGAN3,
    LAFITE,
    VaeConfig(6, (16, 8)),
    BigGanOptions(),
    OpenClipOptions("ViT-B-32"),
    CompactClipConfig(8, {}, {}, [1, 2], [0.5] * 3, [0.5] * 3),
    DiscriminatorConfig(16, 64, 8, 4),
    OwnConfig(),
]


def groups(settings):
    yield settings
    for value in vars(settings).values():
        if is_dataclass(value):
            yield from groups(value)


EVERY = {type(settings): settings for settings in [*groups(TREE), *FILES]}


def fields_of(kind):
    return get_type_hints(kind, include_extras=True).items()


def parts(hint):
    """Return a plain type, what is in it, and the bounds around it."""
    bounds = []
    if get_origin(hint) is Annotated:
        hint, *given = get_args(hint)
        for each in given:
            bounds += list(each) if isinstance(each, Interval) else [each]
    return get_origin(hint) or hint, get_args(hint), bounds


def wrong_values(hint):
    """Yield values that an annotation does not allow."""
    kind, inside, bounds = parts(hint)
    for bound in bounds:
        match bound:
            case Ge(limit):
                yield limit - 1
            case Gt(limit) | Lt(limit):
                yield limit
            case Le(limit) if limit < math.inf:
                yield limit + 1
            case MultipleOf(unit):
                yield unit + 1
            case Len(length):
                yield [0.5] * (length - 1)
    if kind in (int, float):
        yield from ["1", None, True, math.nan, [1], {}]
        yield 0.5 if kind is int else math.inf
        if hint is not Seed:
            yield from [10**40, -(10**40)]
    elif kind is bool:
        yield from [1, "yes", None]
    elif kind is str:
        yield from [3, None, ["a"]]
    elif kind is Literal:
        yield from ["another", None, []]
    elif kind is Union or kind is type(int | None):
        (plain,) = [each for each in inside if each is not type(None)][:1]
        right = [type(None) in inside and None, int in inside and 1]
        for value in wrong_values(plain) if len(inside) == 2 else ():
            if value is not None and not any(value is each for each in right):
                yield value
    elif isinstance(kind, type) and kind is not Any:
        yield from [3.5, "text", None]
        if kind in (list, tuple):
            yield from ([value] for value in wrong_values(inside[0]))


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_values_beyond_an_annotation_are_refused_by_name(kind):
    for name, hint in fields_of(kind):
        for value in wrong_values(hint):
            if name in ("prompts", "pictures", "vision_layers"):  # of two kinds
                continue
            with pytest.raises(InputError, match=rf"^{name}[. ].*must be .*, got "):
                replace(EVERY[kind], **{name: value})


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_bounds_themselves_are_taken(kind):
    for name, hint in fields_of(kind):
        *_, bounds = parts(hint)
        multiples = [each.multiple_of for each in bounds if type(each) is MultipleOf]
        for bound in bounds:
            match bound:
                case Ge(limit) | Le(limit) if limit < math.inf and not multiples:
                    check_types(kind, {name: limit})
                case MultipleOf(unit):
                    check_types(kind, {name: 2 * unit})


def has_range(hint):
    kind, inside, bounds = parts(hint)
    if kind in (int, float):
        return bool(bounds)
    return all(map(has_range, inside)) if inside and kind is not Literal else True


def test_every_number_has_a_range():
    free = {
        f"{kind.__name__}.{name}"
        for kind in EVERY
        for name, hint in fields_of(kind)
        if not has_range(hint)
    }
    assert free == {"StyleGAN2Config.resample_filter", "LafiteConfig.resample_filter"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"train.lr": 0.0}, "train.lr"),
        ({"train.warmup_it": -1}, "train.warmup_it"),
        ({"train.clip_grad": 0.0}, "train.clip_grad"),
        ({"train.ema_beta": 1.1}, "train.ema_beta"),
        ({"train.best_by": "fid"}, "train.best_by"),
        ({"data.embed_noise_scale": -1.0}, "data.embed_noise_scale"),
        ({"data.n_latents": 2}, "data.latent_repeats"),
        ({"data.latent_repeats": [0]}, "data.latent_repeats.0"),
        ({"data_generation.psi": -0.1}, "data_generation.psi"),
        ({"data_generation.out_image_size": 0}, "data_generation.out_image_size"),
        ({"model.network.depth": 0}, "model.network.depth"),
        ({"model.network.dim_head": 7}, "model.network.dim_head"),
        (
            {"model.network.kind": "dalle2", "model.network.dim_head": 2},
            "model.network.dim_head",
        ),
        ({"model.network.num_timesteps": 1_000_001}, "model.network.num_timesteps"),
        ({"model.diffusion.cond_drop_prob": 1.5}, "model.diffusion.cond_drop_prob"),
        ({"model.diffusion.text_embed_scale": 0}, "model.diffusion.text_embed_scale"),
        ({"distillation.num_samples": 1}, "distillation.num_samples"),
        ({"distillation.mix": 1.1}, "distillation.mix"),
        ({"distillation.guidance_range": [2.0, 1.0]}, "distillation.guidance_range"),
        ({"distillation.guidance_range": [1.0]}, "distillation.guidance_range"),
        ({"sampling.num_steps": 0}, "sampling.num_steps"),
        ({"sampling.eta": 1.1}, "sampling.eta"),
        ({"sampling.psi": -0.5}, "sampling.psi"),
        ({"sampling.guidance_scale": -1.0}, "sampling.guidance_scale"),
        (
            {"sampling.guidance": "cfgpp", "sampling.guidance_scale": 1.5},
            "sampling.guidance_scale",
        ),
        ({"sampling.guidance_interval": [0.6, 0.4]}, "sampling.guidance_interval"),
        ({"sampling.guidance_interval": [0.1, 1.4]}, "sampling.guidance_interval.1"),
        ({"sampling.truncation_quantile": 1.5}, "sampling.truncation_quantile"),
        ({"sampling.retrieval_share": 2.0}, "sampling.retrieval_share"),
        (
            {"sampling.retrieval_neighbours": 2, "sampling.retrieval_spread": 3},
            "sampling.retrieval_spread",
        ),
        ({"sampling.retrieval_concentration": 0}, "sampling.retrieval_concentration"),
        ({"validation.num_images": -1}, "validation.num_images"),
        ({"validation.guidance_scales": [2.0, 2.0]}, "validation.guidance_scales"),
        ({"evaluation.num_samples": 1}, "evaluation.num_samples"),
        ({"evaluation.confidence": 1.0}, "evaluation.confidence"),
        ({"evaluation.generator_images": 1}, "evaluation.generator_images"),
        ({"evaluation.timing_prompt": " "}, "evaluation.timing_prompt"),
        ({"evaluation.baseline": "best"}, "evaluation.baseline"),
        ({"evaluation.only": "fast,slwo"}, "evaluation.only"),
        ({"sweep.num_samples": 1}, "sweep.num_samples"),
        ({"sweep.clip_tolerance": -1.0}, "sweep.clip_tolerance"),
        ({"ablation.num_seeds": 1}, "ablation.num_seeds"),
        ({"ablation.num_samples": 1}, "ablation.num_samples"),
        ({"ablation.confidence": 1.0}, "ablation.confidence"),
        ({"ablation.only": "y"}, "ablation.only"),
        ({"inference.num_samples": 0}, "inference.num_samples"),
        ({"baselines.lafite.itc": -1.0}, "baselines.lafite.itc"),
        ({"baselines.lafite.beta1": 1.0}, "baselines.lafite.beta1"),
        ({"baselines.lafite.lam": 1.5}, "baselines.lafite.lam"),
        ({"baselines.clip2gan.ema_beta": 1.0}, "baselines.clip2gan.ema_beta"),
        ({"baselines.clip2gan.image_bs": 10**6}, "baselines.clip2gan.image_bs"),
        (
            {
                f"baselines.clip2gan.{name}_weight": 0.0
                for name in ("latent", "pixel", "clip")
            },
            "baselines.clip2gan.latent_weight",
        ),
        (
            {
                "baselines.clip2gan.latent_weight": 0.0,
                "baselines.clip2gan.images_from": 1,
            },
            "baselines.clip2gan.images_from",
        ),
        (
            {"baselines.optimisation.strong.record_steps": [3, 2]},
            "baselines.optimisation.strong.record_steps",
        ),
        (
            {"baselines.optimisation.plain.betas": [0.9]},
            "baselines.optimisation.plain.betas",
        ),
        (
            {"baselines.optimisation.plain.cutout_least": 0.0},
            "baselines.optimisation.plain.cutout_least",
        ),
        ({"portraits.vae.latent_dim": 10**4}, "portraits.vae.latent_dim"),
        ({"portraits.vae.channels": [12]}, "portraits.vae.channels.0"),
        ({"portraits.vae_flow.depth": 0}, "portraits.vae_flow.depth"),
        ({"portraits.generator.batch_size": 24}, "portraits.generator.batch_size"),
        ({"portraits.generator.resolution": 24}, "portraits.generator.resolution"),
        ({"portraits.generator.w_dim": 16}, "portraits.generator.w_dim"),
        ({"portraits.judge.width": 12}, "portraits.judge.width"),
        ({"portraits.clip.image_size": 60}, "portraits.clip.image_size"),
        ({"portraits.clip.text_width": 97}, "portraits.clip.text_width"),
        ({"portraits.clip.vision_layers": [1, 1]}, "portraits.clip.vision_layers"),
        ({"portraits.clip.token_dropout": 1.0}, "portraits.clip.token_dropout"),
        (
            {"portraits.clip_finetune.focus": {"x": 2.0}},
            "portraits.clip_finetune.focus",
        ),
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_told_by_their_full_name(changes, told):
    with pytest.raises(InputError) as refusal:
        change_settings(TREE, changes)
    assert str(refusal.value).startswith(f"{told} must be ")


@pytest.mark.parametrize(
    ("settings", "changes", "told"),
    [
        (LAFITE, {"resolution": 48}, "resolution must be a power of 2"),
        (LAFITE, {"resolution": 8192}, "resolution must be .* at most 4096"),
        (LAFITE, {"mapping_layers": 257}, "mapping_layers must be .* at most 256"),
        (LAFITE, {"resample_filter": (1, -1)}, "coefficients whose sum is not 0"),
        (LAFITE, {"resample_filter": (1,)}, "resample_filter must be 2 to 64 coeff"),
        (LAFITE, {"text_layers": {"8": "mix"}}, "text_layers must be"),
        (LAFITE, {"text_layers": {"32": "add"}}, "among 4, 8, 16, got .*32"),
        (STYLEGAN3, {"num_critical": 14}, "num_layers must be above num_critical, 14"),
        (STYLEGAN3, {"first_cutoff": 40.0}, "first_cutoff must be at most half"),
        (EVERY[VaeConfig], {"channels": (16, 12)}, r"channels\.1 must be .* of 8, got"),
        (EVERY[CompactClipConfig], {"tokens": [2, 1]}, "tokens must be ascending"),
        (EVERY[CompactClipConfig], {"tokens": []}, "tokens must be ascending"),
        (EVERY[CompactClipConfig], {"image_std": [1.0]}, "image_std must be .* 3 of"),
        (EVERY[DiscriminatorConfig], {"resolution": 4}, "resolution must be .* 8 or"),
        (EVERY[DiscriminatorConfig], {"channel_base": 8}, "the resolution, 16, or"),
        (
            EVERY[OwnConfig],
            {"num_pairs": 1},
            "num_pairs must be .*, 2 or more, or",
        ),
        (EVERY[OwnConfig], {"condition": "sound"}, "condition must be one of text, im"),
        (EVERY[BigGanOptions], {"truncation": 0}, "above 0 and at most 1, got 0"),
    ],
    ids=str,
)
def test_architectures_that_cannot_be_built_are_refused(settings, changes, told):
    with pytest.raises(InputError, match=told):
        replace(settings, **changes)


def test_changes_go_together_and_leave_the_rest():
    changes = {"sampling.retrieval_neighbours": 3, "sampling.retrieval_spread": 3}
    changed = change_settings(TREE, {**changes, "model.network.depth": 5, "seed": 4})
    assert changed.sampling == replace(
        TREE.sampling, retrieval_neighbours=3, retrieval_spread=3
    )
    assert changed.model.network == replace(TREE.model.network, depth=5)
    assert (changed.seed, changed.train) == (4, TREE.train)


def test_an_annotation_reads_as_words():
    assert (
        describe(Annotated[int, Ge(1)] | None) == "a whole number, 1 or more, or null"
    )
    assert describe(Annotated[float, Gt(0), Lt(2)]) == "a number, above 0 and below 2"
    assert describe(list[str] | str) == "a string or a list, each a string"
    assert describe(Literal["a", "b"] | None) == "one of a, b, or null"


def test_settings_of_a_file_are_of_their_types():
    right = {"sampler": "ddpm", "num_steps": 4, "guidance_scale": 2}
    config = read_settings(SamplingConfig, {**right, "guidance_interval": [0, 0.5]})
    assert config.guidance_interval == [0, 0.5]
    for name, value in (
        *(("num_steps", wrong) for wrong in (2.5, True, "4", None, [4])),
        *(("guidance_scale", wrong) for wrong in (float("nan"), "2", {})),
        *(("guidance_interval", wrong) for wrong in (0.5, ["a", "b"], None)),
        *(("sampler", wrong) for wrong in ("other", [], None)),
    ):
        with pytest.raises(InputError, match=name):
            read_settings(SamplingConfig, {**right, name: value})
    for wrong in ({**right, "extra": 1}, {"sampler": "ddpm"}, [], None):
        with pytest.raises(InputError, match=r"is not a|missing|must be a group"):
            read_settings(SamplingConfig, wrong)
