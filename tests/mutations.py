"""Changes of files at random, for tests of what is made of files from elsewhere."""

import copy
import json
import os
import struct

import torch

# How many changed files of each kind a test tries: few in the suite, more by hand.
NUM_EACH = int(os.environ.get("CLIP2LATENT_MUTATIONS", "60"))

STRANGE = [
    None, True, False, 0, -1, 1, 2, 7, 10**6, 10**9, 10**12, 2**63, 2**70, 0.5, -0.5,
    1e30, float("nan"), float("inf"), "", "x", "1", "ema", "\ud800", [], [1], [[]],
    [None], [10**12], {}, {"a": 1}, {"name": 1}, [["a"] * 3] * 3, "x" * 3000,
]  # fmt: skip


def change_bytes(content, chance):
    """Return the bytes with one to four flips, cuts, insertions and the like."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        # Half of them where the headers are.
        end = len(data) if chance.random() < 0.5 else min(len(data), 2000)
        at = chance.randrange(max(end, 1))
        kind = chance.choice(["flip", "flip", "set", "cut", "drop", "insert", "move"])
        if kind == "flip" and data:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == "set":
            data[at : at + 1] = bytes([chance.randrange(256)])
        elif kind == "cut" and chance.random() < 0.3:
            del data[at:]
        elif kind == "drop":
            del data[at : at + chance.randint(1, 20)]
        elif kind == "insert":
            data[at:at] = chance.choice([b"\x00", b"{", b"[" * 50, b"9" * 20, b"\xff"])
        elif kind == "move":
            start = chance.randrange(len(data) or 1)
            data[at:at] = data[start : start + chance.randint(1, 300)]
    return bytes(data)


def places(tree, path=()):
    """Return the path of every part of a JSON tree."""
    inside = tree.items() if isinstance(tree, dict) else ()
    inside = enumerate(tree) if isinstance(tree, list) else inside
    found = [path] if path else []
    for key, value in inside:
        found += places(value, (*path, key))
    return found


def change_tree(tree, chance):
    """Return a JSON tree with one to three parts replaced, removed or added."""
    tree = copy.deepcopy(tree)
    for _ in range(chance.randint(1, 3)):
        paths = places(tree)
        if not paths:
            return chance.choice(STRANGE)
        *above, last = chance.choice(paths)
        parent = tree
        for key in above:
            parent = parent[key]
        kind = chance.choice(["replace", "replace", "replace", "remove", "add", "nest"])
        if kind == "replace":
            parent[last] = copy.deepcopy(chance.choice(STRANGE))
        elif kind == "remove":
            del parent[last]
        elif kind == "add" and isinstance(parent, dict):
            parent[chance.choice(["extra", "", "kind"])] = chance.choice(STRANGE)
        elif kind == "nest":
            for _ in range(chance.choice([1, 60])):
                parent[last] = [parent[last]]
    return tree


def change_tensors(tensors, chance):
    """Return named tensors with one of them dropped, renamed or of another form."""
    tensors = dict(tensors)
    name = chance.choice(sorted(tensors))
    tensor = tensors[name]
    kind = chance.choice(
        ["drop", "rename", "add", "reshape", "grow", "retype", "empty", "value"]
    )
    if kind == "drop":
        del tensors[name]
    elif kind == "rename":
        other = chance.choice([f"{name}x", name[1:] or "y", name.replace(".", "", 1)])
        tensors[other] = tensors.pop(name)
    elif kind == "add":
        tensors[f"{name}.9"] = tensor.clone()
    elif kind == "reshape":
        tensors[name] = tensor.flatten()[None]
    elif kind == "grow":
        tensors[name] = torch.cat([tensor.flatten()] * 2)
    elif kind == "retype":
        dtypes = [torch.int64, torch.bool, torch.uint8, torch.float64, torch.float16]
        tensors[name] = tensor.to(chance.choice([*dtypes, torch.complex64]))
    elif kind == "empty":
        tensors[name] = tensor.new_zeros((0, *tensor.shape[1:]))
    else:
        fill = chance.choice([float("nan"), float("inf"), 0.0, -1.0, 6e4])
        is_float = tensor.is_floating_point()
        tensors[name] = torch.full_like(tensor, fill if is_float else 0)
    return tensors


def split_safetensors(content):
    """Return the header of a safetensors file, a JSON tree, and the rest."""
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def join_safetensors(header, rest):
    text = json.dumps(header).encode("utf-8", "replace")
    return struct.pack("<Q", len(text)) + text + rest


def change_safetensors(content, entry, chance):
    """Return a safetensors file with a change of some kind.

    Args:
        content: Of the file.
        entry: Of the metadata, JSON.
        chance: A `random.Random`.
    """
    kind = chance.choice(["bytes", "header", "entry", "entry", "tensors"])
    if kind == "bytes":
        return change_bytes(content, chance)
    header, rest = split_safetensors(content)
    if kind == "header":
        return join_safetensors(change_tree(header, chance), rest)
    if kind == "entry":
        tree = change_tree(json.loads(header["__metadata__"][entry]), chance)
        text = json.dumps(tree)
        header["__metadata__"][entry] = text
        return join_safetensors(header, rest)
    from safetensors.torch import load, save

    tensors = change_tensors(load(content), chance)
    dense = {name: value.contiguous() for name, value in tensors.items()}
    return save(dense, header["__metadata__"])
