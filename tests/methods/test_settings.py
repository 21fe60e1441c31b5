"""What users write of a method's settings, over the groups of the parameters."""

import re
from dataclasses import replace

import pytest
from world import make_sampling

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.methods import make_settings
from clip2latent_kedro.methods.method import UnavailableError
from clip2latent_kedro.methods.optimisation.config import OptimisationConfig

SEARCH = OptimisationConfig(start="mean", num_steps=40, lr=0.05)
BASE = make_sampling(mean_shift=0.5)
GROUPS = {
    "sampling": BASE,
    "baselines.optimisation.strong": SEARCH,
    "baselines.optimisation.plain": replace(SEARCH, num_steps=7),
    "baselines.optimisation.styleclip": SEARCH,
    "baselines.optimisation.refine": SEARCH,
}


def test_overrides_change_what_they_name_and_keep_the_rest():
    settings = make_settings("here", {}, GROUPS)
    assert vars(settings) == {**vars(BASE), "prior": "prior"}
    overrides = {"prior": "student", "sampler": "ddim", "num_steps": 1}
    assert vars(make_settings("here", overrides, GROUPS)) == {
        **vars(BASE),
        **overrides,
    }
    assert (
        vars(make_settings("here", {"lr": 0.1}, GROUPS, "direct")).items()
        >= {
            "variant": "strong",
            "start": "mean",
            "num_steps": 40,
            "lr": 0.1,
        }.items()
    )


def test_the_group_that_overrides_change_may_depend_on_a_setting():
    assert make_settings("here", {"lr": 0.1}, GROUPS, "direct").num_steps == 40
    plain = {"variant": "plain", "lr": 0.1}
    assert make_settings("here", plain, GROUPS, "direct").num_steps == 7
    with pytest.raises(UnavailableError, match=r"no parameters baselines.optim"):
        make_settings("here", {"variant": "article"}, GROUPS, "direct")


def test_a_value_out_of_its_range_says_where_it_is():
    with pytest.raises(InputError, match=r"^here.eta must be a number, 0 or more"):
        make_settings("here", {"eta": 3.0}, GROUPS)
    with pytest.raises(InputError, match=r"^here.lr must be a number, above 0"):
        make_settings("here", {"lr": 0.0}, GROUPS, "direct")


@pytest.mark.parametrize(
    ("method", "overrides", "message"),
    [
        (
            "clip2latent",
            {"steps": 3},
            "here.steps is not a parameter. Did you mean here.num_steps",
        ),
        (
            "clip2latent",
            {"prior": "teacher"},
            'here.prior must be one of prior, prior_best, student, got "teacher"',
        ),
        ("random_w", {"psi": 1.0}, "here.psi is not a parameter. "),
        ("external", {"folder": 3}, "here.folder must be a string, got 3."),
        (
            "direct",
            {"variant": "weak"},
            'here.variant must be one of strong, plain, article, got "weak"',
        ),
        ("styleclip", {"variant": "plain"}, "here.variant is not a parameter."),
        (
            "clip2gan",
            {"bridge": "wide"},
            'here.bridge must be one of none, mean_shift, got "wide"',
        ),
        (
            "refinement",
            {"start.num_steps": 3},
            "here.start.num_steps is not a parameter. Did you mean",
        ),
        ("gan", {}, "here.method must be one of clip2latent, random_w, reference"),
        (["gan"], {}, "here.method must be one of clip2latent, random_w, reference"),
    ],
)
def test_names_and_values_that_there_are_not_are_refused(method, overrides, message):
    with pytest.raises(InputError, match=re.escape(message)):
        make_settings("here", overrides, GROUPS, method)
