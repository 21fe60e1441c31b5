"""Which failures are the user's to mend, and the sentence that says how."""

import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml
from kedro.config import MissingConfigException
from kedro.framework.project import pipelines, settings
from kedro.io.core import DatasetError, DatasetNotFoundError, VersionNotFoundError
from omegaconf.errors import OmegaConfBaseException

from clip2latent_kedro.errors import InputError


def explain(error: BaseException) -> str | None:
    """Return the sentence for an error that the user can mend, None for a bug."""
    chain = list(_chain(error))
    for link in chain:
        if isinstance(link, InputError):
            return str(link)
    for link in chain:
        if isinstance(link, FileNotFoundError) and isinstance(error, DatasetError):
            return _explain_missing(link)
    if isinstance(error, MissingConfigException | VersionNotFoundError):
        return str(error)
    if isinstance(error, DatasetNotFoundError) and "'load_versions'" in str(error):
        return f"{error} Name entries that are in conf/*/catalog*.yml."
    if isinstance(error, DatasetError) and _raised_in(error, "clip2latent_kedro."):
        return str(error)  # our own datasets say what is wrong and how to mend it
    if isinstance(error, OmegaConfBaseException | yaml.YAMLError):
        return f"The configuration cannot be read: {str(error).splitlines()[0]}."
    if isinstance(error, ValueError) and _raised_in(error, "kedro.pipeline.pipeline"):
        return str(error)  # such as a mistyped --nodes or --tags
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        implicit = None if error.__suppress_context__ else error.__context__
        error = error.__cause__ or implicit


def _explain_missing(error: FileNotFoundError) -> str:
    if error.filename is None:
        return str(error)  # one of our own sentences
    return (
        f"{error.filename} does not exist. Run the pipeline that makes it first, or "
        f"correct its path in the catalog."
    )


def _raised_in(error: BaseException, module: str) -> bool:
    """Return whether a module whose name starts so raised an error."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals["__name__"].startswith(module)


def check_pipelines(names: Iterable[str]) -> None:
    """Raise `InputError` if a pipeline is not registered."""
    for name in names:
        if name not in pipelines:
            known = sorted(pipelines)
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            msg = f"pipeline must be one of {', '.join(known)}, got {name!r}.{hint}"
            raise InputError(msg)


def check_environment(env: str | None, conf_source: str | None) -> None:
    """Raise `InputError` if the configuration has no such environment."""
    folder = Path(conf_source or settings.CONF_SOURCE)
    if env is None or not folder.is_dir() or (folder / env).is_dir():
        return
    known = sorted({path.parent.name for path in folder.glob("*/parameters*.yml")})
    msg = f"env must be one of {', '.join(known)}, got {env!r}: {folder / env} is "
    raise InputError(msg + "not a folder.")
