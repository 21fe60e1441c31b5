import json
from dataclasses import replace

import pytest
from clip2latent_kedro.prior.record import Record


def feed(record, scores, first=1):
    """Add a row for each score; weights are named by their step."""
    for step, score in enumerate(scores, start=first):
        row = record.add(step, 0.5, {record._best_by: score})
        record.keep_if_best(row, lambda step=step: {"weights_of": step})
    return record


@pytest.mark.parametrize(
    ("best_by", "scores", "best"),
    [
        ("validation_loss", [0.3, 0.1, 0.2], 2),
        ("validation_loss", [0.3, 0.1, 0.1], 3),
        ("image_similarity", [0.3, 0.1, 0.2], 1),
        ("text_score_g2", [0.1, 0.3, 0.2, 0.3, 0.3, 0.2], 5),
    ],
)
def test_best_is_the_least_loss_or_the_highest_score_and_the_later_of_equals(
    best_by, scores, best
):
    record = feed(Record(best_by, None), scores)
    assert (record.best_step, record.best) == (best, {"weights_of": best})


@pytest.mark.parametrize("split", range(5))
def test_a_record_goes_on_from_a_checkpoint(finished, split):
    scores = [0.2, 0.5, 0.1, 0.5, 0.4]
    whole = feed(Record("text_score_g1", None), scores)
    half = feed(Record("text_score_g1", None), scores[:split])
    start = replace(
        finished, history=half.history, best=half.best, best_step=half.best_step
    )
    resumed = feed(Record("text_score_g1", start), scores[split:], first=split + 1)
    assert vars(resumed) == vars(whole)
    assert len(start.history) == split  # the checkpoint itself does not grow


def test_a_row_without_the_score_is_never_the_best():
    record = Record("text_score_g2", None)
    row = record.add(3, 0.5, {"validation_loss": 0.1})
    record.keep_if_best(row, lambda: {"a": 1})
    assert (record.best_step, record.best) == (0, {})


def test_rows_are_valid_json_whatever_is_measured():
    record = Record("image_similarity", None)
    scores = {"validation_loss": float("nan"), "image_similarity": float("inf")}
    row = record.add(4, 0.5, {**scores, "text_score_g1": 0.25})
    assert row == {"step": 4, "loss": 0.5, "text_score_g1": 0.25}
    assert json.loads(json.dumps(record.history, allow_nan=False)) == [row]
