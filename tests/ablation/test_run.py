"""Which failures become a cell of the table."""

from types import SimpleNamespace

import pytest
import torch
from ablation.world import make_bench, make_settings

from clip2latent_kedro.ablation.run import run_variants
from clip2latent_kedro.errors import InputError

CONFIG = SimpleNamespace(num_seeds=1, ensemble_size=4, num_samples=2, strip_prompts=1)


def run(retrains):
    variant = SimpleNamespace(
        key="k",
        retrains=retrains,
        settings=make_settings(),
        study="a study",
        point=SimpleNamespace(label="a point"),
    )
    return dict(run_variants([variant], make_bench(), CONFIG, seed=0))


@pytest.mark.parametrize("retrains", [False, True])
@pytest.mark.parametrize(
    ("error", "is_cell"),
    [
        (InputError("too few"), True),
        (torch.OutOfMemoryError("out of memory"), True),
        (FloatingPointError("nan"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), True),
        (TypeError("a slip"), False),
        (KeyError("a slip"), False),
        (RuntimeError("shapes cannot be multiplied"), False),
    ],
)
def test_a_fault_of_the_code_is_no_result(monkeypatch, retrains, error, is_cell):
    def fail(*arguments, **named):
        raise error

    where = (
        "clip2latent_kedro.ablation.run.train_alone"
        if retrains
        else "clip2latent_kedro.ablation.bench.Bench.try_settings"
    )
    monkeypatch.setattr(where, fail)
    if is_cell:
        assert run(retrains)["k"].problem == str(error)
    else:
        with pytest.raises(type(error)):
            run(retrains)
