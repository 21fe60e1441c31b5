"""Which failures are the user's to mend, and the sentence that says how."""

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import torch
import yaml
from kedro.config import (
    BadConfigException,
    MissingConfigException,
    OmegaConfigLoader,
)
from kedro.framework.cli.utils import KedroCliError
from kedro.io.core import DatasetError, DatasetNotFoundError, VersionNotFoundError
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from clip2latent_kedro.errors import InputError

GO_ON = "What was stored before is whole; the same command goes on from there."
REFUSED_BY_SYSTEM = {
    errno.ENOSPC: "Make room there.",
    errno.EDQUOT: "Make room there.",
    errno.EFBIG: "Raise the limit on the size of files (ulimit -f).",
    errno.EROFS: "Make the folder writable, or set data_root in conf/base/globals.yml.",
    errno.EACCES: "Give yourself the permission.",
    errno.EPERM: "Give yourself the permission.",
    errno.ENOTDIR: "Move the file that stands where a folder is meant.",
    errno.EISDIR: "Move the folder that stands where a file is meant.",
    errno.ENAMETOOLONG: "Shorten the name.",
    errno.EIO: "Look after the disk.",
}
# Packages through which object stores are reached.
REMOTE = ("s3fs", "gcsfs", "adlfs", "aiobotocore", "botocore", "aiohttp")
# What takes memory in each pipeline.
MEMORY = {
    "data_generation": "data_generation.batch_size or samples_per_shard",
    "training": "data.bs, model.network.dim or train.buffer_pairs, or raise "
    "train.accumulate",
    "distillation": "distillation.bs or pool_batches",
    "baselines": "bs of baselines.lafite and clip2gan, or batch_size of "
    "baselines.optimisation",
    "evaluation": "evaluation.latent_batch_size or image_batch_size",
    "sweep": "evaluation.latent_batch_size or image_batch_size",
    "ablation": "data.bs, evaluation.latent_batch_size or image_batch_size",
    "inference": "inference.image_batch_size or num_samples",
    "portraits": "batch_size of the model in portraits that is trained",
}
_OUT_OF_MEMORY = re.compile(
    r"can't allocate memory|not enough memory|out of memory|size calculation overflowed"
)


def explain(error: BaseException) -> str | None:
    """Return the sentence for an error that the user can mend, None for a bug."""
    chain = list(_chain(error))
    for link in chain:
        if isinstance(link, InputError):
            return str(link)
    for link in _causes(error):
        if is_out_of_memory(link):
            return _explain_memory(error, link)
        if (code := _system_code(link)) is not None:
            return _explain_system(code, chain)
    for link in _causes(error):
        if any(_passed(link, module) for module in REMOTE):
            return _explain_remote(link, chain)
    for link in chain:
        if isinstance(link, FileNotFoundError) and isinstance(error, DatasetError):
            return _explain_missing(link)
    if isinstance(error, MissingConfigException | BadConfigException | KedroCliError):
        return str(error)
    if isinstance(error, DatasetNotFoundError) and "'load_versions'" in str(error):
        return f"{error} Name entries that are in conf/*/catalog*.yml."
    if isinstance(error, VersionNotFoundError | DatasetNotFoundError):
        return str(error)
    if isinstance(error, DatasetError) and _raised_in(error, "clip2latent_kedro."):
        return str(error)  # our own datasets say what is wrong and how to mend it
    if isinstance(error, DatasetError) and (
        _passed(error, "kedro.io", "from_config")  # an unknown type or argument
        or _passed(error, "kedro.io", "_validate_dataset_config")
    ):
        return _in_one_line(error)
    if isinstance(error, KeyError) and _raised_in(error, "kedro.io.catalog_config"):
        return str(error.args[0])  # credentials that are not there
    if isinstance(error, ValueError) and _raised_in(error, "kedro.pipeline.pipeline"):
        return str(error)  # such as a mistyped --nodes or --tags
    if _passed(error, "kedro.config"):
        return _explain_configuration(error)
    return None


