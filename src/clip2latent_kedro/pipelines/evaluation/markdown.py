"""The report in Markdown: the tables, and the claims."""

from collections.abc import Mapping, Sequence

from clip2latent_kedro.pipelines.evaluation import published
from clip2latent_kedro.pipelines.evaluation.tables import (
    Cells,
    describe_differences,
    markdown_table,
)
from clip2latent_kedro.study.claims import Claim


def compose_markdown(
    scores: Cells,
    differences: Cells,
    baseline: str | None,
    claims: Sequence[Claim],
    sureness: str,
    *,
    left_out: Mapping[str, str],
) -> str:
    """Return the scores, then what follows from them, then what the paper reports.

    Args:
        scores: Of `tables.score_cells`.
        differences: Of `tables.difference_cells`.
        baseline: What they are from.
        claims: Of `evaluation.claims`.
        sureness: Of them all, of `evaluation.claims.describe_claims`.
        left_out: Rows that are not there, and why.
    """
    parts = [markdown_table(scores)]
    if left_out:
        lines = [f"- {name}: {reason}\n" for name, reason in left_out.items()]
        parts += ["## Rows left out\n", "".join(lines)]
    if len(differences) > 1:
        title = f"## Differences from {baseline}, paired by prompt\n"
        said = f"{describe_differences(differences)}\n"
        parts += [title, said, markdown_table(differences)]
    if claims:
        lines = [f"- **{c.title}: {c.verdict}.** {c.sentence}\n" for c in claims]
        title = "## The paper's claims and ours, here\n"
        parts += [title, f"{sureness}\n", "".join(lines)]
    table = markdown_table(published.TABLE)
    parts += ["## Published figures\n", f"{published.SOURCE}\n", table]
    return "\n".join(parts)
