"""Refusal of wrong parameters, and of parts of a pipeline that lack an input."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol, MemoryDataset
from kedro.pipeline import Pipeline

from clip2latent_kedro.errors import InputError

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext


class ParameterHooks:
    """Refuses what cannot work before anything runs."""

    @hook_impl(tryfirst=True)  # before others read them
    def after_context_created(self, context: "KedroContext") -> None:
        """Check the whole parameter tree, overrides included."""
        # Only here: a command that runs nothing needs none of the science.
        from clip2latent_kedro.parameters import check_parameters

        loader = context.config_loader
        try:
            tree = loader["parameters"]
        except TypeError as error:  # OmegaConf does not say which
            overrides, loader.runtime_params = loader.runtime_params, {}
            check_parameters(_lay_over(loader["parameters"], overrides))
            msg = (
                "--params must give a list where conf/ has a list, and a group where "
                "it has a group, got one for the other. Change it in conf/."
            )
            raise InputError(msg) from error
        check_parameters(tree)
        loader["parameters"] = tree  # read once; Kedro and others ask for it again

    @hook_impl(trylast=True)  # after those that fill entries
    def before_pipeline_run(
        self, pipeline: Pipeline, catalog: CatalogProtocol[str, Any]
    ) -> None:
        """Check that what is neither stored nor made is not needed."""
        lacking = [name for name in sorted(pipeline.inputs()) if _lacks(catalog, name)]
        if lacking:
            from kedro.framework.project import pipelines  # as they are configured

            made_by = [
                node.name
                for each in pipelines.values()
                for node in each.nodes
                if not set(lacking).isdisjoint(node.outputs)
            ]
            needed = ", ".join(dict.fromkeys(made_by)) or "the whole pipeline"
            msg = (
                f"The nodes of a run must find what they read, got none of "
                f"{', '.join(lacking)}, which no run stores. Run "
                f"{needed} with them."
            )
            raise InputError(msg)


def _lacks(catalog: CatalogProtocol[str, Any], name: str) -> bool:
    if name not in catalog:
        return True
    entry: Any = catalog.get(name)
    return isinstance(entry, MemoryDataset) and not entry.exists()


def _lay_over(tree: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tree with overrides, a group of which replaces what is no group."""
    merged = dict(tree)
    for name, value in overrides.items():
        before = merged.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            value = _lay_over(before, value)
        merged[name] = value
    return merged
