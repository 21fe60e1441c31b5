"""What a run's catalog is told before nodes run: versions, and what only it knows."""

import sys
from pathlib import PurePath
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol, Version
from kedro.pipeline import Pipeline

from clip2latent_kedro.datasets.versions import describe_versions, list_versions
from clip2latent_kedro.errors import InputError

ENGINES = "engines"
FETCHABLE = "fetchable_entries"
WORLDS = ("portraits", "faces")  # pipelines that make the models of a world
REFERENCES, MODELS = "model_references", ("generator", "encoder")


class CatalogHooks:
    """Loads named versions, and fills the entries that are of the run itself.

    A node sees what an entry loads, and not how the catalog describes it: so the
    pipeline `models` is given the entries whose files can be fetched, and `export` how
    generator and encoder are loaded.
    """

    @hook_impl
    def after_catalog_created(self, conf_catalog: dict[str, Any]) -> None:
        """Refuse a version in the catalog, which Kedro would pass over.

        And an empty mapping, which once stood for what a domain does not have.
        """
        for entry, config in conf_catalog.items():
            if isinstance(config, dict) and "version" in config:
                msg = (
                    f"The catalog entry {entry} must not set a version, got "
                    f"{config['version']!r}. Name it by "
                    f"--load-versions={entry}:VERSION."
                )
                raise InputError(msg)
            if isinstance(config, dict) and config.get("data") == {}:
                msg = (
                    f"The catalog entry {entry} must not be an empty mapping. If the "
                    f"domain has none, write {entry}: {{ type: "
                    f"clip2latent_kedro.datasets.NothingDataset }}."
                )
                raise InputError(msg)

    @hook_impl(tryfirst=True)
    def before_pipeline_run(
        self,
        run_params: dict[str, Any],
        pipeline: Pipeline,
        catalog: CatalogProtocol[str, Any],
    ) -> None:
        """Set the versions to load, and fill what the pipeline reads of the catalog."""
        load_named_versions(run_params["load_versions"] or {}, pipeline, catalog)
        if ENGINES in pipeline.inputs():
            # Only here: a command that runs nothing needs no torch.
            from clip2latent_kedro.engines import ENGINE_PARAMETERS, read_engines

            written = {
                name: catalog.load(f"params:{name}") for name in ENGINE_PARAMETERS
            }
            catalog.save(ENGINES, read_engines(written))
        if FETCHABLE in pipeline.inputs():
            catalog.save(FETCHABLE, find_fetchable(catalog))
        if REFERENCES in pipeline.inputs():
            entries: dict[str, Any] = {name: catalog.get(name) for name in MODELS}
            described = {name: entry._describe() for name, entry in entries.items()}
            catalog.save(REFERENCES, described)

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Let other runs write what this one has written, though the process stays."""
        release_locks()

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Do as after a run that went well."""
        release_locks()


def release_locks() -> None:
    """Release what a run has locked; nothing, if no entry that locks was in use."""
    locks = sys.modules.get("clip2latent_kedro.datasets.locks")
    if locks is not None:
        locks.release_all()


def find_fetchable(catalog: CatalogProtocol[str, Any]) -> dict[str, Any]:
    """Return the entries, by name, whose files can be fetched ahead.

    They have a method `fetch_files`, and some pipeline of the project reads them but
    none makes them. What a pipeline reads that makes the models of a world is fetched
    when it runs: who uses the models has no need of it.
    """
    from kedro.framework.project import pipelines  # as they are configured

    registered = [known for name, known in pipelines.items() if name not in WORLDS]
    read = set().union(*(known.inputs() for known in registered))
    made = set().union(*(known.all_outputs() for known in registered))
    stored = {name for name in read - made if not name.startswith("params:")}
    entries = {name: catalog.get(name) for name in sorted(stored)}
    return {name: e for name, e in entries.items() if hasattr(e, "fetch_files")}


def load_named_versions(
    named: dict[str, str], pipeline: Pipeline, catalog: CatalogProtocol[str, Any]
) -> None:
    """Load each named version wherever its file is read, or refuse it.

    Several catalog entries may read one file, and Kedro gives the version to the one
    that is named alone.

    Args:
        named: Versions by entry, of `--load-versions`.
        pipeline: What is run.
        catalog: Whose entries that the run reads are changed.

    Raises:
        InputError: If there is no such version, or the run has no use for it.
    """
    read: list[Any] = [catalog.get(name) for name in sorted(pipeline.all_inputs())]
    chosen: dict[PurePath, str] = {}
    for entry, version in named.items():
        dataset: Any = catalog.get(entry)
        known = list_versions(entry, dataset)
        if version not in known:
            problem = f"{entry} has none of that name"
            raise InputError(describe_versions(version, known, problem))
        path = dataset._filepath
        if chosen.setdefault(path, version) != version:
            msg = (
                f"load-versions must name one version of {path}, got "
                f"{chosen[path]} and {version}. Leave one out."
            )
            raise InputError(msg)
        readers = [
            reader
            for reader in read
            if getattr(reader, "_filepath", None) == path and reader._version
        ]
        if not readers:
            msg = (
                f"load-versions must name entries that the run reads, got {entry}, "
                f"whose file it does not read. Leave it out."
            )
            raise InputError(msg)
        for reader in readers:
            reader._version = Version(version, reader._version.save)
