"""Files that would use up the machine are refused by the bound that they break."""

import struct
from collections import OrderedDict

import numpy as np
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
    typed_storage,
)
from generators.snapshots import (
    EasyDict,
    Network,
    Persistent,
    make_stylegan2,
    persist,
    snapshot,
    stylegan2_attributes,
)

pytestmark = pytest.mark.usefixtures("nothing_happens")


def tensor(
    sizes, strides, *, offset=0, num=6, function=torch._utils._rebuild_tensor_v2
):
    """Return something that pickles as a tensor on a storage of so many numbers."""
    storage = typed_storage(num)
    return Reduced(function, storage, offset, sizes, strides, False, OrderedDict())


@pytest.mark.parametrize(
    ("sizes", "strides", "offset", "match"),
    [
        ((2, 3), (4, 1), 0, r"stride \[4, 1\] and offset 0, which its storage of 6"),
        ((2, 3), (3, 1), 1, "offset 1, which its storage of 6 numbers cannot hold"),
        ((2, 3), (3, 1), 2**39, "which its storage of 6 numbers cannot hold"),
        ((2, 3), (3, -1), 0, "has -1 in the stride of a tensor, where 0 to"),
        ((2, 3), (2**62, 1), 0, "4611686018427387904 in the stride of a tensor"),
        ((-2, 3), (3, 1), 0, "has -2 in the shape of a tensor"),
        ((2**62, 3), (3, 1), 0, "4611686018427387904 in the shape of a tensor"),
        ((2**39, 1), (0, 0), 0, r"shape \[549755813888, 1\].* cannot hold"),
        ((10, 10), (0, 0), 0, r"shape \[10, 10\], stride \[0, 0\].* cannot hold"),
        (
            (2,) * 9,
            (0,) * 9,
            0,
            "no list of at most 8 numbers as the shape of a tensor",
        ),
        ((2, 3), (1,), 0, r"shape \[2, 3\] and stride \[1\]"),
        ((2, 3), (3, 1), -1, "has -1 in the offset of a tensor"),
        ((2, 3.0), (3, 1), 0, "type float in the shape of a tensor"),
        ((2**3000, 3), (3, 1), 0, "the byte 0x8b where an opcode is expected"),
        ("23", (3, 1), 0, "no list of at most 8 numbers as the shape"),
    ],
)
def test_a_tensor_outside_its_storage_is_refused(
    tmp_path, sizes, strides, offset, match
):
    value = generator_with(tensor(sizes, strides, offset=offset))
    refuses(bytes_of(snapshot(value), tmp_path), match, tmp_path)


def blob_of(num_stored, num_said, dtype=b"Float"):
    """Return a nested storage that says it has more numbers than it has."""
    parts = split_pickles(storage_blob())
    key = text("k")
    said = b"\x8a\x08" + struct.pack("<q", num_said)
    kind = b"ctorch\n" + dtype + b"Storage\n"
    parts[3] = pickled(
        b"(" + text("storage") + kind + key + text("cpu") + said + b"NtQ", 2
    )
    parts[4] = pickled(b"]" + key + b"a", 2)
    parts[5] = struct.pack("<q", num_stored) + bytes(24)
    return Reduced(torch.storage._load_from_bytes, b"".join(parts))


@pytest.mark.parametrize(
    ("num_stored", "num_said", "match"),
    [
        (6, 2**38, "storage of 274877906944 numbers that is stored as 6"),
        (2**38, 2**38, "storage of 274877906944 numbers of 4 bytes, with 24 bytes"),
        (6, -6, "has -6 in the size of a storage"),
        (2**62, 2**62, "4611686018427387904 in the size of a storage"),
        (7, 7, "storage of 7 numbers of 4 bytes, with 24 bytes"),
    ],
)
def test_a_storage_larger_than_the_file_is_refused(
    tmp_path, num_stored, num_said, match
):
    content = bytes_of({"G_ema": blob_of(num_stored, num_said)}, tmp_path)
    refuses(content, match, tmp_path)


