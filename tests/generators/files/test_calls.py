"""Files that call what they must not are refused, and the call is named."""

import io
import struct
import zipfile
from collections import OrderedDict

import pytest
import torch
from generators.hostile import (
    Reduced,
    bytes_of,
    generator_with,
    pickled,
    refuses,
    split_pickles,
    storage_blob,
    text,
)
from generators.snapshots import (
    make_stylegan2,
    snapshot,
    write_nvidia,
    write_rosinality,
    write_tensorflow,
)

from clip2latent_kedro.reading.torch_files import LEGACY_START

pytestmark = pytest.mark.usefixtures("nothing_happens")

CALL = b"cos\nsystem\nX\x0c\x00\x00\x00touch hacked\x85R"
OBJECT = 3  # of the five pickles, the one with the object itself


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("posix", "system"),
        ("nt", "system"),
        ("subprocess", "Popen"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("builtins", "getattr"),
        ("builtins", "__import__"),
        ("builtins", "type"),
        ("__builtin__", "apply"),
        ("torch", "load"),
        ("torch.serialization", "load"),
        ("torch.storage", "pickle.loads"),
        ("torch.hub", "load"),
        ("torch._utils", "_rebuild_wrapper_subclass"),
        ("numpy", "load"),
        ("numpy.core.multiarray", "fromfile"),
        ("torch_utils.persistence", "_src_to_module"),
        ("torch_utils.persistence", "pickle.loads"),
        ("collections", "OrderedDict.fromkeys"),
        ("operator", "attrgetter"),
        ("functools", "partial"),
        ("codecs", "open"),
        ("argparse", "Namespace"),
    ],
)
def test_a_global_off_the_list_is_refused_by_name(tmp_path, module, name):
    match = rf"names the global '{module}\.{name}', which is not on the list"
    call = text("touch hacked") + b"\x85R"
    old = f"c{module}\n{name}\n".encode() + call
    refuses(pickled(old, 2), match, tmp_path)
    refuses(pickled(text(module) + text(name) + b"\x93" + call), match, tmp_path)
    refuses(
        pickled(b"(" + call[:-2] + f"i{module}\n{name}\n".encode()), match, tmp_path
    )


@pytest.mark.parametrize("write", [write_nvidia, write_tensorflow])
def test_a_call_beside_the_generator_is_refused(tmp_path, write):
    """A whole snapshot whose last item is a call."""
    path = write(make_stylegan2(), tmp_path / "g.pkl")
    content = path.read_bytes()
    assert content.endswith(b".")
    refuses(content[:-1] + CALL + b"0.", r"global 'os\.system'", tmp_path)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_call_in_a_checkpoint_is_refused(tmp_path, legacy):
    network = make_stylegan2(z_dim=10)
    path = write_rosinality(network, tmp_path / "g.pt", legacy=legacy)
    if legacy:
        content = path.read_bytes()
        hostile = pickled(CALL, 2)
        parts = split_pickles(content)
        parts[OBJECT] = hostile
        refuses(b"".join(parts), r"global 'os\.system'", tmp_path)
        return
    hostile = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(hostile, "w") as new:
        for name in old.namelist():
            is_pickle = name.endswith("data.pkl")
            new.writestr(name, pickled(CALL, 2) if is_pickle else old.read(name))
    refuses(hostile.getvalue(), r"global 'os\.system'", tmp_path)


@pytest.mark.parametrize("index", range(5))
def test_a_call_inside_a_nested_blob_is_refused(tmp_path, index):
    """Each of the five pickles that `_load_from_bytes` would unpickle unsafely."""
    blob = storage_blob()
    assert blob.startswith(LEGACY_START)
    parts = split_pickles(blob)
    parts[index] = pickled(CALL, 2)
    hostile = Reduced(torch.storage._load_from_bytes, b"".join(parts))
    value = Reduced(
        torch._utils._rebuild_tensor_v2, hostile, 0, (6,), (1,), False, OrderedDict()
    )
    for place in ("G_ema", "D"):
        content = bytes_of(snapshot(None, **{place: generator_with(value)}), tmp_path)
        refuses(content, r"global 'os\.system'", tmp_path)


def test_a_blob_cannot_nest_another_blob(tmp_path):
    inner = storage_blob()
    call = (
        b"ctorch.storage\n_load_from_bytes\nB" + struct.pack("<I", len(inner)) + inner
    )
    parts = split_pickles(inner)
    parts[3] = pickled(call + b"\x85R", 2)
    outer = Reduced(torch.storage._load_from_bytes, b"".join(parts))
    content = bytes_of({"G_ema": outer}, tmp_path)
    refuses(content, r"global 'torch\.storage\._load_from_bytes'", tmp_path)
