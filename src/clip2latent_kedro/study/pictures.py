"""Pictures of a comparison one by one: what each scores."""

import numpy as np

from clip2latent_kedro.methods.method import Queries
from clip2latent_kedro.study.samples import Samples
from clip2latent_kedro.study.scoring import score_prompts

_MADE_OF = (  # what scores are made of, sample by sample
    *("image_embedding", "held_out_embedding", "seen", "certainty", "detected"),
)
_OF_ONE = ("clip_score", "held_out_score", "accuracy", "blended", "detected")


def score_chosen(
    samples: Samples, queries: Queries, number: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the scores of one sample of each prompt, those that apply, [num_prompts].

    Args:
        samples: What `sample_images` returned.
        queries: What was asked.
        number: Of the sample of each prompt, [num_prompts] int.
    """
    rows = np.arange(len(number))
    chosen = {
        name: samples[name][rows, number][:, None]
        for name in _MADE_OF
        if name in samples
    }
    found = score_prompts(chosen, queries)
    return {name: found[name] for name in _OF_ONE if np.isfinite(found[name]).any()}
