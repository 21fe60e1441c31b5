"""Pictures of a study one by one, for its report."""

from collections.abc import Mapping, Sequence

import numpy as np

from clip2latent_kedro.study.ablation.config import StudySpec
from clip2latent_kedro.study.ablation.plan import SCORES, Ablation
from clip2latent_kedro.study.cells import Cell, Column, Picture, Table
from clip2latent_kedro.study.engine import PlannedVariant, StoredResult
from clip2latent_kedro.study.tables import TITLES


def show_pictures(
    spec: StudySpec,
    variants: Sequence[PlannedVariant],
    results: Mapping[str, StoredResult],
    setup: Ablation,
    seed: int,
) -> Table:
    """Return what each variant of a study draws of the same prompts and seed.

    Args:
        spec: The study.
        variants: Its own, in their order.
        results: All that are stored.
        setup: What `prepare` returned.
        seed: `params:seed`, the first of the seeds.

    Returns:
        A row for each variant, so that what a setting does is seen from row to row;
        first the picture that was given, where it was drawn of one.
    """
    queries = {"text": setup.queries.texts, "image": setup.queries.images}
    shown = len(setup.queries.given)
    conditions = {one.settings["condition"] for one in variants}
    texts = {name: queries[name].texts[:shown] for name in sorted(conditions)}
    titles = zip(*texts.values(), strict=True)
    columns = [Column(" / ".join(dict.fromkeys(of_one))) for of_one in titles]
    rows = []
    if "image" in conditions:
        given = [
            Cell(picture=Picture(pixels, f"given: {text}", {"prompt": text}))
            for pixels, text in zip(setup.queries.given, texts["image"], strict=True)
        ]
        rows.append([Cell("given"), *given])
    for one in variants:
        arrays = results[one.key][0]
        pictures = arrays.get("pictures", np.empty(0))
        label, condition = one.variant.label, one.settings["condition"]
        cells = [Cell() for _ in range(shown)]
        for number in range(min(shown, len(pictures))):
            text = texts[condition][number]
            scores = {
                f"{TITLES[name]}, mean of the images of this seed": arrays[name][0][
                    number
                ]
                for name in SCORES
                if name in arrays
            }
            facts = {"prompt": text, "variant": label, "seed": str(seed)}
            facts |= {k: f"{v:.3f}" for k, v in scores.items() if np.isfinite(v)}
            picture = Picture(pictures[number], f"{label}: {text}", facts)
            cells[number] = Cell(picture=picture)
        rows.append([Cell(label, link=(spec.name, label)), *cells])
    return Table(f"Pictures: {spec.title}", [Column("variant"), *columns], rows)
