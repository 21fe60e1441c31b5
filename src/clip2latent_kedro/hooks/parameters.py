"""Refusal of wrong parameters."""

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl

from clip2latent_kedro.parameters import check_parameters


class ParameterHooks:
    """Refuses misspelt and ill-typed parameters before anything runs."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Check the whole parameter tree, overrides included."""
        check_parameters(context.config_loader["parameters"])
