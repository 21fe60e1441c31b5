import hashlib

import pytest
import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.runtime import (
    derive_seed,
    describe_machine,
    make_generator,
    pick_device,
)


def test_seed_is_read_from_the_digest_of_its_path():
    digest = hashlib.sha256(b"7:embedding_noise:3").hexdigest()

    assert derive_seed(7, "embedding_noise", 3) == int(digest[:16], 16) // 2


def test_seeds_differ_by_seed_and_by_path():
    paths = [(0,), (1,), (0, "a"), (0, "b"), (0, "a", 1), (0, "a", 2), (0, "a", 12)]

    assert len({derive_seed(*path) for path in paths}) == len(paths)


def test_seeds_fit_what_torch_and_numpy_take():
    assert all(0 <= derive_seed(seed) < 2**63 for seed in range(1000))


def test_same_path_same_noise():
    first = torch.randn(5, generator=make_generator(1, "start"))
    again = torch.randn(5, generator=make_generator(1, "start"))
    other = torch.randn(5, generator=make_generator(1, "step"))

    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_new_generator_leaves_the_global_one_alone():
    state = torch.get_rng_state()

    torch.randn(5, generator=make_generator(1))

    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("found", "device"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_the_gpu_if_there_is_one(monkeypatch, found, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: found)

    assert pick_device("auto") == device


def test_a_named_device_is_kept():
    assert pick_device("cpu") == "cpu"


def test_an_unknown_device_is_explained():
    with pytest.raises(InputError, match="auto, cpu, cuda or cuda:N, got 'gpu'"):
        pick_device("gpu")


@pytest.mark.parametrize(("count", "name"), [(0, "cuda"), (0, "cuda:0"), (2, "cuda:2")])
def test_a_device_that_is_not_there_is_explained(monkeypatch, count, name):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    with pytest.raises(InputError, match=f"'{name}', but {count} CUDA devices"):
        pick_device(name)


def test_the_last_device_is_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)

    assert pick_device("cuda:1") == "cuda:1"


def test_machine_is_described_by_plain_values():
    machine = describe_machine()

    assert machine["threads"] == torch.get_num_threads()
    assert machine["torch"] == torch.__version__
    assert machine["processor"]
    assert machine["cores"] >= 1
