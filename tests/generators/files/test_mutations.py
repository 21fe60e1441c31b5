"""Whatever becomes of a file's bytes: a generator or `InputError`; nothing is run."""

import random
import sys

import pytest
from generators.networks import make_stylegan2, make_stylegan3
from generators.snapshots import (
    write_nvidia,
    write_rosinality,
    write_stylegan3,
    write_tensorflow,
)

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.files import read_stylegan_file
from clip2latent_kedro.generators.safetensors_files import NETWORKS

NUM_EACH = 60
RUNNING = {
    *("exec", "compile", "import", "pickle.find_class", "ctypes.dlopen"),
    *("os.system", "os.exec", "os.fork", "os.posix_spawn", "subprocess.Popen"),
    *("os.remove", "os.rename", "os.mkdir", "socket.connect", "shutil.rmtree"),
}
FRAGMENTS = [
    b"cos\nsystem\nX\x0c\x00\x00\x00touch hacked\x85R",
    b"(X\x0c\x00\x00\x00touch hackedios\nsystem\n",
    b"\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R",
    b"ctorch.storage\n_load_from_bytes\n",
    b"\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"h\x00\x94",
    b"].",
    b"((((",
    b"R",
    b"b",
]


class Watch:
    """Notes every event of the interpreter that runs something, while it is on."""

    def __init__(self):
        self.on = False
        self.events = []
        sys.addaudithook(self)

    def __call__(self, event, arguments):
        if self.on and event in RUNNING:
            self.events.append((event, arguments))


@pytest.fixture(scope="module")
def watch():
    return Watch()


SIZES = {"z_dim": 4, "w_dim": 4, "channel_base": 32, "channel_max": 4}


def small_stylegan2():
    return make_stylegan2(resolution=8, **SIZES)


def small_stylegan3(path):
    network = make_stylegan3(num_layers=3, num_critical=1, margin_size=2, **SIZES)
    return write_stylegan3(network, path)


SOURCES = {
    "nvidia-2": lambda path: write_nvidia(small_stylegan2(), path, protocol=2),
    "nvidia-5": lambda path: write_nvidia(small_stylegan2(), path, protocol=5),
    "stylegan3": small_stylegan3,
    "tensorflow": lambda path: write_tensorflow(small_stylegan2(), path),
    "rosinality-zip": lambda path: write_rosinality(small_stylegan2(), path),
    "rosinality-legacy": lambda path: write_rosinality(
        small_stylegan2(), path, legacy=True
    ),
}


def mutate(content, chance):
    """Return the bytes with one to four changes of a random kind."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) or 1)
        kind = chance.choice(["flip", "flip", "set", "cut", "drop", "insert", "move"])
        if kind == "flip" and data:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == "set":
            data[at : at + 1] = bytes([chance.randrange(256)])
        elif kind == "cut" and chance.random() < 0.2:
            del data[at:]
        elif kind == "drop":
            del data[at : at + chance.randint(1, 20)]
        elif kind == "insert":
            data[at:at] = chance.choice(FRAGMENTS)
        elif kind == "move":
            start = chance.randrange(len(data) or 1)
            data[at:at] = data[start : start + chance.randint(1, 300)]
    return bytes(data)


@pytest.mark.parametrize("name", SOURCES)
def test_only_a_generator_or_a_refusal_comes_of_a_changed_file(
    name, tmp_path, watch, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    path = SOURCES[name](tmp_path / "file")
    content = path.read_bytes()
    read_stylegan_file(path)  # what is imported late is imported now
    chance = random.Random(name)
    refusals = []
    for _ in range(NUM_EACH):
        path.write_bytes(mutate(content, chance))
        weights = None
        watch.on = True
        try:
            weights = read_stylegan_file(path)
        except InputError as error:
            refusals.append(str(error))
        finally:
            watch.on = False
        if weights is not None:
            network, config = NETWORKS[weights.kind]
            network(config(**weights.config)).load_state_dict(weights.tensors)
    assert len(refusals) > NUM_EACH / 4
    assert all(len(sentence) < 1000 for sentence in refusals)
    assert watch.events == []
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_the_watch_sees_what_the_ordinary_unpickler_does(tmp_path, watch, monkeypatch):
    """The property above could fail: `pickle.loads` runs the same fragment."""
    monkeypatch.chdir(tmp_path)
    import pickle

    watch.on = True
    try:
        pickle.loads(b"\x80\x02" + FRAGMENTS[2] + b".")  # noqa: S301
    finally:
        watch.on = False
    names = {event for event, _ in watch.events}
    watch.events.clear()
    assert {"pickle.find_class", "exec"} & names
