"""Versions that a run is told to load."""

from pathlib import PurePath
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol, Version
from kedro.pipeline import Pipeline

from clip2latent_kedro.datasets.versions import describe_versions, list_versions
from clip2latent_kedro.errors import InputError


class VersionHooks:
    """Loads a named version wherever its file is read, or refuses it.

    Several catalog entries may read one file, and Kedro gives the version to the one
    that is named alone.
    """

    @hook_impl
    def after_catalog_created(self, conf_catalog: dict[str, Any]) -> None:
        """Refuse a version in the catalog, which Kedro would pass over."""
        for entry, config in conf_catalog.items():
            if isinstance(config, dict) and "version" in config:
                msg = (
                    f"The catalog entry {entry} must not set a version, got "
                    f"{config['version']!r}. Name it by "
                    f"--load-versions={entry}:VERSION."
                )
                raise InputError(msg)

    @hook_impl(tryfirst=True)
    def before_pipeline_run(
        self,
        run_params: dict[str, Any],
        pipeline: Pipeline,
        catalog: CatalogProtocol[str, Any],
    ) -> None:
        """Give each named version to all entries of its file that the run reads."""
        named: dict[str, str] = run_params["load_versions"] or {}
        if not named:
            return
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
