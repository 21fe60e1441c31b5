"""Project settings that Kedro reads (hooks, configuration loader, plugins)."""

import warnings
from pathlib import Path

from clip2latent_kedro import hooks

# `--pipeline` is the documented spelling here; Kedro 1.7 would rather `--pipelines`.
warnings.filterwarnings("ignore", message=r"Option .--pipeline. is deprecated")
# omegaconf 2.4 warns each time that Kedro registers its own resolvers again.
warnings.filterwarnings("ignore", message=r".*register_new_resolver.*")

PACKAGE = Path(__file__).parent

HOOKS = (
    hooks.ParameterHooks(),
    hooks.CatalogHooks(),
    hooks.ResultHooks(),
    hooks.TrialHooks(),
    hooks.WandbHooks(),
)

CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # An environment that sets one key of `data:` keeps the others of base.
    "merge_strategy": {"parameters": "soft"},
    # ${package:PATH} is what comes with the package, wherever that is installed.
    "custom_resolvers": {"package": lambda path: str(PACKAGE / path)},
}

# Nothing is sent anywhere, from a packaged run either (see also .telemetry).
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-telemetry",)
