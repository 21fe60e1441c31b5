"""Every edit of the audit: those that choose settings, then those that are reported."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from clip2latent_kedro.editing import EDIT_METHODS, EditMethod, EditTarget
from clip2latent_kedro.editing.models import EditingModels
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.methods.method import Queries, UnavailableError
from clip2latent_kedro.runtime import derive_seed
from clip2latent_kedro.study.editing.choice import Choice, choose
from clip2latent_kedro.study.editing.config import AuditConfig, EditRow
from clip2latent_kedro.study.editing.measuring import measure_edit
from clip2latent_kedro.study.editing.pictures import Originals
from clip2latent_kedro.study.editing.scores import Ruler, make_ruler
from clip2latent_kedro.study.engine import (
    PlannedVariant,
    StoredResult,
    Variant,
    describe_dependence,
)

logger = logging.getLogger(__name__)

TUNING, AUDIT = "tuning", "audit"  # groups of variants
Results = Mapping[str, StoredResult]


class Audit:
    """All rows and targets, with the pictures that they share."""

    def __init__(
        self,
        config: AuditConfig,
        targets: Mapping[str, EditTarget],
        models: EditingModels,
        *,
        seed: int,
        stored_image_size: int,
    ) -> None:
        """Find the rows that the domain can have.

        Args:
            config: `params:editing.audit`.
            targets: `params:editing.targets`, with their names.
            models: What edits and what scores.
            seed: The first of the seeds.
            stored_image_size: Largest side of stored pictures.

        Raises:
            InputError: If none is left, or one that `only` names lacks something.
        """
        self.config, self.targets, self.models = config, targets, models
        self.seed, self._stored_image_size = seed, stored_image_size
        self._ruler: Ruler | None = None
        self._originals: dict[int, Originals] = {}
        self.rows: dict[str, EditRow] = {}
        self.lacking: dict[str, str] = {}
        for name, row in config.read_rows().items():
            problem = self._find_lacking(name, row)
            if problem is None:
                self.rows[name] = row
                continue
            if name in config.chosen_names:
                raise problem
            self.lacking[name] = str(problem)
            logger.warning("Without the row %s: %s", name, problem)
        if not self.rows:
            reasons = " ".join(self.lacking.values())
            msg = f"There is no way of editing to audit. {reasons}"
            raise InputError(msg)

    def plan_tuning(self) -> list[PlannedVariant]:
        """Return each of the tried settings on the pictures that choose."""
        return [
            self._plan(name, number, target, TUNING)
            for name, row in self.rows.items()
            for number in range(len(row.tried))
            for target in self.targets.values()
        ]

    def choose(self, planned: list[PlannedVariant], results: Results) -> dict[str, Any]:
        """Return the choice for each row, by name.

        Args:
            planned: What `plan_tuning` returned.
            results: All of theirs.
        """
        of_row: dict[str, list[dict[str, Any]]] = {
            name: [{} for _ in row.tried] for name, row in self.rows.items()
        }
        for one in planned:
            arrays, record = results[one.key]
            name, number = one.variant.label, int(one.variant.value)
            found = None if record["problem"] else arrays
            of_row[name][number][one.variant.line] = found
        return {
            name: choose(
                tried,
                max_leakage=self.config.max_leakage,
                least_kept=self.config.least_kept,
            )
            for name, tried in of_row.items()
        }

    def plan_reported(self, choices: Mapping[str, Choice]) -> list[PlannedVariant]:
        """Return what is reported: each row with what was chosen, for each target."""
        return [
            self._plan(name, choices[name].tried, target, AUDIT)
            for name in self.rows
            for target in self.targets.values()
        ]

    def find_pictures(self, target: str, num: int) -> np.ndarray:
        """Return which w the reported pictures of a target are of, [num_seeds, num].

        Args:
            target: Its name.
            num: Pictures of each seed.

        Returns:
            One number for each w, the same for all targets that edit it.
        """
        seeds = self._seeds()
        chosen = [
            self._find_originals(seed).choose(self.targets[target], num).numpy()
            for seed in seeds
        ]
        return np.stack(chosen) * len(seeds) + np.arange(len(seeds))[:, None]

    def _seeds(self) -> list[int]:
        return list(range(self.seed, self.seed + self.config.num_seeds))

    def _plan(
        self, name: str, number: int, target: EditTarget, group: str
    ) -> PlannedVariant:
        row = self.rows[name]
        tried = row.tried[number]
        settings = asdict(row.read_settings(f"editing.audit.rows.{name}", tried))
        is_tuning = group == TUNING
        num_latents = self.config.num_tuning if is_tuning else self.config.num_latents
        seeds = [derive_seed(self.seed, "tuning")] if is_tuning else self._seeds()
        protocol: dict[str, Any] = {
            "strengths": row.list_strengths(),
            "num_latents": min(num_latents, row.num_latents or num_latents),
            "num_shown": 0 if is_tuning else self.config.num_shown,
            "num_timed": 0 if is_tuning else self.config.num_timed,
            "stored_image_size": self._stored_image_size,
        }
        edit: EditMethod | InputError
        try:
            edit = self._prepare(name, row, tried, target)
        except InputError as error:
            edit = error
        prepared = edit if isinstance(edit, EditMethod) else None
        identity = self.models.identity_encoder
        texts = Queries(
            [target.target, target.neutral],
            self.models.models.encoder.encode_text([target.target]),
            np.empty((2, 0), int),
        )
        depends_on = describe_dependence(
            self.models.models,
            texts,
            prepared,
            settings,
            "clip2latent_kedro.study.editing.measuring",
            method=row.method,
            target={**asdict(target), "name": ""},
            identity_encoder=None if identity is None else str(identity.identity),
            seeds=seeds,
            psi=self.config.psi,
            protocol=protocol,
        )
        variant = Variant(
            name, tried, row.method, group, line=target.name, value=number
        )
        compute = partial(self._measure, edit, seeds, protocol)
        return PlannedVariant(variant, settings, depends_on, compute)

    def _find_lacking(self, name: str, row: EditRow) -> UnavailableError | None:
        """Return what a row lacks for every target; None if it can have one."""
        problem = None
        for target in self.targets.values():
            try:
                self._prepare(name, row, row.tried[0], target)
            except UnavailableError as error:
                problem = error
            except InputError:
                return None  # its variant will say so
            else:
                return None
        return problem

    def _prepare(
        self, name: str, row: EditRow, tried: Mapping[str, Any], target: EditTarget
    ) -> EditMethod:
        settings = row.read_settings(f"editing.audit.rows.{name}", tried)
        return EDIT_METHODS[row.method].prepare(settings, self.models, target)

    def _measure(
        self,
        edit: EditMethod | InputError,
        seeds: list[int],
        protocol: dict[str, Any],
        part: None,
    ) -> StoredResult:
        """Return the scores of a variant; one that cannot be had raises why."""
        if isinstance(edit, InputError):
            raise edit
        if self._ruler is None:
            self._ruler = make_ruler(self.models, seed=self.seed)
        originals = {seed: self._find_originals(seed) for seed in seeds}
        return measure_edit(edit, originals, self.models, self._ruler, **protocol)

    def _find_originals(self, seed: int) -> Originals:
        if seed not in self._originals:
            self._originals[seed] = Originals(
                self.models, psi=self.config.psi, seed=seed
            )
        return self._originals[seed]
