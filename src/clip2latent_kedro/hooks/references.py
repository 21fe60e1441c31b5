"""What the catalog says of the frozen models, for those who share a prior."""

from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

REFERENCES, MODELS = "model_references", ("generator", "encoder")


class ReferenceHooks:
    """Tells the pipeline `export` how generator and encoder are loaded.

    A node sees a loaded model, and not how the catalog describes it.
    """

    @hook_impl
    def before_pipeline_run(
        self, pipeline: Pipeline, catalog: CatalogProtocol[str, Any]
    ) -> None:
        """Fill `model_references` where a pipeline reads it."""
        if REFERENCES in pipeline.inputs():
            entries: dict[str, Any] = {name: catalog.get(name) for name in MODELS}
            described = {name: entry._describe() for name, entry in entries.items()}
            catalog.save(REFERENCES, described)
