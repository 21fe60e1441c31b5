"""What a row of the comparison has answered, if it was asked the same."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Judge, SightedJudge
from clip2latent_kedro.methods.method import Queries
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.metrics.attributes import NOT_STATED
from clip2latent_kedro.study.coverage.zero_shot import ZeroShotJudge
from clip2latent_kedro.study.engine import (
    StoredResult,
    describe_scorers,
    digest_prompts,
)
from clip2latent_kedro.study.samples import Samples

NOT_SHOWN = NOT_STATED  # an attribute that cannot be seen has no value
MEND = "Run the pipeline evaluation to see what it gets right."


def find_answers(
    answers: Mapping[str, StoredResult], row: str, models: Models, queries: Queries
) -> Samples:
    """Return what is stored of a row of the comparison (see `sample_images`).

    Args:
        answers: All that are stored.
        row: Its name.
        models: Of the coverage, but with the judge of the comparison.
        queries: All prompts, with what they state to that judge.

    Raises:
        InputError: If it has no answers, or was asked by other models or of other
            prompts than these.
    """
    if row not in answers or answers[row][1].get("problem") is not None:
        msg = f"The row {row} has no answers yet. {MEND}"
        raise InputError(msg)
    samples, record = answers[row]
    stored = record.get("depends_on", {})
    prompts = samples["prompts"].tolist()
    expected = {
        "generator": models.generator.identity.digest,
        **describe_scorers(models),
        "latent_repeats": list(models.latent_repeats),
    }
    differs = [name for name, value in expected.items() if stored.get(name) != value]
    is_known = all(number < len(queries.texts) for number in prompts)
    if not is_known or stored.get("prompts") != digest_prompts(queries.take(prompts)):
        differs.append("prompts")
    if differs:
        msg = f"The answers of the row {row} are of other {', '.join(differs)}. {MEND}"
        raise InputError(msg)
    return samples


def read_shown(samples: Samples, judge: Judge | None) -> np.ndarray:
    """Return what images of a row show, [num_prompts, num_samples, num_attributes] int.

    Args:
        samples: What `find_answers` returned.
        judge: That of the comparison, or a zero-shot one of the encoder that only
            scores, or else of the encoder; None tells no attributes.
    """
    if isinstance(judge, ZeroShotJudge):
        name = "held_out_embedding"
        embedding = samples[name if name in samples else "image_embedding"]
        rows = torch.from_numpy(embedding).flatten(0, 1)
        seen = judge.classify_embedding(rows).view(*embedding.shape[:2], -1).numpy()
    else:
        seen = samples["seen"].astype(np.int64)
    found: np.ndarray = hide_unseen(torch.from_numpy(seen), judge).numpy()
    return found


def hide_unseen(values: Tensor, judge: Judge | None) -> Tensor:
    """Return value indices, -1 for each attribute that a picture does not show.

    Args:
        values: What the judge has classified, [..., num_attributes] int64.
        judge: One that is sighted knows what cannot be seen.
    """
    if not isinstance(judge, SightedJudge):
        return values
    rows = values.reshape(-1, values.shape[-1])
    hidden = rows.masked_fill(~judge.visible(rows), NOT_SHOWN)
    return hidden.view_as(values)
