"""Files that call, claim or nest what they must not are refused for what they are.

Each case is the bytes of a file, or what makes them of a folder, and a part of the
sentence that refuses it. None may run the call in it, take long or take much memory.
"""

import io
import pickle
import struct
import zipfile

import numpy as np
import pytest
import torch
from generators.hostile import (
    Reduced,
    dumped,
    module,
    nested,
    pickled,
    split_pickles,
    storage_parts,
    tensor,
    text,
    typed_storage,
)
from generators.networks import make_stylegan2
from generators.snapshots import (
    EasyDict,
    Network,
    snapshot,
    write_nvidia,
    write_rosinality,
    write_tensorflow,
)

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.files import read_stylegan_file

pytestmark = pytest.mark.usefixtures("nothing_happens")

CALL = b"cos\nsystem\nX\x0c\x00\x00\x00touch hacked\x85R"
CALLED = r"names the global 'os\.system', which is not on the list"


def tensor_case(sizes, strides, offset=0):
    return dumped(
        lambda: snapshot(
            module({"x": tensor(typed_storage(6), sizes, strides, offset)})
        )
    )


def storage_case(num_stored, num_said, dtype=b"Float"):
    """A nested storage that says it has more numbers than it has."""
    said = b"\x8a\x08" + struct.pack("<q", num_said)
    kind = text("storage") + b"ctorch\n" + dtype + b"Storage\n"
    parts = storage_parts()
    parts[3] = pickled(b"(" + kind + text("k") + text("cpu") + said + b"NtQ", 2)
    parts[4] = pickled(b"]" + text("k") + b"a", 2)
    parts[5] = struct.pack("<q", num_stored) + bytes(24)
    blob = Reduced(torch.storage._load_from_bytes, b"".join(parts))
    return dumped(lambda: {"G_ema": blob})


def array_case(*state):
    """A TensorFlow pickle with an array of such a state."""

    def make():
        function, arguments, _ = np.zeros(3, np.float32).__reduce__()
        variables = [("x", Reduced(function, *arguments, state=(1, *state)))]
        static = {"static_kwargs": EasyDict(), "components": {}}
        network = Network(version=4, variables=variables, **static)
        return network, network, network

    return dumped(make, 3)


