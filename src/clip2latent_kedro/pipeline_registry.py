"""The pipelines that `kedro run --pipeline=NAME` knows."""

from kedro.pipeline import Pipeline

from clip2latent_kedro.pipelines import (
    ablation,
    baselines,
    coverage,
    data_generation,
    distillation,
    editing,
    evaluation,
    faces,
    inference,
    inversion,
    inverter,
    models,
    portraits,
    published,
    sweep,
    training,
    tuning,
)
from clip2latent_kedro.pipelines.editing import directions, mappers, relevance


def register_pipelines() -> dict[str, Pipeline]:
    """Return each pipeline by name; `__default__` is the method from z to scores.

    The nodes of each are a namespace of its name, which kedro viz folds into one box:
    `--nodes=training.plot_history` runs one of them, `--namespaces=training` all.
    """
    created = {
        "models": models.create_pipeline(),
        "data_generation": data_generation.create_pipeline(),
        "training": training.create_pipeline(),
        "distillation": distillation.create_pipeline(),
        "evaluation": evaluation.create_pipeline(),
        "inference": inference.create_pipeline(),
        "inversion": inversion.create_pipeline(),
        "inverter": inverter.create_pipeline(),
        "coverage": coverage.create_pipeline(),
        "sweep": sweep.create_pipeline(),
        "tuning": tuning.create_pipeline(),
        "ablation": ablation.create_pipeline(),
        "editing": editing.create_pipeline(),
        "audit": editing.create_audit_pipeline(),
        "faces": faces.create_pipeline(),
        "portraits": portraits.create_pipeline(),
        "published": published.create_pipeline(),
        "export": published.create_export_pipeline(),
        "baselines": baselines.create_pipeline(),
        "directions": directions.create_pipeline(),
        "relevance": relevance.create_pipeline(),
        "mappers": mappers.create_mappers_pipeline(),
    }
    pipelines = {
        name: Pipeline(nodes, namespace=name, prefix_datasets_with_namespace=False)
        for name, nodes in created.items()
    }
    method = ("data_generation", "training", "distillation", "evaluation")
    default = sum((pipelines[name] for name in method), start=Pipeline([]))
    return {**pipelines, "__default__": default}
