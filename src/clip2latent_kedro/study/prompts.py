"""From a table of prompts to queries."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder
from clip2latent_kedro.methods.method import Queries
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.metrics.attributes import NOT_STATED


def rows_of(table: Any) -> list[dict[str, str]]:
    """Return the rows of a table of prompts, or none where a domain has no table.

    Args:
        table: A pandas data frame; None without one.

    Raises:
        InputError: If it is something else.
    """
    if table is None:
        return []
    import pandas as pd  # as the table has

    if not isinstance(table, pd.DataFrame) or (len(table) and "prompt" not in table):
        found = [*getattr(table, "columns", [type(table).__name__])]
        msg = (
            f"The catalog entries prompts and prompt_bank must be tables with a column "
            f"`prompt`, got {', '.join(map(str, found))}. Read a CSV file with "
            f"pandas.CSVDataset, a text with a prompt a line with "
            f"clip2latent_kedro.datasets.PromptTableDataset."
        )
        raise InputError(msg)
    rows: Any = table.fillna("").astype(str).to_dict("records")
    return list(rows)


@torch.no_grad()
def read_queries(
    table: Sequence[Mapping[Any, str]],
    encoder: Encoder,
    attributes: Mapping[str, Sequence[str]],
    *,
    num_prompts: int | None,
    held_out: Encoder | None = None,
) -> Queries:
    """Return the first prompts of a table, embedded.

    Args:
        table: Rows with `prompt` and, for each attribute, the stated value or "".
        encoder: Text -> embedding.
        attributes: What a judge can tell: names and their values; empty without one.
        num_prompts: How many; None for all.
        held_out: The encoder that only scores; None if there is none.

    Raises:
        InputError: If there are no prompts, or if they state what the judge does
            not know.
    """
    if not table or any(not row.get("prompt", "").strip() for row in table):
        msg = (
            f"prompts must have a text in the column `prompt` of each row, got "
            f"{len(table)} rows. Correct the table of prompts."
        )
        raise InputError(msg)
    rows = table[:num_prompts]
    texts = [row["prompt"] for row in rows]
    return Queries(
        texts=texts,
        embedding=encoder.encode_text(texts),
        stated=read_stated(rows, attributes),
        held_out_embedding=None if held_out is None else held_out.encode_text(texts),
    )


def read_bank(
    table: Any, models: Models, *, num_prompts: int, num_skipped: int, where: str
) -> Queries:
    """Return prompts of the bank, on which settings are chosen, embedded.

    Args:
        table: The prompt bank (see `rows_of`).
        models: Encoders and judge.
        num_prompts: How many.
        num_skipped: The first prompts, which are left to the validation.
        where: Name of the parameter that says how many, for the message.

    Raises:
        InputError: If there are too few.
    """
    rows = rows_of(table)[num_skipped:]
    if len(rows) < num_prompts:
        msg = (
            f"{where} must be at most {len(rows)}, the prompts of the bank that the "
            f"validation does not use, got {num_prompts}."
        )
        raise InputError(msg)
    return embed_rows(rows, models, num_prompts=num_prompts)


def embed_rows(
    table: Sequence[Mapping[Any, str]], models: Models, *, num_prompts: int | None
) -> Queries:
    """Return the first prompts of a table, embedded by the encoders of a domain."""
    judge = models.judge
    return read_queries(
        table,
        models.encoder,
        {} if judge is None else judge.attributes,
        num_prompts=num_prompts,
        held_out=models.held_out,
    )


def check_disjoint(prompts: Iterable[str], prompt_bank: Iterable[str]) -> None:
    """Check that no text of the comparison is one by which settings are chosen.

    Args:
        prompts: Of the comparison.
        prompt_bank: Of everything else.

    Raises:
        InputError: If one is in both, but for case, punctuation and spaces.
    """
    known = {_words(text) for text in prompt_bank}
    shared = [text for text in prompts if _words(text) in known]
    if shared:
        msg = (
            f"The catalog entries prompts and prompt_bank must share no text, since "
            f"settings are chosen on the bank, got {shared[0]!r} in both"
            f"{f' and {len(shared) - 1} more' if shared[1:] else ''}. Remove it from "
            f"one of them."
        )
        raise InputError(msg)


def read_stated(
    rows: Sequence[Mapping[Any, str]], attributes: Mapping[str, Sequence[str]]
) -> np.ndarray:
    """Return value indices, [num_rows, num_attributes] int, -1 for one left open.

    Args:
        rows: Of a table of prompts (see `read_queries`).
        attributes: What a judge can tell: names and their values.

    Raises:
        InputError: If a row states what the judge does not know.
    """
    labels = np.full((len(rows), len(attributes)), NOT_STATED)
    for column, (name, values) in enumerate(attributes.items()):
        for number, row in enumerate(rows):
            value = row.get(name, "")
            if value and value not in values:
                msg = (
                    f"The prompt {row['prompt']!r} states {name} = {value!r}, expected "
                    f"one of {', '.join(values)}. Correct the table of prompts, or "
                    f"use its own judge."
                )
                raise InputError(msg)
            if value:
                labels[number, column] = list(values).index(value)
    return labels


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", text.lower()))