def archive(members, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def changed_archive(sign, offset, content):
    whole = bytearray(archive({"a/data.pkl": PICKLE}))
    at = whole.rindex(sign) + offset
    whole[at : at + len(content)] = content
    return bytes(whole)


PICKLE = pickle.dumps({"g_ema": {}}, protocol=2)
OTHER_FILES = [
    (b"", "is empty"),
    (b"\x89PNG\r\n\x1a\n" + bytes(100), "is a PNG picture"),
    (b"\xff\xd8\xff\xe0" + bytes(100), "is a JPEG picture"),
    (b"\x1f\x8b\x08" + bytes(100), "is a gzip archive"),
    (b"<!DOCTYPE html><html>", "is a web page"),
    (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
    (b"hello, world\n", "is no pickle but text"),
    (b"cos\nsystem\n(S'touch hacked'\ntR.", "is no pickle but text"),
    (bytes(1000), "is no pickle but something else"),
    (b"PK\x03\x04" + bytes(100), "zip archive without its end"),
    (archive({"a.txt": b"a"}), "without the one data.pkl"),
    (archive({"a/data.pkl": PICKLE, "b/data.pkl": PICKLE}), "without the one data"),
    (archive({"a/data.pkl": PICKLE}, zipfile.ZIP_DEFLATED), "is compressed"),
    (archive({"a/data.pkl": PICKLE}), "holds no state dict in g_ema"),
    (archive({"a/data.pkl": PICKLE, "a/byteorder": b"big"}), "big-endian"),
    (archive({"a/data.pkl": PICKLE})[:-30], "cut off|without its end"),
    (changed_archive(b"PK\x05\x06", 10, b"\xff\xff"), "65535 members, more than 50000"),
    (changed_archive(b"PK\x01\x02", 20, b"\xf0\xff\xff\xff" * 2), "is cut off"),
    (pickle.dumps([1, 2]), "under 'G_ema' or 'g_ema' but a list"),
    (pickle.dumps({"state": 1}), r"a dict of \['state'\]"),
    (pickle.dumps({"G_ema": {"a": 1}}), "holds no generator under 'G_ema'"),
]

LONG, HUGE, EARLY = 2**62, 4611686018427387904, "ends early: {} bytes are expected"
UNKNOWN, LAID_OUT = "the byte {} where an opcode is expected", "as expected .{}"
KEY = "type {} as the key of a dict or in a set"
PICKLES = [
    (b"]" * 20_000 + b"a" * 19_999, "is nested more than 100 deep"),
    (b")" + b"\x85" * 20_000, "is nested more than 100 deep"),
    (b"}" + text("a"), LAID_OUT.format("ValueError")),
    (b"]\x94h\x00a", "contains itself"),
    (b"}\x94" + text("G_ema") + b"h\x00s", "contains itself"),
    (b"]\x94" + b"h\x00\x85a", "contains itself"),
    (b"N0" * 500_001 + b"N", "more than 1000000 pickle opcodes"),
    (b"h\x05", LAID_OUT.format("KeyError")),
    (b"Nr\xff\xff\xff\xff", "but a NoneType"),
    (b"N\x95" + b"\xff" * 8, "holds no generator under 'G_ema'"),
    (b"\x8e" + struct.pack("<Q", LONG), EARLY.format(HUGE)),
    (b"\x96" + struct.pack("<Q", LONG), EARLY.format(HUGE)),
    (b"B" + struct.pack("<I", 2**32 - 1) + b"x", EARLY.format(4294967295)),
    (b"\x8d" + struct.pack("<Q", 2**63), "byte count > sys.maxsize"),
    (b"\x8b" + struct.pack("<i", -1), UNKNOWN.format("0x8b")),
    (b"\x8b" + struct.pack("<i", 300) + bytes(300), UNKNOWN.format("0x8b")),
    (b"T" + struct.pack("<i", -1), LAID_OUT.format("ValueError")),
    (b"T" + struct.pack("<i", 2**17) + bytes(2**17), LAID_OUT.format("Attribut")),
    (b"I" + b"9" * 5000 + b"\n", "line of more than 4096 bytes"),
    (b"}N]K\x01s", "sets items of an object of type NoneType|IndexError"),
    (b"}]K\x01s", KEY.format("list")),
    (b"}K\x01\x85K\x01s", KEY.format("tuple")),
    (b"}\x8a\x10" + b"\x7f" * 16 + b"K\x01s", KEY.format("huge int")),
    (b"\x8f(K\x01\x85\x90", KEY.format("tuple")),
    (b"]\x97", UNKNOWN.format("0x97")),
    (b"\x82\x01", UNKNOWN.format("0x82")),
    (b"\xff", UNKNOWN.format("0xff")),
    (b"Nb", LAID_OUT.format("IndexError")),
    (b"K\x01Nb", "gives a state to an object of type int"),
    (b"K\x01)R", "calls an object of type int, no function on the list"),
    (b"ccollections\nOrderedDict\nNR", "calls an object of type Constructor"),
    (b"NQ", "refers to data outside the pickle"),
    (b"K\x01K\x02\x93", "names a global by something else than text"),
    # bytes(10**12) and the like would be sizes to allocate.
    (b"cbuiltins\nbytes\nJ\xff\xff\xff\x7f\x85R", "encodes something else than te"),
    (b"cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R", "encodes something else"),
    (b"cbuiltins\nlist\n" + text("ab") + b"\x85R", "of an object of type str"),
    (b"c_codecs\nencode\n" + text("ab") + text("zlib") + b"\x86R", "unusual way"),
    (b"cnumpy\ndtype\n" + text("O8") + b"\x85R", "dtype 'O8', which is not numeri"),
    (b"cnumpy\ndtype\n" + text("V9999") + b"\x85R", "dtype 'V9999'"),
    (b"cnumpy\nndarray\nK\x05\x85R", "calls numpy.ndarray"),
    (b"ccollections\nOrderedDict\nK\x05\x85R", "of an object of type int"),
]

OUTSIDE = "which its storage of 6 numbers cannot hold"
TENSORS = [
    (((2, 3), (4, 1)), rf"stride \[4, 1\] and offset 0, {OUTSIDE}"),
    (((2, 3), (3, 1), 1), f"offset 1, {OUTSIDE}"),
    (((2, 3), (3, 1), 2**39), OUTSIDE),
    (((2, 3), (3, -1)), "has -1 in the stride of a tensor, where 0 to"),
    (((2, 3), (LONG, 1)), f"{HUGE} in the stride of a tensor"),
    (((-2, 3), (3, 1)), "has -2 in the shape of a tensor"),
    (((LONG, 3), (3, 1)), f"{HUGE} in the shape of a tensor"),
    (((2**39, 1), (0, 0)), r"shape \[549755813888, 1\].* cannot hold"),
    (((10, 10), (0, 0)), r"shape \[10, 10\], stride \[0, 0\].* cannot hold"),
    (((2,) * 9, (0,) * 9), "no list of at most 8 numbers as the shape of a tensor"),
    (((2, 3), (1,)), r"shape \[2, 3\] and stride \[1\]"),
    (((2, 3), (3, 1), -1), "has -1 in the offset of a tensor"),
    (((2, 3.0), (3, 1)), "type float in the shape of a tensor"),
    (((2**3000, 3), (3, 1)), UNKNOWN.format("0x8b")),
    (("23", (3, 1)), "no list of at most 8 numbers as the shape"),
]
STORAGES = [
    ((6, 2**38), "storage of 274877906944 numbers that is stored as 6"),
    ((2**38, 2**38), "storage of 274877906944 numbers of 4 bytes, with 24 bytes"),
    ((6, -6), "has -6 in the size of a storage"),
    ((LONG, LONG), f"{HUGE} in the size of a storage"),
    ((7, 7), "storage of 7 numbers of 4 bytes, with 24 bytes"),
    ((6, 6, b"Object"), r"global 'torch\.ObjectStorage'"),
]
FLOAT, STRUCTURED = np.dtype("<f4"), np.dtype([("a", "<f4")])
ARRAYS = [
    (((2**38,), FLOAT, False, bytes(12)), "needs 1099511627776 bytes, with 12"),
    (((-3,), FLOAT, False, bytes(12)), "has -3 in the shape of a numpy array"),
    (((3,), np.dtype(object), False, [1, 2, 3]), "dtype 'O8', which is not numeric"),
    (((3,), STRUCTURED, False, bytes(12)), "dtype 'V4'"),
    (((2, 2), FLOAT, False, bytes(16)), "has the tensor 'x'"),
]

GLOBALS = """
    os.system posix.system nt.system subprocess.Popen builtins.eval
    builtins.exec builtins.getattr builtins.__import__ builtins.type
    __builtin__.apply torch.load torch.serialization.load
    torch.storage:pickle.loads torch.hub.load
    torch._utils._rebuild_wrapper_subclass numpy.load
    numpy.core.multiarray.fromfile torch_utils.persistence._src_to_module
    torch_utils.persistence:pickle.loads collections:OrderedDict.fromkeys
    operator.attrgetter functools.partial codecs.open argparse.Namespace
"""


def global_cases():
    """Each name in the three ways in which pickles call one."""
    call = text("touch hacked") + b"\x85R"
    for spelt in GLOBALS.split():
        place, _, name = spelt.rpartition(":" if ":" in spelt else ".")
        match = rf"names the global '{place}\.{name}', which is not on the list"
        yield pickled(f"c{place}\n{name}\n".encode() + call, 2), match
        yield pickled(text(place) + text(name) + b"\x93" + call), match
        yield pickled(b"(" + call[:-2] + f"i{place}\n{name}\n".encode()), match


def after(write):
    """A whole snapshot whose last item is a call."""
    return lambda folder: (
        write(make_stylegan2(), folder / "g").read_bytes()[:-1] + CALL + b"0."
    )


def in_checkpoint(folder, *, legacy):
    network = make_stylegan2(z_dim=10)
    path = write_rosinality(network, folder / "g.pt", legacy=legacy)
    if legacy:
        parts = split_pickles(path.read_bytes())
        parts[3] = pickled(CALL, 2)  # of the five pickles that with the object itself
        return b"".join(parts)
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    (name,) = (name for name in members if name.endswith("data.pkl"))
    return archive({**members, name: pickled(CALL, 2)})


def nested_blob():
    inner = b"".join(storage_parts())
    call = b"ctorch.storage\n_load_from_bytes\nB" + struct.pack("<I", len(inner))
    return {"G_ema": nested(3, pickled(call + inner + b"\x85R", 2))}


def nested_calls():
    """Each of the five pickles that `_load_from_bytes` would unpickle unsafely."""
    for index in range(5):
        for place in ("G_ema", "D"):
            value = module({"x": tensor(nested(index, pickled(CALL, 2)))})
            yield dumped(lambda v=value, p=place: snapshot(None, **{p: v})), CALLED


def many_copies(folder):
    """A megabyte of text in a nested file, read 5,000 times."""
    parts = storage_parts()
    parts[2] = parts[2][:2] + text("x" * 2**20) + b"0" + parts[2][2:]
    blob = b"".join(parts)
    start = b"B" + struct.pack("<I", len(blob)) + blob + b"\x940"
    return pickled(start + b"ctorch.storage\n_load_from_bytes\nh\x00\x85R" * 5_000)


def many_texts(folder):
    """A megabyte of text, encoded 100,000 times."""
    start = text("x" * 2**20) + b"\x940c_codecs\nencode\n\x940"
    again = b"h\x01h\x00h\x02\x86R" * 100_000
    return pickled(start + text("latin1") + b"\x940" + b"(" + again + b"t")


def many_tensors():
    """A thousand tensors of a megabyte on the same megabyte of file."""
    storage = typed_storage(2**18)
    function = torch._utils._rebuild_tensor
    many = (Reduced(function, storage, 0, (2**18,), (1,)) for _ in range(1000))
    return snapshot(module({f"p{n}": value for n, value in enumerate(many)}))


def many_modules():
    """Thirty modules, each twice in the one before: 2^30 paths."""
    inner = module({"x": torch.zeros(1)})
    for _ in range(30):
        inner = module(modules={"a": inner, "b": inner})
    return snapshot(inner)


def bomb():
    """A list of 2^60 paths, which could neither be compared nor written out."""
    leaf = []
    for _ in range(60):
        leaf = [leaf, leaf]
    return leaf


def with_sides(folder):
    sides = {"resolution_w": bomb(), "resolution_h": bomb()}
    return write_tensorflow(make_stylegan2(), folder / "g", **sides).read_bytes()


def layer_with(**arguments):
    def change(path, given):
        if path == "synthesis.b4.conv1":
            given |= arguments

    return lambda folder: write_nvidia(
        make_stylegan2(), folder / "part", change=change
    ).read_bytes()


def old_networks():
    return (Network(version=3, static_kwargs={}, components={}, variables=[]),) * 3


def saved(content):
    def make(folder):
        torch.save(content, folder / "part")
        return (folder / "part").read_bytes()

    return make


CASES = [
    *OTHER_FILES,
    *((pickled(body), match) for body, match in PICKLES),
    *((tensor_case(*claim), match) for claim, match in TENSORS),
    *((storage_case(*claim), match) for claim, match in STORAGES),
    *((array_case(*state), match) for state, match in ARRAYS),
    *global_cases(),
    *nested_calls(),
    *((after(write), CALLED) for write in (write_nvidia, write_tensorflow)),
    (lambda folder: in_checkpoint(folder, legacy=False), CALLED),
    (lambda folder: in_checkpoint(folder, legacy=True), CALLED),
    (dumped(nested_blob), r"global 'torch\.storage\._load_from_bytes'"),
    (many_copies, "far larger than the file"),
    (many_texts, "far larger than the file"),
    (dumped(many_tensors), "far larger than the file"),
    (dumped(many_modules), "more than 10000 modules"),
    *(
        (layer_with(activation=value), "activation .* only lrelu")
        for value in ("relu", ["lrelu"], {"a": 1}, None, bomb())
    ),
    (
        layer_with(conv_clamp=bomb()),
        "conv_clamp must be a number, above 0, or null, got a list of lists",
    ),
    (
        layer_with(conv_clamp="1"),
        'conv_clamp must be a number, above 0, or null, got "1"',
    ),
    (with_sides, "images that are not square"),
    (dumped(old_networks, 3), "networks of version 3, older than 4"),
    (saved({"model": {"w": torch.zeros(3)}}), r"or 'g_ema' but a dict of \['model'\]"),
    (saved({"g_ema": {"convs.x": torch.zeros(3)}}), r"tensor 'convs\.x', which"),
]


def refuses(content, match, folder):
    path = folder / "hostile.pkl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=match) as refusal:
        read_stylegan_file(path)
    sentence = str(refusal.value)
    assert sentence.startswith(str(path))
    assert len(sentence) < 1000


@pytest.mark.parametrize(("content", "match"), CASES)
def test_a_hostile_file_is_refused_for_what_it_is(tmp_path, content, match):
    refuses(content(tmp_path) if callable(content) else content, match, tmp_path)


@pytest.mark.parametrize("part", [0, 1, 5, 14, 15, 100, 0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("write", [write_nvidia, write_tensorflow, write_rosinality])
def test_a_truncated_file_is_refused(tmp_path, write, part):
    content = write(make_stylegan2(z_dim=10), tmp_path / "g").read_bytes()
    num = part if isinstance(part, int) else int(part * len(content))
    refuses(content[:num], "is refused because it", tmp_path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"expected at .*nowhere\.pkl"):
        read_stylegan_file(tmp_path / "nowhere.pkl")
