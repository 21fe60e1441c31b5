"""Which catalog entries have files that can be fetched ahead."""

from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

FETCHABLE = "fetchable_entries"


class ModelHooks:
    """Tells the pipeline `models` what the other pipelines read."""

    @hook_impl
    def before_pipeline_run(
        self, pipeline: Pipeline, catalog: CatalogProtocol[str, Any]
    ) -> None:
        """Fill `fetchable_entries` where a pipeline reads it.

        These are the entries, by name, that have a method `fetch_files` and that some
        pipeline of the project reads but none makes.
        """
        if FETCHABLE not in pipeline.inputs():
            return
        registered = pipelines.values()
        read = set().union(*(known.inputs() for known in registered))
        made = set().union(*(known.all_outputs() for known in registered))
        stored = {name for name in read - made if not name.startswith("params:")}
        entries = {name: catalog.get(name) for name in sorted(stored)}
        catalog.save(
            FETCHABLE,
            {name: e for name, e in entries.items() if hasattr(e, "fetch_files")},
        )
