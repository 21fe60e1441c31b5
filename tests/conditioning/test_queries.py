import pytest
import torch
from torch.nn import functional
from world import ColourEncoder

from clip2latent_kedro.conditioning import EmbeddedQueries, embed_queries
from clip2latent_kedro.errors import InputError

ENCODER = ColourEncoder()
RED, GREEN = torch.eye(3)[0], torch.eye(3)[1]


def picture(*colour):
    return torch.tensor(colour)[:, None, None].expand(3, 4, 4)


def test_a_sum_is_of_directions_whatever_the_lengths():
    found = embed_queries(ENCODER, [[("3 0 0", 1.0), ("0 5 0", 0.5)], "0 0 7"])
    expected = functional.normalize(torch.tensor([[1, 0.5, 0], [0, 0, 1]]), dim=1)
    torch.testing.assert_close(found.direction, expected)
    assert found.has_text.all()


def test_texts_and_images_are_summed_and_negative_weights_lead_away():
    queries = [[("2 0 0", 1), (picture(0, 0.5, 0), -1)], picture(0.0, 0, 0.3)]
    found = embed_queries(ENCODER, queries)
    expected = functional.normalize(torch.tensor([[1.0, -1, 0], [0, 0, 1]]), dim=1)
    torch.testing.assert_close(found.direction, expected)
    assert found.has_text.tolist() == [True, False]


def test_what_occurs_twice_is_embedded_once():
    image = picture(0.0, 0, 0.3)
    queries = ["1 0 0", [("1 0 0", 1), (image, 1)], image, [("1 0 0", 1)] * 2]
    found = embed_queries(ENCODER, queries)
    assert found.text.shape == found.image.shape == (1, 3)
    assert found.weights.tolist() == [[1, 0], [1, 1], [0, 1], [2, 0]]


def test_plain_texts_are_their_own_sums():
    text = torch.tensor([[3.0, 0, 4], [0, 2, 0]])
    found = EmbeddedQueries.of_texts(text)
    torch.testing.assert_close(found.direction, functional.normalize(text, dim=1))
    assert found.has_text.all()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (5, "got 5"),
        ([], r"got \[\]"),
        (["1 0 0", "0 1 0"], r"list of either with their weights.*got \['1 0 0'"),
        ([("1 0 0", "much")], "got"),
        ([("1 0 0", float("nan"))], "got"),
        (torch.zeros(1, 4, 4), r"an image \[3, h, w\].*got \[1, 4, 4\]"),
        ([("1 0 0", 1.0), ("2 0 0", -1.0)], r"must not cancel, got weights \[1.0, -1"),
        ([("1 0 0", 0.0)], "must not cancel"),
    ],
)
def test_what_is_no_query_is_refused(query, message):
    with pytest.raises(InputError, match=message):
        embed_queries(ENCODER, ["0 0 1", query])
