"""The machine reads what the ordinary unpickler reads, where that is plain data."""

import pickle
import random

import numpy as np
import pytest

from clip2latent_kedro.reading.pickled_names import ArrayRecord, plain_names
from clip2latent_kedro.reading.pickles import (
    MAX_DEPTH,
    Budget,
    Machine,
    MappedFile,
    Refusal,
    check_nesting,
)


def read(content):
    budget = Budget(num_bytes=10 * len(content) + 10_000)
    file = MappedFile(memoryview(content))
    return Machine(file, plain_names(budget), budget).load()


def plain(value):
    """Return data with bytes in place of slices of the file."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(plain, value))
    return bytes(value) if isinstance(value, memoryview | bytearray) else value


def make_data(chance, depth=0):
    leaves = [
        lambda: None,
        lambda: chance.random() < 0.5,
        lambda: chance.choice([0, 1, -1, 255, 256, 65536, -(2**31), 2**40, -(2**70)]),
        lambda: chance.choice([0.0, -1.5, 1e300, float("inf")]),
        lambda: "".join(chance.choices("abc xyz", k=chance.choice([0, 3, 300]))),
        lambda: chance.randbytes(chance.choice([0, 3, 300])),
        lambda: {"a", chance.randrange(9)},
    ]
    if depth > 4 or chance.random() < 0.3:
        return chance.choice(leaves)()
    items = [make_data(chance, depth + 1) for _ in range(chance.randrange(6))]
    items += items[:1]  # shared, and so taken from the memo
    keys = [chance.choice(["k", 1]) if n == 0 else f"k{n}" for n in range(len(items))]
    kinds = [list, tuple, lambda items: dict(zip(keys, items, strict=True))]
    return chance.choice(kinds)(items)


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_are_read_as_pickle_reads_them(protocol):
    chance = random.Random(protocol)
    for _ in range(60):
        data = make_data(chance)
        content = pickle.dumps(data, protocol=protocol)
        assert plain(read(content)) == plain(data)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "f8", "f2", "i8", "u1", "?", ">i2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_are_read_as_numpy_reads_them(protocol, dtype, order):
    values = np.arange(24).reshape(2, 3, 4).astype(dtype)
    for array in (np.asarray(values, order=order), values[0, 0, 0:1], values[:0]):
        record = read(pickle.dumps(array, protocol=protocol))
        assert isinstance(record, ArrayRecord)
        np.testing.assert_array_equal(record.array, array)
        assert record.array.dtype == array.dtype
    scalar = values[1, 2, 3]
    assert read(pickle.dumps(scalar, protocol=protocol)) == scalar


def test_shared_data_may_be_large_but_not_deep():
    leaf = []
    for _ in range(MAX_DEPTH - 5):
        leaf = [leaf, leaf]  # 2^95 paths
    check_nesting(leaf)
    for _ in range(10):
        leaf = [leaf]
    with pytest.raises(Refusal, match=f"more than {MAX_DEPTH} deep"):
        check_nesting(leaf)
    shared = {"a": [1]}
    check_nesting([shared, (shared, shared)])
    shared["a"].append({"b": shared})
    with pytest.raises(Refusal, match="contains itself"):
        check_nesting([shared])
