"""Directions learned where the boundaries are known."""

import numpy as np
import pytest
import torch
from editing.linear_world import (
    BASIS,
    BIG,
    GLAD,
    W_DIM,
    LinearEncoder,
    LinearGenerator,
    LinearJudge,
    SureJudge,
    code_of,
    make_w,
)
from torch.nn import functional
from world import seeded

from clip2latent_kedro.editing import EditTarget
from clip2latent_kedro.editing.directions.boundaries import (
    confident_rows,
    fit_hyperplane,
    learn_boundary,
    project_apart,
)
from clip2latent_kedro.editing.directions.class_means import (
    ClassMeans,
    measure_class_means,
    shift_of,
    shrink,
    transport_of,
)
from clip2latent_kedro.editing.directions.config import DirectionsConfig
from clip2latent_kedro.editing.directions.direction import apply_directions
from clip2latent_kedro.editing.directions.learning import (
    KINDS,
    learn_direction,
    learn_directions,
    unit_offset,
)
from clip2latent_kedro.editing.directions.measuring import (
    find_sources,
    measure_direction,
    random_latents,
)
from clip2latent_kedro.editing.directions.principal import (
    find_component,
    fit_components,
)
from clip2latent_kedro.editing.directions.samples import (
    Contrast,
    contrast_of,
    sample_latents,
)
from clip2latent_kedro.editing.texts import text_direction
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.methods.method import UnavailableError

CONFIG = DirectionsConfig(num_samples=600, share=0.2)
GLADNESS = BASIS[:, 3]


def sample(judge=None, encoder=None, num=600, confounding=0.0, seed=0):
    return sample_latents(
        LinearGenerator(confounding),
        encoder,
        judge,
        num_samples=num,
        seed=seed,
        batch_size=128,
    )


LATENTS = sample(LinearJudge())


def cosine(one, other):
    return float(functional.cosine_similarity(one.double(), other.double(), dim=0))


def learn(kind, target=GLAD, latents=LATENTS, config=CONFIG, **given):
    return learn_direction(kind, latents, target, config, **given)


def test_samples_are_the_same_whatever_the_batch():
    other = sample_latents(
        LinearGenerator(), None, SureJudge(), num_samples=600, seed=0, batch_size=600
    )
    torch.testing.assert_close(other.w, LATENTS.w)
    assert torch.equal(other.labels, LATENTS.labels)
    mood = other.log_odds[1]
    torch.testing.assert_close(
        mood[:, 1].clamp(-8, 8),
        (4 * code_of(other.w)[:, 3]).clamp(-8, 8),
        atol=1e-2,
        rtol=1e-3,
    )
    assert not torch.equal(sample(LinearJudge(), seed=1).w, LATENTS.w)


@pytest.mark.parametrize("kind", ["boundary", "class_means"])
@pytest.mark.parametrize("judge", [LinearJudge(), SureJudge()])
def test_a_linear_attribute_is_found(kind, judge):
    """The mood is the sign of one coordinate; a unit is a deviation of w along it."""
    found = learn(kind, latents=sample(judge))
    offset = found.offset[0]
    assert cosine(offset, GLADNESS) > 0.995
    std = (LATENTS.w @ functional.normalize(offset, dim=0)).std()
    torch.testing.assert_close(offset.norm(), std)
    assert found.name == f"glad_{kind}"
    assert found.made_with["attribute"] == "mood"
    if kind == "boundary":
        assert found.made_with["accuracy"] == 1.0


@pytest.mark.parametrize("kind", ["boundary", "class_means", "transport"])
def test_the_same_seed_gives_the_same_direction(kind):
    assert torch.equal(learn(kind).offset, learn(kind).offset)


def test_a_transport_takes_the_old_value_away():
    """Whatever the size was, it is large then, and nothing else has changed."""
    found = learn("transport", BIG)
    w = make_w(40, seed=3)
    code = code_of(apply_directions(w, [(found, 1.0)]))[:, 0]
    torch.testing.assert_close(
        code[:, :3], torch.tensor([[0.0, 0, 1]]).expand(40, 3), atol=0.03, rtol=0
    )
    torch.testing.assert_close(code[:, 3:], code_of(w)[:, 0, 3:], atol=0.06, rtol=0)
    along = apply_directions(w, [(learn("class_means", BIG), 3.0)])
    kept = code_of(along)[:, 0, :2]  # a shift leaves small and medium different
    small, medium = (
        code_of(w)[:, 0, i] == code_of(w)[:, 0, :3].amax(1) for i in (0, 1)
    )
    assert (kept[small, 0] > kept[small, 1] + 0.5).all()
    assert (kept[medium, 1] > kept[medium, 0] + 0.5).all()


