"""A line fitted to points, which trains in microseconds."""

from dataclasses import replace
from functools import partial

import torch
from torch import nn

from clip2latent_kedro.runtime import make_generator
from clip2latent_kedro.training import Objective, Run, Task, averaged_copy
from clip2latent_kedro.training.optimizer import build_optimizer
from clip2latent_kedro.training.rates import decayed_lr, ema_decay

SETTINGS = {"lr": 0.05, "lr_decay": "none", "max_it": 9, "save_it": 4, "val_it": 3}
RUN = Run("line_state", "line", {"line": SETTINGS, "seed": 0}, {"code": "a"}, 9, 4, 3)


def make_run(making=None, **changes):
    """The run of `RUN` under other settings."""
    settings = {**SETTINGS, **changes}
    timing = {name: settings[name] for name in ("max_it", "save_it", "val_it")}
    tree = {"line": settings, "seed": 0}
    return replace(RUN, settings=tree, making=making or RUN.making, **timing)


class Line(nn.Module):
    """y = w x + b, and statistics of x as layers that normalise keep them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 1)
        self.norm = nn.BatchNorm1d(3, affine=False)

    def loss(self, x, y):
        self.norm(x)
        return (self.layer(x)[:, 0] - y).square().mean() / 10  # small in float16


def points(step, num=8):
    x = torch.randn(num, 3, generator=make_generator(0, step)) / 10
    return {"x": x, "y": x @ torch.tensor([1.0, -2.0, 0.5])}


def make_task(loss=None, **changes):
    line = Line()
    optimizer = build_optimizer(line, lr=SETTINGS["lr"], weight_decay=0.1)
    settings = {
        "network": line,
        "average": averaged_copy(line),
        "objectives": [Objective(optimizer, loss or line.loss)],
        "batch": points,
        "learning_rate": partial(decayed_lr, decay="none", max_it=9),
        "ema_decay": partial(ema_decay, beta=0.9, power=1.0),
        "lr_setting": "line.lr = 0.05",
    }
    return Task(**{**settings, **changes})
