"""Works of groups, which the processes that do them import."""

import os
import signal
from dataclasses import replace
from functools import partial

import torch

from clip2latent_kedro.engines import EngineConfig
from clip2latent_kedro.engines.spawned import SpawnedGroup
from clip2latent_kedro.runtime import make_generator
from clip2latent_kedro.training import Objective, averaged_copy
from clip2latent_kedro.training.optimizer import build_optimizer
from clip2latent_kedro.training.updates import Updates

from .toy import SETTINGS, Line, make_task


def make_group(workers=2, **changes):
    settings = {"workers": workers, "threads": 1, **changes}
    return SpawnedGroup("cpu", EngineConfig(**settings))


def say_nothing(step, loss, row):
    pass


def seat_by_seat(work, workers=2):
    """Return what work(seat) returns at each seat."""
    whole = partial(_gather, work)
    return next(make_group(workers).run(whole, whole, None, say_nothing))


def _gather(work, seat, start, report):
    results = [None] * seat.size
    torch.distributed.all_gather_object(results, work(seat))
    if seat.rank == 0:
        yield results


class Plain(Line):
    """A line without statistics, in double precision, a weight of which is idle."""

    def __init__(self):
        super().__init__()
        self.idle = torch.nn.Parameter(torch.ones(2, 2))
        self.double()

    def loss(self, x, y):
        return (self.layer(x)[:, 0] - y).square().mean()


def exact_points(step, num=7):
    x = torch.randn(num, 3, generator=make_generator(0, step), dtype=torch.float64)
    return {"x": x, "y": x @ torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)}


def exact_task(**changes):
    line = Plain()
    optimizer = build_optimizer(line, lr=SETTINGS["lr"], weight_decay=0.1)
    return make_task(
        **{
            "network": line,
            "average": averaged_copy(line),
            "objectives": [Objective(optimizer, line.loss)],
            "batch": exact_points,
            **changes,
        }
    )


def updated(changes, team):
    """Return the share of the loss, the gradient and the weights of two steps."""
    task = exact_task(**changes)
    updates = Updates(task, team)
    losses = [updates.step(step) for step in (1, 2)]
    parameters = list(task.network.parameters())
    gradient = [None if p.grad is None else p.grad.tolist() for p in parameters]
    return torch.stack(losses), gradient, [p.tolist() for p in parameters]


def two_groups_of_weights(team):
    """Return the weights after steps of two objectives, each of its own weights."""
    task = exact_task()
    line = task.network
    line.other = torch.nn.Linear(3, 1).double()
    torch.nn.init.constant_(line.other.weight, 0.5)
    torch.nn.init.constant_(line.other.bias, 0.0)

    def distance(x, y):
        return (line.other(x) - line.layer(x).detach()).square().mean()

    optimizers = [
        torch.optim.SGD(part.named_parameters(), lr=0.1)
        for part in (line.layer, line.other)
    ]
    losses = (line.loss, distance)
    objectives = [Objective(*both) for both in zip(optimizers, losses, strict=True)]
    updates = Updates(
        replace(task, objectives=objectives, average=averaged_copy(line)), team
    )
    for step in (1, 2, 3):
        updates.step(step)
    return [p.tolist() for p in line.parameters()]


def prepare_line(device, team, *, losses=None, ends=None, after=None):
    """A task; rank `ends[0]` is killed at step `ends[1]`, once if `after` is a path."""
    task = exact_task(measure=lambda step, is_validated: {"score": 1.0 / step})

    def batch(step):
        if ends is not None and (team.rank, step) == ends and not _is_there(after):
            os.kill(os.getpid(), signal.SIGKILL)
        points = exact_points(step)
        if losses is not None and team.rank == losses[0] and step == losses[1]:
            points["y"] = points["y"] * torch.nan
        return points

    return replace(task, batch=batch)


def _is_there(path):
    if path is None:
        return False
    if path.exists():
        return True
    path.touch()
    return False