def test_a_storage_of_objects_is_refused(tmp_path):
    content = bytes_of({"G_ema": blob_of(6, 6, b"Object")}, tmp_path)
    refuses(content, r"global 'torch\.ObjectStorage'", tmp_path)


@pytest.mark.parametrize(
    ("body", "match"),
    [
        (b"]" * 20_000 + b"a" * 19_999, "is nested more than 100 deep"),
        (b")" + b"\x85" * 20_000, "is nested more than 100 deep"),
        (b"}" + text("a"), "laid out as expected .ValueError"),
        (b"]\x94h\x00a", "because it contains itself"),
        (b"}\x94" + text("G_ema") + b"h\x00s", "because it contains itself"),
        (b"]\x94" + b"h\x00\x85a", "contains itself"),
        (b"N0" * 500_001 + b"N", "more than 1000000 pickle opcodes"),
        (b"h\x05", "not laid out as expected .KeyError"),
        (b"Nr\xff\xff\xff\xff", "but a NoneType"),
        (b"N\x95" + b"\xff" * 8, "holds no generator under 'G_ema'"),
        (b"\x8e" + struct.pack("<Q", 2**62), "early: 4611686018427387904 bytes"),
        (b"B" + struct.pack("<I", 2**32 - 1) + b"x", "early: 4294967295 bytes"),
        (b"\x8d" + struct.pack("<Q", 2**63), "byte count > sys.maxsize"),
        (b"\x8b" + struct.pack("<i", -1), "the byte 0x8b where an opcode"),
        (
            b"\x8b" + struct.pack("<i", 300) + bytes(300),
            "the byte 0x8b where an opcode",
        ),
        (b"I" + b"9" * 5000 + b"\n", "line of more than 4096 bytes"),
        (b"}N]K\x01s", "sets items of an object of type NoneType|IndexError"),
        (b"}]K\x01s", "type list as the key of a dict"),
        (b"}K\x01\x85K\x01s", "type tuple as the key of a dict"),
        (b"}\x8a\x10" + b"\x7f" * 16 + b"K\x01s", "type huge int as the key of a dict"),
        (b"\x8f(K\x01\x85\x90", "type tuple as the key of a dict or in a set"),
        (b"]\x97", "the byte 0x97 where an opcode is expected"),
        (b"\x82\x01", "the byte 0x82 where an opcode is expected"),
        (b"Nb", "not laid out as expected .IndexError"),
        (b"K\x01Nb", "gives a state to an object of type int"),
        (b"K\x01)R", "calls an object of type int, no function on the list"),
        (b"ccollections\nOrderedDict\nNR", "calls an object of type Constructor"),
        (b"NQ", "refers to data outside the pickle"),
        (b"K\x01K\x02\x93", "names a global by something else than text"),
        (b"\xff", "the byte 0xff where an opcode"),
    ],
)
def test_a_pickle_that_is_no_plain_data_is_refused(tmp_path, body, match):
    refuses(pickled(body), match, tmp_path)


@pytest.mark.parametrize(
    ("body", "match"),
    [
        # bytes(10**12) and the like would be sizes to allocate.
        (b"cbuiltins\nbytes\nJ\xff\xff\xff\x7f\x85R", "encodes something else than te"),
        (b"cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R", "encodes something else"),
        (
            b"cbuiltins\nlist\n" + text("ab") + b"\x85R",
            "container of an object of type str",
        ),
        (b"c_codecs\nencode\n" + text("ab") + text("zlib") + b"\x86R", "unusual way"),
        (b"cnumpy\ndtype\n" + text("O8") + b"\x85R", "dtype 'O8', which is not numeri"),
        (b"cnumpy\ndtype\n" + text("V9999") + b"\x85R", "dtype 'V9999'"),
        (b"cnumpy\nndarray\nK\x05\x85R", "calls numpy.ndarray"),
        (
            b"ccollections\nOrderedDict\nK\x05\x85R",
            "container of an object of type int",
        ),
    ],
)
def test_a_stand_in_refuses_arguments_that_allocate(tmp_path, body, match):
    refuses(pickled(body), match, tmp_path)


