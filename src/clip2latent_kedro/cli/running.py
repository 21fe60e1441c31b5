"""`kedro run`: Kedro's own, with kinder overrides and refusals.

- `--params=data.bs:128` and `--params=data.bs=128` both work, may be repeated, may
  hold lists, and are laid over the `params` of a `--config` file.
- What a user can mend (`InputError`, a mistyped pipeline, environment or node, a
  file that is not there yet) ends in one sentence and exit code 2; anything else
  keeps its traceback.
"""

import copy
from collections.abc import Mapping
from typing import Any

import click
import yaml
from kedro.framework.cli import project
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from clip2latent_kedro.cli.checks import (
    check_environment,
    check_pipelines,
    check_runner,
)
from clip2latent_kedro.cli.launched import follow, is_follower, leading_all
from clip2latent_kedro.cli.overrides import merge_overrides, parse_overrides
from clip2latent_kedro.cli.refusing import refusing

FILE_PARAMS = f"{__name__}.file_params"  # where a --config file's params wait
PARAMS_HELP = """Override parameters: KEY:VALUE or KEY=VALUE, separated by commas,
dots for nesting. May be repeated; the last one wins. Example:
--params=data.bs:128,data.latent_repeats:[4,4,2]"""

LOAD_VERSIONS_HELP = """Versions to load: ENTRY:VERSION, separated by commas. May be
repeated. All entries of the same file are loaded so."""


def run_or_refuse(**options: Any) -> Any:
    """Run as Kedro does; turn what the user can mend into a sentence."""
    asked = [options["pipeline"], *(options["pipelines"] or ())]
    names = [name for name in asked if name]
    try:
        if is_follower():
            return follow()
        with refusing():
            check_environment(options["env"], options["conf_source"])
            check_pipelines(names)
            runner = options["runner"], options["is_async"], options["runner_params"]
            check_runner(*runner)
            with leading_all(names):
                return click.get_current_context().invoke(project.run, **options)
    except KeyboardInterrupt:
        click.echo("Interrupted. Resume with the same command.", err=True)
        raise click.exceptions.Exit(130) from None


def read_config(context: click.Context, option: click.Parameter, path: Any) -> Any:
    """Take the options in a `--config` file, under `run:`, as defaults.

    Its `params` are kept aside for `read_params`, which lays `--params` over them;
    Kedro's own reader would drop them all as soon as there is one `--params`.
    """
    context.meta[FILE_PARAMS] = {}
    if path is None:
        return None
    try:
        content: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
        options = dict(content["run"])
        context.meta[FILE_PARAMS] = dict(options.pop("params", {}))
        if "load_versions" in options:
            options["load_versions"] = _as_items(options["load_versions"])
    except (
        yaml.YAMLError,
        OmegaConfBaseException,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        msg = f"{path} must be YAML of the form `run: {{pipeline: ..., params: ...}}`."
        raise click.BadParameter(msg) from error
    known = {known_option.name for known_option in context.command.params}
    if unknown := sorted(set(options) - known):
        msg = f"{path} names options that `run` does not have: {', '.join(unknown)}."
        raise click.BadParameter(msg)
    context.default_map = {**(context.default_map or {}), **options}
    return path


def read_params(
    context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> dict[str, Any]:
    """Return the parameters of the `--config` file under those of `--params`."""
    in_file = context.meta[FILE_PARAMS]
    return merge_overrides([in_file, *(parse_overrides(text) for text in values)])


def read_runner_params(
    context: click.Context, option: click.Parameter, value: str | Mapping[str, Any]
) -> dict[str, Any]:
    """Return the runner's arguments, from the command line or a `--config` file."""
    return dict(value) if isinstance(value, Mapping) else parse_overrides(value)


def read_load_versions(
    context: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """Return the versions by entry."""
    versions: dict[str, str] = {}
    for item in (item for text in values for item in text.split(",")):
        entry, _, version = (part.strip() for part in item.partition(":"))
        if not entry or not version:
            msg = f"{item.strip()!r} must be ENTRY:VERSION."
            raise click.BadParameter(msg)
        if versions.setdefault(entry, version) != version:
            msg = f"{entry} must have one version, got {versions[entry]} and {version}."
            raise click.BadParameter(msg)
    return versions


def _as_items(versions: Any) -> list[str]:
    """Return ENTRY:VERSION of what a `--config` file has, a mapping or such items."""
    if isinstance(versions, Mapping):
        return [f"{entry}:{version}" for entry, version in versions.items()]
    return [versions] if isinstance(versions, str) else [*map(str, versions)]


def adapt_option(option: click.Parameter) -> click.Parameter:
    """Return one of Kedro's options, with our reader where there is one."""
    if option.name == "params":
        return click.Option(
            ["--params"],
            multiple=True,
            type=click.UNPROCESSED,
            callback=read_params,
            help=PARAMS_HELP,
        )
    if option.name == "load_versions":
        return click.Option(
            ["--load-versions", "-lv"],
            multiple=True,
            callback=read_load_versions,
            help=LOAD_VERSIONS_HELP,
        )
    option = copy.copy(option)
    if option.name == "runner_params":
        option.callback = read_runner_params
    if option.name == "config":
        option.callback = read_config
        option.is_eager = True  # before --params, wherever it stands on the line
    return option


run = copy.copy(project.run)
run.params = [adapt_option(option) for option in project.run.params]
run.callback = run_or_refuse
