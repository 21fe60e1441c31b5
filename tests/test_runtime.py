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

    seed = int(digest[:16], 16) // 2
    assert derive_seed(7, "embedding_noise", 3) == seed
    noise = torch.randn(5, generator=make_generator(7, "embedding_noise", 3))
    assert torch.equal(
        noise, torch.randn(5, generator=torch.Generator().manual_seed(seed))
    )


@pytest.mark.parametrize(("found", "device"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_the_gpu_if_there_is_one(monkeypatch, found, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: found)

    assert pick_device("auto") == device


def test_an_unknown_device_is_explained():
    with pytest.raises(InputError, match="auto, cpu, cuda or cuda:N, got 'gpu'"):
        pick_device("gpu")


@pytest.mark.parametrize(("count", "name"), [(0, "cuda"), (0, "cuda:0"), (2, "cuda:2")])
def test_a_device_that_is_not_there_is_explained(monkeypatch, count, name):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    with pytest.raises(InputError, match=f"'{name}', but {count} CUDA devices"):
        pick_device(name)


@pytest.mark.parametrize("name", ["cpu", "cuda:1"])
def test_a_device_that_is_there_is_kept(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)

    assert pick_device(name) == name


def test_machine_is_described_by_plain_values():
    machine = describe_machine()

    assert machine["threads"] == torch.get_num_threads()
    assert machine["torch"] == torch.__version__
    assert machine["processor"]
    assert machine["cores"] >= 1