def _explain_configuration(error: BaseException) -> str:
    """Return what is wrong in conf/, with the file and its line if one alone is."""
    locals_ = [frame.f_locals for frame in _frames(error)]
    loaders = [
        value
        for names in locals_
        if isinstance(value := names.get("self"), OmegaConfigLoader)
    ]
    for environment in ("base", loaders[-1].env or "local") if loaders else ():
        folder = Path(loaders[-1].conf_source) / environment
        for path in sorted(folder.rglob("*.y*ml")):
            if problem := _find_problem(path):
                return f"{path} cannot be read: {problem}"
    if isinstance(error, TypeError):
        return (
            f"The configuration cannot be read: a name must be a list or a group in "
            f"all of its files, got both ({_in_one_line(error)})."
        )
    return f"The configuration cannot be read: {_in_one_line(error)}"


def _find_problem(path: Path) -> str | None:
    """Return what keeps a YAML file from being read; None if nothing does."""
    try:
        content = OmegaConf.load(path)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = "" if mark is None else f" in line {mark.line + 1}"
        return f"{error.problem or error.context}{where}."
    except (yaml.YAMLError, OmegaConfBaseException, OSError, ValueError) as error:
        return _in_one_line(error)
    if not OmegaConf.is_dict(content):
        return "it must hold names with values, got a list."
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out, the main one or a GPU's."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and bool(_OUT_OF_MEMORY.search(str(error)))


def _explain_memory(error: BaseException, cause: BaseException) -> str:
    frames = [*_frames(error), *_frames(cause)]
    names = [str(frame.f_globals.get("__name__")).split(".") for frame in frames]
    running = [name[2] for name in names if name[1:2] == ["pipelines"]]
    lower = MEMORY.get(running[-1]) if running else None
    what = _in_one_line(cause).partition(". ")[0] or type(cause).__name__
    return f"Memory ran out ({what[:200]}). Lower {lower or 'batch sizes'}. {GO_ON}"


def _system_code(error: BaseException) -> int | None:
    """Return the code by which the system refused to write or read; None for others."""
    if isinstance(error, OSError):
        code = error.errno
    else:  # a library written in Rust tells the code in its message alone
        match = re.search(r"\(os error (\d+)\)", str(error))
        code = int(match.group(1)) if match else None
    return code if code in REFUSED_BY_SYSTEM else None


def _explain_system(code: int, chain: list[BaseException]) -> str:
    places = [
        str(link.filename)
        for link in chain
        if isinstance(link, OSError) and link.filename is not None
    ]
    for link in chain:  # Kedro names the entry whose file it was
        places += re.findall(r"filepath=(?:\w+\()?'?([^',)]+)", str(link))
    place = places[0] if places else "A file"
    return (
        f"{place} cannot be written or read: {os.strerror(code)}. "
        f"{REFUSED_BY_SYSTEM[code]} {GO_ON}"
    )


def _explain_remote(error: BaseException, chain: list[BaseException]) -> str:
    found = [re.findall(r"\b(?:s3|gs|gcs|abfs)://[^\s',)]+", str(e)) for e in chain]
    place = next((places[0] for places in found if places), "A file of an object store")
    return (
        f"{place} cannot be written or read: {_in_one_line(error)[:300].rstrip('.')}. "
        f"Look after its address, the credentials and the connection. {GO_ON}"
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        implicit = None if error.__suppress_context__ else error.__context__
        error = error.__cause__ or implicit


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _explain_missing(error: FileNotFoundError) -> str:
    if error.filename is None:
        return str(error)  # one of our own sentences
    return (
        f"{error.filename} does not exist. Run the pipeline that makes it first, or "
        f"correct its path in the catalog."
    )


def _in_one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _frames(error: BaseException) -> Iterator[FrameType]:
    """Yield the frames that an error went through, outermost first."""
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


def _raised_in(error: BaseException, module: str) -> bool:
    """Return whether a module whose name starts so raised an error."""
    *_, last = (frame.f_globals["__name__"] for frame in _frames(error))
    return str(last).startswith(module)


def _passed(error: BaseException, module: str, function: str = "") -> bool:
    """Return whether an error went through (a function of) a module named so."""
    return any(
        frame.f_globals["__name__"].startswith(module)
        and function in ("", frame.f_code.co_name)
        for frame in _frames(error)
    )