def test_encoding_the_same_text_again_and_again_is_refused(tmp_path):
    """A megabyte of text, copied 100,000 times."""
    start = (
        text("x" * 2**20) + b"\x940c_codecs\nencode\n\x940" + text("latin1") + b"\x940"
    )
    again = b"h\x01h\x00h\x02\x86R"
    refuses(pickled(start + b"(" + again * 100_000 + b"t"), "far larger than", tmp_path)


def test_reading_the_same_blob_of_text_again_and_again_is_refused(tmp_path):
    parts = split_pickles(storage_blob())
    parts[2] = parts[2][:2] + text("x" * 2**20) + b"0" + parts[2][2:]
    blob = b"".join(parts)
    start = b"B" + struct.pack("<I", len(blob)) + blob + b"\x940"
    again = b"ctorch.storage\n_load_from_bytes\nh\x00\x85R"
    refuses(pickled(start + again * 5_000), "far larger than the file", tmp_path)


def test_a_tree_of_shared_modules_is_refused(tmp_path):
    """Thirty modules, each twice in the one before: 2^30 paths."""
    module = generator_with(torch.zeros(1))
    for _ in range(30):
        twice = {"a": module, "b": module}
        state = {"_parameters": {}, "_buffers": {}, "_modules": twice}
        module = Persistent("Block", state)
    refuses(bytes_of(snapshot(module), tmp_path), "more than 10000 modules", tmp_path)


def test_one_storage_behind_many_tensors_is_refused(tmp_path):
    """A thousand tensors of a megabyte on the same megabyte of file."""
    storage = typed_storage(2**18)
    many = {
        f"p{index}": Reduced(torch._utils._rebuild_tensor, storage, 0, (2**18,), (1,))
        for index in range(1000)
    }
    state = {"_parameters": many, "_buffers": {}, "_modules": {}}
    content = bytes_of(snapshot(Persistent("Generator", state)), tmp_path)
    refuses(content, "far larger than the file itself", tmp_path)


@pytest.mark.parametrize(
    "activation",
    ["relu", ["lrelu"], {"a": 1}, None],
    ids=["text", "list", "dict", "no"],
)
def test_arguments_of_the_wrong_kind_are_refused(tmp_path, activation):
    network = make_stylegan2()

    def attributes(path, module):
        given = stylegan2_attributes(network.config)(path, module)
        if path == "synthesis.b4.conv1":
            given["activation"] = activation
        return given

    content = bytes_of(snapshot(persist(network, attributes)), tmp_path)
    refuses(content, "has the activation .* where only lrelu", tmp_path)


def test_tensorflow_arrays_are_bounded(tmp_path):
    array = np.zeros(3, np.float32)
    function, arguments, _ = array.__reduce__()

    class Hostile(Reduced):
        def __reduce__(self):
            return function, arguments, self.state

    def networks(state):
        hostile = Hostile(None)
        hostile.state = state
        network = Network(
            version=4,
            static_kwargs=EasyDict(),
            components={},
            variables=[("x", hostile)],
        )
        return bytes_of((network, network, network), tmp_path, 3)

    dtype = array.dtype
    refuses(
        networks((1, (2**38,), dtype, False, bytes(12))),
        r"array of shape \[274877906944\] that needs 1099511627776 bytes, with 12",
        tmp_path,
    )
    refuses(
        networks((1, (-3,), dtype, False, bytes(12))),
        "has -3 in the shape of a numpy array",
        tmp_path,
    )
    refuses(
        networks((1, (3,), np.dtype(object), False, [1, 2, 3])),
        "dtype 'O8', which is not numeric",
        tmp_path,
    )
    structured = np.dtype([("a", "<f4")])
    refuses(networks((1, (3,), structured, False, bytes(12))), "dtype 'V4'", tmp_path)
    refuses(
        networks((1, (2, 2), dtype, False, bytes(16))), "has the tensor 'x'", tmp_path
    )


def test_an_old_tensorflow_version_is_refused(tmp_path):
    old = Network(version=3, static_kwargs={}, components={}, variables=[])
    content = bytes_of((old, old, old), tmp_path, 3)
    refuses(content, "networks of version 3, older than 4", tmp_path)
