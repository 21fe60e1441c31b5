"""Variants of an ablation in a world of three colours."""

import numpy as np
import pytest
import torch
from study.ablation_world import make_ablation, make_base, make_train
from world import compute

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.study.ablation import plan as plan_module
from clip2latent_kedro.study.ablation.config import OWN, OwnConfig
from clip2latent_kedro.study.ablation.plan import train_variant

PSI = {"axis": "sampling.psi", "values": [0.5, 1.0]}
NOISE = {
    "axis": "data.embed_noise_scale",
    "values": [0.0, 1.0],
    "lines": {"text": {}, "image": {"condition": "image"}},
}


def plan(studies, base=None, **changes):
    return make_ablation(studies, **changes).plan(base or make_base())


def keys(name, **changes):
    planned = plan({"noise": NOISE, "psi": PSI}, **changes)
    return [one.key for one in planned if one.variant.group == name]


def test_only_what_decides_a_prior_trains_one_with_the_budget():
    planned = plan({"noise": NOISE, "psi": PSI})
    of_noise, of_psi = planned[:4], planned[4:]
    training = [one.settings["training"] for one in of_noise]
    assert all(t["train"]["max_it"] == 3 for t in training)
    assert [t["data"]["embed_noise_scale"] for t in training] == [0.0, 1.0] * 2
    assert training[0] == training[2]
    assert [one.together for one in of_noise[:2]] == [
        one.together for one in of_noise[2:]
    ]
    assert all(one.settings["training"] is None for one in of_psi)
    assert [one.settings["sampling"]["psi"] for one in of_psi] == [0.5, 1.0]


def test_keys_tell_what_a_result_depends_on():
    assert len(set(keys("noise") + keys("psi"))) == 6
    assert keys("noise", spread=0.5) == keys("noise")  # they have priors of their own
    assert not set(keys("psi", spread=0.5)) & set(keys("psi"))
    for changes in ({"seed": 1}, {"num_samples": 3}, {"num_seeds": 3}):
        for name in ("noise", "psi"):
            assert not set(keys(name, **changes)) & set(keys(name))
    budget = {"budget": "long"}
    assert keys("psi", **budget) == keys("psi")
    assert not set(keys("noise", **budget)) & set(keys("noise"))
    validated = make_base(train=make_train(val_it=1, save_it=2))
    assert keys("noise", base=validated) == keys("noise")  # nothing sees that


def test_a_value_that_is_out_of_range_names_its_study():
    with pytest.raises(InputError, match=r"studies\.x: psi must be a number, 0 or"):
        plan({"x": {"axis": "sampling.psi", "values": [-1.0]}})


def test_equal_trainings_share_their_priors_and_the_first_pays(monkeypatch):
    trained = []

    def train(seed, *, groups, **options):
        trained.append((groups["data"].embed_noise_scale, seed))
        return train_variant(seed, groups=groups, **options)

    monkeypatch.setattr(plan_module, "train_variant", train)
    planned = plan({"noise": NOISE}, num_seeds=2, seed=7)
    in_order = [planned[number] for number in (0, 2, 1, 3)]
    results = [compute(one) for one in in_order]
    assert trained == [(0.0, 7), (0.0, 8), (1.0, 7), (1.0, 8)]
    seconds = [facts["training_seconds"] for _, facts in results]
    assert [value > 0 for value in seconds] == [True, False, True, False]
    of_one, again, of_other, _ = (f["training_cpu_seconds"] for _, f in results)
    assert again == of_one > 0
    assert of_other != of_one
    assert 2 * of_one <= sum(seconds) + 0.05  # two priors, one after another


def test_the_budget_is_one_of_those_named_or_none():
    def steps(**changes):
        planned = plan({"noise": NOISE}, **changes)
        return planned[0].settings["training"]["train"]["max_it"]

    assert [steps(), steps(budget="long"), steps(budget=None)] == [3, 6, 4]


@pytest.mark.parametrize(
    ("error", "num_tries"), [(InputError("diverged"), 1), (TypeError("a slip"), 2)]
)
def test_a_training_that_fails_is_not_tried_for_each_line(
    monkeypatch, error, num_tries
):
    tried = []

    def fail(*arguments, **options):
        tried.append(options)
        raise error

    monkeypatch.setattr(plan_module, "train_variant", fail)
    planned = plan({"noise": NOISE})
    for one in (planned[0], planned[2]):
        with pytest.raises(type(error)):
            compute(one)
    assert len(tried) == num_tries


def test_a_variant_of_several_best_of_is_scored_from_one_draw():
    planned = plan({"x": {"axis": "best_of", "values": [1, 3]}}, spread=1.0)
    (one, _), (three, _) = (compute(each) for each in planned)
    assert one["clip_score"].shape == (2, 3)
    assert (three["clip_score"].mean(axis=1) > one["clip_score"].mean(axis=1)).all()
    again = plan({"x": {"axis": "best_of", "values": [1, 3]}}, spread=1.0)
    resumed, _ = compute(again[1])  # without the first
    for name in three:
        np.testing.assert_array_equal(resumed[name], three[name], err_msg=name)


def test_pictures_are_drawn_again_of_their_embeddings():
    """Without spread the colour of a picture is that of its embedding."""
    lines = {"text": {}, "image": {"condition": "image"}}
    ablation = make_ablation({"x": {**PSI, "values": [1.0], "lines": lines}})
    text, image = (compute(one)[0] for one in ablation.plan(make_base()))
    assert image["clip_diversity"].max() < 1e-6
    given = ablation.queries.given
    assert image["pictures"].shape == given.shape == (2, 4, 4, 3)
    asked, found = (p[:, 0, 0].astype(float) for p in (given, image["pictures"]))
    # w = mean + embedding / 2: the order of the channels' differences stays.
    assert (
        np.sign(asked[0] - asked[1]).tolist() == np.sign(found[0] - found[1]).tolist()
    )
    assert not np.allclose(text["clip_score"], image["clip_score"])


def test_a_prior_of_fewer_pairs_is_that_of_those_pairs_alone():
    ablation = make_ablation({"x": PSI})
    pairs = ablation.pairs
    options = {"device": "cpu", "text_mean": None}

    def train(pairs, **changes):
        return train_variant(3, pairs=pairs, groups=make_base(**changes), **options)

    few = train(pairs, **{OWN: OwnConfig(num_pairs=50)})
    w, embedding = pairs.take(slice(0, 50))
    first = type(pairs)(w, embedding, {**pairs.recipe, "n_samples": 50})
    alone = train(first)
    for name, weight in few.network.state_dict().items():
        assert torch.equal(weight, alone.network.state_dict()[name])
    torch.testing.assert_close(few.w_mean, torch.from_numpy(w.mean(axis=0)))
    other = train(pairs)
    assert not torch.equal(other.w_mean, few.w_mean)
    with pytest.raises(InputError, match="num_pairs must be at most the 190 pairs"):
        train(pairs, **{OWN: OwnConfig(num_pairs=191)})
