"""Every variant of every study, ready to run."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.images import image_to_uint8
from clip2latent_kedro.latents import (
    LatentStatistics,
    fit_gaussian,
    repeat_latents,
)
from clip2latent_kedro.methods.clip2latent import (
    Clip2Latent,
    Clip2LatentSettings,
    ImageConditioned,
)
from clip2latent_kedro.methods.digests import digest_prior
from clip2latent_kedro.methods.method import Queries
from clip2latent_kedro.methods.models import Models
from clip2latent_kedro.pairs import TrainingPairs, summarise_pairs
from clip2latent_kedro.prior.checkpoint import prior_from_checkpoint
from clip2latent_kedro.prior.config import PriorSettings
from clip2latent_kedro.prior.diffusion import DiffusionPrior, EmbeddingStatistics
from clip2latent_kedro.prior.training import GAUSSIAN_SAMPLES, train_prior
from clip2latent_kedro.runtime import is_known_failure
from clip2latent_kedro.study.ablation.config import (
    NO_DIFFERENCE,
    OWN,
    AblationConfig,
    Groups,
    change_groups,
)
from clip2latent_kedro.study.engine import (
    PlannedVariant,
    StoredResult,
    describe_dependence,
    measure_scores,
)
from clip2latent_kedro.study.samples import shrink_images

SCORES = (
    *("clip_score", "held_out_score", "accuracy", "blended", "detected"),
    *("clip_diversity", "w_distance"),
)


@dataclass(frozen=True)
class AblationQueries:
    """What the pictures of all variants are drawn of.

    Attributes:
        texts: The prompts.
        images: Embeddings of pictures of pairs that no training saw, as queries.
        given: The first of these pictures, uint8 [strip_prompts, h, w, 3].
    """

    texts: Queries
    images: Queries
    given: np.ndarray


@dataclass(frozen=True)
class Trained:
    """The prior of a training by one seed, or why there is none.

    Attributes:
        name: Which training.
        prior: Averaged weights.
        cpu_seconds: That it took.
    """

    name: str
    prior: DiffusionPrior | Exception
    cpu_seconds: float


class Ablation:
    """What all variants have in common, and the work that some of them share.

    Variants of equal trainings share the priors, as long as they follow each other,
    and those that differ in `best_of` alone the samples that they choose from.
    """

    def __init__(
        self,
        config: AblationConfig,
        models: Models,
        queries: AblationQueries,
        *,
        seed: int,
        stored_image_size: int,
    ) -> None:
        """Measure the training data.

        Args:
            config: `params:ablation`.
            models: With the prior of variants that are not trained for, and the pairs
                to train on, among which those kept for validation are not.
            queries: What is asked.
            seed: The first of the seeds.
            stored_image_size: Largest side of images in memory.
        """
        assert models.training_pairs is not None
        self.pairs = models.training_pairs
        self.models, self.queries = models, queries
        self._config, self._stored_image_size = config, stored_image_size
        self._seeds = range(seed, seed + config.num_seeds)
        w, _ = self.pairs.take(slice(0, GAUSSIAN_SAMPLES))
        self._gaussian = fit_gaussian(torch.from_numpy(w))
        prior = models.find_prior("prior")
        statistics = prior.embedding_statistics
        self._prior_digest = digest_prior(prior)
        self._text_mean = None if statistics is None else statistics.text_mean
        self._training_seconds = 0.0
        self._trained: dict[int, Trained] = {}  # by seed, the last of each
        self._measured: dict[tuple[str, int], dict[int, dict[str, np.ndarray]]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Travel without what has been computed here."""
        return {**vars(self), "_training_seconds": 0.0, "_trained": {}, "_measured": {}}

    def plan(self, base: Groups) -> list[PlannedVariant]:
        """Return every variant, in the order of the studies.

        Args:
            base: The parameters by group.

        Raises:
            InputError: If a value is out of its range; the message names the study.
        """
        planned = []
        choices: dict[str, set[int]] = {}  # values of `best_of`, by what is sampled
        for study in self._config.read_studies().values():
            budget = self._config.budget_of(study)
            for variant in study.variants():
                try:
                    groups = change_groups(base, {**budget, **variant.overrides})
                except InputError as error:
                    msg = f"ablation.studies.{study.name}: {error}"
                    raise InputError(msg) from None
                training = describe_training(groups) if study.retrains else None
                samples = _name({**_sampling(groups), "training": training})
                shared = choices.setdefault(samples, set())
                shared.add(groups[OWN].best_of)
                depends_on = self._describe(groups, training)
                compute = partial(self._compute, groups, training, samples, shared)
                settings = depends_on["settings"]
                planned.append(
                    PlannedVariant(
                        variant,
                        settings,
                        depends_on,
                        compute,
                        parts=list(self._seeds),
                        together=_name(training),
                    )
                )
        return planned

    def _describe(
        self, groups: Groups, training: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Return everything that the result of a variant depends on."""
        own = {"best_of": groups[OWN].best_of, "training": training}
        protocol = {
            "num_samples": self._config.num_samples,
            "seeds": list(self._seeds),
            "strip_prompts": self._config.strip_prompts,
            "stored_image_size": self._stored_image_size,
            "pairs": self.pairs.settings,
            "num_pairs": len(self.pairs),
        }
        if training is None:
            protocol["prior"] = self._prior_digest
        elif self._text_mean is not None:
            protocol["text_mean"] = self._text_mean.tolist()
        depends_on = describe_dependence(
            self.models,
            self._asked(groups),
            None,
            {**_sampling(groups), **own},
            __name__,
            **protocol,
        )
        depends_on["made_by"]["pairs"] = self.pairs.made_by
        return depends_on

    def _asked(self, groups: Groups) -> Queries:
        is_text = groups[OWN].condition == "text"
        return self.queries.texts if is_text else self.queries.images

    def _compute(
        self,
        groups: Groups,
        training: Mapping[str, Any] | None,
        samples: str,
        choices: set[int],
        seed: int,
    ) -> StoredResult:
        """Return scores by prompt, of one seed, and pictures; the first to train pays.

        Facts are the seconds that training took now, and of a study that trains the
        CPU seconds that the prior took.
        """
        before = self._training_seconds
        if (samples, seed) not in self._measured:
            prior = self._find_prior(groups, training, seed)
            self._measured[samples, seed] = measure_scores(
                {seed: self._build(groups, prior)},
                self._asked(groups),
                self.models,
                self._gaussian,
                num_samples=self._config.num_samples,
                choices=sorted(choices),
                num_pictures=self._config.strip_prompts,
                stored_image_size=self._stored_image_size,
            )
        facts = {"training_seconds": self._training_seconds - before}
        if training is not None:
            facts["training_cpu_seconds"] = self._trained[seed].cpu_seconds
        return self._measured[samples, seed][groups[OWN].best_of], facts

    def _find_prior(
        self, groups: Groups, training: Mapping[str, Any] | None, seed: int
    ) -> DiffusionPrior:
        """Return the prior of a seed, trained if it takes a training."""
        if training is None:
            return self.models.find_prior("prior")
        name = _name(training)
        if seed not in self._trained or self._trained[seed].name != name:
            began = time.perf_counter()
            self._trained[seed] = self._train(name, groups, seed)
            self._training_seconds += time.perf_counter() - began
        found = self._trained[seed].prior
        if isinstance(found, Exception):  # of all variants of this training
            raise found
        return found

    def _train(self, name: str, groups: Groups, seed: int) -> "Trained":
        began = time.process_time()
        found: DiffusionPrior | Exception
        try:
            found = train_variant(
                seed,
                pairs=self.pairs,
                groups=groups,
                device=self.models.device,
                text_mean=self._text_mean,
            )
        except Exception as error:
            if not is_known_failure(error):
                raise
            found = error
        return Trained(name, found, time.process_time() - began)

    def _build(self, groups: Groups, prior: DiffusionPrior) -> Clip2Latent:
        """Return what samples from a prior."""
        models = replace(self.models, priors={"prior": prior})
        is_text = groups[OWN].condition == "text"
        method = Clip2Latent if is_text else ImageConditioned
        settings = Clip2LatentSettings(**vars(groups["sampling"]))
        return method.build(settings, models, self._asked(groups))


def train_variant(
    seed: int,
    *,
    pairs: TrainingPairs,
    groups: Groups,
    device: str,
    text_mean: Tensor | None,
) -> DiffusionPrior:
    """Return the prior of a variant, averaged weights.

    Args:
        seed: Of first weights, batches and noise.
        pairs: All of them may be trained on.
        groups: Settings of the variant.
        device: Where to compute.
        text_mean: Mean of unit-length embeddings of texts, [clip_dim], which the prior
            keeps; None if unknown.

    Raises:
        InputError: If there are too few pairs, or the loss is not finite.
    """
    wanted = groups[OWN].num_pairs or len(pairs)
    if wanted > len(pairs):
        msg = (
            f"num_pairs must be at most the {len(pairs)} pairs to train on, got "
            f"{wanted}. Make more pairs, or lower train.val_pairs."
        )
        raise InputError(msg)
    w, embedding = pairs.take(slice(0, wanted))
    own = TrainingPairs(w, embedding, {**pairs.recipe, "n_samples": wanted})
    summary = summarise_pairs(own)
    mean, std, embedding_mean = (
        torch.tensor(summary[name]) for name in ("mean", "std", "embedding_mean")
    )
    last = groups["train"].max_it
    (checkpoint,) = train_prior(
        own,
        LatentStatistics(mean, std),
        EmbeddingStatistics(embedding_mean, summary["embedding_norm"], text_mean),
        PriorSettings(
            groups["data"],
            groups["model.network"],
            groups["model.diffusion"],
            replace(groups["train"], val_pairs=0, val_it=last, save_it=last),
            seed,
        ),
        device=device,
    )
    return prior_from_checkpoint(checkpoint)


def describe_training(groups: Groups) -> dict[str, Any]:
    """Return all that decides the prior of a variant but pairs and seed."""
    names = ("data", "model.network", "model.diffusion", "train")
    settings = {name: asdict(groups[name]) for name in names}
    for name in NO_DIFFERENCE:
        del settings["train"][name]
    return {**settings, "num_pairs": groups[OWN].num_pairs}


@torch.no_grad()
def read_pictures(
    models: Models,
    kept: tuple[Tensor, Tensor],
    *,
    strip_prompts: int,
    stored_image_size: int,
) -> tuple[Queries, np.ndarray]:
    """Return pictures of pairs as queries, and the first of them, uint8 [k, h, w, 3].

    What a text states is here what the judge sees in the picture itself.

    Args:
        models: Generator and what reads its images.
        kept: w [n, num_latents, w_dim] and embedding [n, clip_dim] of the pictures.
        strip_prompts: Pictures to return.
        stored_image_size: Their largest side.
    """
    w, embedding = (part.to(models.device) for part in kept)
    layers = repeat_latents(w, models.latent_repeats)
    image = models.generator.synthesis(layers, noise_mode="const")
    judge, held_out = models.judge, models.held_out
    nothing = np.empty((len(w), 0), dtype=np.int64)
    queries = Queries(
        texts=[f"picture {number + 1}" for number in range(len(w))],
        embedding=embedding,
        stated=nothing if judge is None else judge.classify(image).cpu().numpy(),
        held_out_embedding=None if held_out is None else held_out.encode_image(image),
    )
    given = shrink_images(image[:strip_prompts], stored_image_size)
    return queries, image_to_uint8(given)


def _sampling(groups: Groups) -> dict[str, Any]:
    """Return all that decides the samples of a prior."""
    sampling, condition = asdict(groups["sampling"]), groups[OWN].condition
    return {"sampling": sampling, "condition": condition}


def _name(settings: Any) -> str:
    return json.dumps(settings, sort_keys=True)
