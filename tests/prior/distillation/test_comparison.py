import pytest
import torch

from clip2latent_kedro.prior.distillation.comparison import StudentComparison

from .worlds import STD, LinearStudent, make_student, make_teacher


def make_comparison(num):
    teacher = make_teacher(teacher_steps=100)
    embedding = torch.randn(num, 16, generator=torch.Generator().manual_seed(3))
    return StudentComparison(teacher, embedding)


def make_linear(spread, follow):
    network = LinearStudent().requires_grad_(False)
    network.spread.fill_(spread)
    network.follow.fill_(follow)
    return make_student(network)


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_spread_is_that_within_a_condition(share):
    """Conditions lie far from each other here, whatever the spread of their samples."""
    scores = make_comparison(200)(make_linear(share * STD, 1.0))
    assert scores["spread"] == pytest.approx(share, abs=0.02)


def test_only_the_same_distribution_has_no_distance():
    compare = make_comparison(200)
    same = compare(make_linear(STD, 1.0))["validation_loss"]
    assert same == pytest.approx(0, abs=0.005)
    for other in (make_linear(0.5 * STD, 1.0), make_linear(STD, 0.7)):
        assert compare(other)["validation_loss"] > 0.02


def test_the_same_student_is_given_the_same_scores():
    student = make_linear(0.3, 0.5)
    compare = make_comparison(20)
    assert compare(student) == compare(student)
    assert make_comparison(0)(student) == {}