def test_conditional_means_leave_out_what_goes_with_a_class():
    """Where the large ones are mostly glad, plain means of size are glad, too."""
    latents = sample(LinearJudge(), confounding=1.5, num=2000)
    plain, apart = (
        learn("class_means", BIG, latents, DirectionsConfig(conditional=c, shrinkage=1))
        for c in (False, True)
    )
    largeness = BASIS[:, :3] @ torch.tensor([-1.0, -1, 2])
    assert abs(cosine(plain.offset[0], GLADNESS)) > 0.3
    assert abs(cosine(apart.offset[0], GLADNESS)) < 0.03
    assert cosine(apart.offset[0], largeness) > 0.97

    moved, kept = (
        code_of(apply_directions(make_w(50), [(one, 1.0)]))[:, 0, 3]
        for one in (
            learn("transport", BIG, latents, DirectionsConfig(conditional=c))
            for c in (False, True)
        )
    )
    before = code_of(make_w(50))[:, 0, 3]
    assert (kept - before).abs().max() < 0.05 < (moved - before).abs().max()


def test_whitened_means_are_fisher_s_discriminant():
    contrast = contrast_of(LATENTS, GLAD, None, share=0.1)
    means = measure_class_means(contrast, conditional=False)
    w, has = contrast.w.double().numpy(), contrast.has.numpy()
    difference = w[has].mean(0) - w[~has].mean(0)
    rest = np.where(has[:, None], w - w[has].mean(0), w - w[~has].mean(0))
    within = rest.T @ rest / len(w)
    np.testing.assert_allclose(means.within.numpy(), within, atol=1e-9)
    plain = shift_of(means, shrinkage=1.0).numpy()
    np.testing.assert_allclose(
        plain, difference / np.linalg.norm(difference), atol=1e-6
    )
    regular = 0.7 * within + (0.3 + 1e-6) * np.trace(within) / W_DIM * np.eye(W_DIM)
    fisher = np.linalg.solve(regular, difference)
    found = shift_of(means, shrinkage=0.3).numpy()
    np.testing.assert_allclose(found, fisher / np.linalg.norm(fisher), atol=1e-6)


def test_a_shrunk_covariance_has_its_size():
    covariance = torch.diag(torch.arange(4.0))
    for share in (0.0, 0.5, 1.0):
        torch.testing.assert_close(
            shrink(covariance, share).trace(), covariance.trace()
        )
    torch.testing.assert_close(shrink(covariance, 1.0), 1.5 * torch.eye(4))


def test_a_transport_reads_past_what_others_add():
    """Effects that lean on each other are told apart all the same."""
    effects = torch.zeros(2, W_DIM, dtype=torch.float64)
    effects[0, 0], effects[1, 0] = -1, 1
    others = torch.zeros(1, W_DIM, dtype=torch.float64)
    others[0, :2] = 1  # half of it lies along the attribute itself
    identity = torch.eye(W_DIM, dtype=torch.float64)
    half = torch.full((2,), 0.5, dtype=torch.float64)
    means = ClassMeans(0 * effects[0], effects, half, 1, others, identity)
    step, destination = transport_of(means, shrinkage=0.0)
    torch.testing.assert_close(step, 2 * effects[1], atol=1e-6, rtol=0)
    w = (effects[0] + 3 * others[0]).float()[None, None]
    moved = w + destination.step(w)
    expected = (effects[1] + 3 * others[0]).float()[None, None]
    torch.testing.assert_close(moved, expected, atol=1e-5, rtol=0)


