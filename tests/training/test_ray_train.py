"""Ray Train: states come as they are made, and a killed worker costs an interval."""

import os
from functools import partial

import pytest

from clip2latent_kedro.engines import EngineConfig
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.training import fit, fit_together
from clip2latent_kedro.training.team import ALONE

from . import crews
from .test_fit_together import assert_close
from .toy import RUN, make_run

pytest.importorskip("ray", reason="needs the extra ray")
pytestmark = pytest.mark.slow  # Ray Train takes half a minute to begin workers


@pytest.fixture(scope="module")
def cluster():
    """One of this machine, for all tests of the file."""
    from clip2latent_kedro.engines.ray_cluster import connect

    with connect(EngineConfig(engine="ray", workers=2)):
        yield


def make_group(**changes):
    from clip2latent_kedro.engines.ray_train import RayGroup

    settings = {"engine": "ray", "workers": 2, "threads": 1, **changes}
    return RayGroup("cpu", EngineConfig(**settings))


def train(run=RUN, stored=None, **changes):
    prepare = partial(crews.prepare_line, **changes)
    return list(fit_together(make_group(), prepare, prepare, run, stored))


def test_a_killed_worker_begins_again_from_the_last_state(cluster, tmp_path):
    """The second one is killed in step 9, after the state of step 8."""
    path = tmp_path / "was_killed"
    alone = list(fit(lambda: crews.prepare_line("cpu", ALONE), RUN))
    states = train(stored=alone[0], ends=(1, 9), after=path)
    assert path.exists()
    assert_close(states, alone[1:])


def test_a_loss_that_is_not_finite_ends_it_at_once(cluster):
    message = r"steps 1 to 9 .*got a mean loss of nan. None is kept"
    with pytest.raises(InputError, match=message):
        train(make_run(val_it=9, save_it=9), losses=(1, 6))


def test_more_than_the_cluster_has_is_refused(cluster):
    with pytest.raises(InputError, match=r"cluster must have \d+ x 1 cores"):
        make_group(workers=1000 + (os.cpu_count() or 1))
