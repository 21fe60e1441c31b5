import hashlib

import pytest
import torch

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.runtime import (
    choose_precision,
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


@pytest.mark.parametrize(
    ("name", "count", "message"),
    [
        ("gpu", 2, "auto, cpu, cuda or cuda:N, got 'gpu'"),
        ("cuda", 0, "'cuda', but 0 CUDA devices"),
        ("cuda:0", 0, "'cuda:0', but 0 CUDA devices"),
        ("cuda:2", 2, "'cuda:2', but 2 CUDA devices"),
        ("cpu", 0, None),
        ("cuda:1", 2, None),
    ],
)
def test_a_device_is_kept_if_it_is_there(monkeypatch, name, count, message):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    if message is None:
        assert pick_device(name) == name
    else:
        with pytest.raises(InputError, match=message):
            pick_device(name)


@pytest.mark.parametrize(("has", "precision"), [(True, "bfloat16"), (False, "float32")])
def test_auto_takes_half_precision_where_the_processor_has_it(
    monkeypatch, has, precision
):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has)
    assert choose_precision("auto", "cpu") == precision
    for asked in ("float32", "bfloat16", "float16"):
        assert choose_precision(asked, "cpu") == asked


def test_machine_is_described_by_plain_values():
    machine = describe_machine()

    assert machine["threads"] == torch.get_num_threads()
    assert machine["torch"] == torch.__version__
    assert machine["processor"]
    assert machine["cores"] >= 1