def test_a_conditional_boundary_is_orthogonal_to_the_others():
    """Two attributes whose hyperplanes lean on each other, by 60 degrees."""
    w = torch.randn(2000, W_DIM, generator=seeded(8))
    axes = torch.zeros(2, W_DIM)
    axes[0, 0], axes[1, :2] = 1, torch.tensor([0.5, 0.75**0.5])
    has, other = ((w @ axis > 0) for axis in axes)
    contrast = Contrast(w, has.long(), 1, None, {"other": other.long()})
    normal, accuracy = learn_boundary(contrast, DirectionsConfig(conditional=False), 0)
    assert cosine(normal, axes[0]) > 0.99
    assert accuracy > 0.95
    found, _, _ = fit_hyperplane(w, other, CONFIG, 0)
    assert cosine(found, axes[1]) > 0.99
    apart, same = learn_boundary(contrast, DirectionsConfig(conditional=True), 0)
    assert abs(cosine(apart, found)) < 1e-5
    torch.testing.assert_close(apart.norm(), torch.tensor(1.0))
    expected = normal.double() - (normal.double() @ found) * found
    assert cosine(apart, expected) > 0.9999
    assert accuracy == same


def test_projection_follows_the_paper():
    """n_1 - (n_1 . n_2) n_2, of unit length; of several, apart from all they span."""
    one, two, three = functional.normalize(
        torch.randn(3, W_DIM, generator=seeded(), dtype=torch.float64), dim=1
    )
    left = one - (one @ two) * two
    torch.testing.assert_close(project_apart(one, [two]), left / left.norm())
    apart = project_apart(one, torch.stack([two, three, two + three]))
    torch.testing.assert_close(
        apart @ two, torch.tensor(0.0).double(), atol=1e-12, rtol=0
    )
    torch.testing.assert_close(
        apart @ three, torch.tensor(0.0).double(), atol=1e-12, rtol=0
    )
    torch.testing.assert_close(project_apart(one, []), one)
    with pytest.raises(UnavailableError, match="Nothing of the boundary is left"):
        project_apart(two + three, [two, three])


def test_the_surest_are_learned_from():
    score = torch.tensor([0.9, 0.1, 0.8, 0.3, 0.7, 0.2, 0.6, 0.4, 0.5, 0.0] * 10)
    rows = confident_rows(score, score > 0.45, 0.1)
    assert len(rows) == 20
    assert set(score[rows[:10]].tolist()) == {score[9].item()}
    assert set(score[rows[10:]].tolist()) == {score[0].item()}


def test_one_of_whom_something_is_asked_is_learned_among_those():
    target = EditTarget("glad", "sad", "mood", "glad", only={"size": "large"}, name="x")
    contrast = contrast_of(LATENTS, target, None, share=0.1)
    assert len(contrast.w) == int((LATENTS.values_of("size") == 2).sum())
    assert (code_of(contrast.w)[:, 2] > 0.5).all()
    assert contrast.others == {}
    assert set(contrast_of(LATENTS, GLAD, None, share=0.1).others) == {"size"}
    free = EditTarget("glad", "sad", "mood", "glad", free=["size"], name="x")
    assert contrast_of(LATENTS, free, None, share=0.1).others == {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("attribute", [None, "mood"])
def test_without_a_judge_clip_tells(kind, attribute):
    """By the texts, top against bottom: the mood again."""
    target = EditTarget("glad", "sad", attribute, "glad", name="glad")
    latents = sample(encoder=LinearEncoder())
    along = text_direction(LinearEncoder(), target)
    torch.testing.assert_close(along, torch.tensor([1.0, 0.0]))
    found = learn(kind, target, latents, text_direction=along)
    assert "attribute" not in found.made_with
    strength = 1.0 if kind == "transport" else 2.0
    moved = apply_directions(make_w(50), [(found, strength)])
    if kind != "principal":
        assert (code_of(moved)[:, 0, 3] > 0).all()
    else:
        assert found.made_with["sign"] in (-1.0, 1.0)


def test_what_cannot_be_learned_is_refused():
    with pytest.raises(UnavailableError, match=r"not embedded. Give an encoder"):
        learn("boundary", EditTarget("glad", "sad", name="glad"))
    for unknown in ({"value": "angry"}, {"value": "glad", "only": {"size": "huge"}}):
        target = EditTarget("a", "b", "mood", name="x", **unknown)
        with pytest.raises(
            InputError, match="x must have a value that the judge knows"
        ):
            learn("boundary", target)
    few = sample(LinearJudge(), num=12)
    with pytest.raises(UnavailableError, match=r"of 12\. Raise editing.directions.num"):
        learn("class_means", BIG, few)


def test_a_generator_whose_layers_differ_is_refused():
    class Layered(LinearGenerator):
        def mapping(self, z, *, psi=1.0):
            return super().mapping(z) * torch.arange(10.0)[:, None]

    with pytest.raises(UnavailableError, match="that all layers share, which linear"):
        sample_latents(Layered(), None, None, num_samples=5, seed=0)


def test_all_kinds_are_learned_and_one_has_the_plain_name():
    config = DirectionsConfig(kind="transport", num_samples=600)
    given = {"text_directions": {}, "made_with": {"seed": 7}}
    found = list(learn_directions(LATENTS, [GLAD, BIG], config, **given))
    names = [one.name for one in found]
    assert len(names) == len(set(names)) == 10
    by_name = {one.name: one for one in found}
    assert by_name["big"].destination is by_name["big_transport"].destination
    assert all(one.made_with["seed"] == 7 for one in found)
    assert {one.made_with["kind"] for one in found} == set(KINDS)


def test_effects_are_what_the_judge_sees():
    generator, judge = LinearGenerator(), LinearJudge()
    w = random_latents(generator, 60, seed=1)
    sources, read = find_sources(w, BIG, generator, judge, batch_size=7)
    assert (read[:, 0] != 2).all()
    assert len(sources) == int(
        (judge.classify(generator.synthesis(w))[:, 0] != 2).sum()
    )
    found = learn("transport", BIG)
    none, half, full = measure_direction(
        found, BIG, [0.0, 0.4, 1.0], generator, judge, sources, read, batch_size=7
    )
    assert (none.gained, none.kept) == (0.0, 1.0)
    assert half.gained == 0.0  # less than half of the way
    assert (full.gained, full.kept) == (1.0, 1.0)
    assert find_sources(w, EditTarget("a", "b"), generator, judge)[1] is None


def test_components_are_those_of_the_covariance():
    scales = torch.tensor([5.0, 1.0, 3.0, 0.5])
    turn = torch.linalg.qr(torch.randn(4, 4, generator=seeded()))[0]
    w = torch.randn(20_000, 4, generator=seeded(1)) * scales @ turn.T + 2
    components = fit_components(w, 3)
    torch.testing.assert_close(
        components.std, torch.tensor([5.0, 3.0, 1.0]), rtol=0.03, atol=0
    )
    for number, axis in enumerate((0, 2, 1)):
        assert abs(cosine(components.axes[number], turn[:, axis])) > 0.999
    coordinates = components.coordinates(w)
    torch.testing.assert_close(
        coordinates.T @ coordinates / (len(w) - 1), torch.eye(3), atol=1e-3, rtol=0
    )
    step = components.direction(1, layers=[0])
    moved = apply_directions(w[:3, None].expand(3, 2, 4), [(step, 2.0)])
    difference = components.coordinates(moved) - coordinates[:3, None]
    expected = torch.zeros(3, 2, 3)
    expected[:, 0, 1] = 2.0
    torch.testing.assert_close(difference, expected, atol=1e-4, rtol=0)
    placed = apply_directions(w[:3, None], [(components.place(2, -1.5), 1.0)])
    found = components.coordinates(placed)[:, 0]
    torch.testing.assert_close(found[:, 2], torch.full((3,), -1.5), atol=1e-4, rtol=0)
    torch.testing.assert_close(found[:, :2], coordinates[:3, :2], atol=1e-4, rtol=0)
    assert find_component(components, w, coordinates[:, 1] < 0) == (1, -1.0)
    with pytest.raises(InputError, match="component must be of 0 to 2, got 3"):
        components.direction(3)


def test_a_unit_is_a_standard_deviation():
    w = torch.randn(30_000, 4, generator=seeded()) * torch.tensor([2.0, 1, 1, 1])
    offset = unit_offset(torch.tensor([1.0, 0, 0, 0]), w)
    torch.testing.assert_close(
        offset, torch.tensor([[2.0, 0, 0, 0]]), rtol=0.02, atol=0
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"share": 0.6},
        {"kind": "x"},
        {"val_share": 1.0},
        {"strengths": []},
        {"shrinkage": 2},
    ],
)
def test_wrong_settings_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=f"{name} must be"):
        DirectionsConfig(**wrong)
