"""One update: its gradient, its learning rate, and what follows the weights."""

import pytest
import torch
from torch import nn

from clip2latent_kedro.training import Objective, Task, averaged_copy
from clip2latent_kedro.training.rates import decayed_lr, ema_decay
from clip2latent_kedro.training.updates import Updates

from .toy import make_task, points


def gradient(task):
    return torch.cat([p.grad.flatten() for p in task.network.parameters()])


@pytest.mark.parametrize("accumulate", [2, 3, 8, 100])
def test_accumulated_gradient_is_that_of_the_whole_batch(accumulate):
    """Parts of 3, 3 and 2 rows for 3; of one row each for 8 and more."""

    def batch(step):
        return {name: rows.double() for name, rows in points(step).items()}

    gradients, losses = [], []
    for parts in (1, accumulate):
        task = make_task(batch=batch, accumulate=parts)
        task.network.double(), task.average.double()
        if parts > 1:
            task.network.norm.eval()  # a single row has no variance
        updates = Updates(task)
        losses.append(updates.step(1))
        gradients.append(gradient(task))
    torch.testing.assert_close(*losses)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_gradient_is_clipped_to_a_norm(precision):
    free, bound, loose = (
        make_task(precision=precision, clip_grad=limit) for limit in (None, 1e-3, 99)
    )
    for task in (free, bound, loose):
        Updates(task).step(1)
    size = gradient(loose).norm()
    assert 1e-3 < size < 99
    torch.testing.assert_close(gradient(bound), gradient(loose) * 1e-3 / size)
    if precision != "float16":  # whose gradients stay scaled without a limit
        assert torch.equal(gradient(free), gradient(loose))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_is_that_of_the_losses_alone(precision):
    losses = {}
    for name in ("float32", precision):
        task = make_task(precision=name)
        losses[name] = Updates(task).step(1)
        tensors = [*task.network.parameters(), *task.average.parameters()]
        assert all(tensor.dtype == torch.float32 for tensor in tensors)
    assert losses[precision] != losses["float32"]
    torch.testing.assert_close(losses[precision], losses["float32"], rtol=0.02, atol=0)


@pytest.mark.parametrize("first_is_skipped", [False, True])
def test_a_step_that_float16_skips_moves_nothing(first_is_skipped):
    """Neither weights nor average, and the next is the step that it would have been."""
    skipped = 1 if first_is_skipped else 2
    task = make_task(
        precision="float16",
        learning_rate=lambda lr, update: lr * update,
        clip_grad=1.0,
        loss=lambda x, y: task.network.loss(x, y) * task.network.factor,
    )
    task.network.factor = 1.0
    updates = Updates(task)
    if not first_is_skipped:
        updates.step(1)
    weight, average = (m.layer.weight.clone() for m in (task.network, task.average))
    scale = updates.state().get("grad_scaler:scale", torch.tensor(65536.0))
    task.network.factor = torch.inf
    updates.step(skipped)
    assert torch.equal(task.network.layer.weight, weight)
    assert torch.equal(task.average.layer.weight, average)
    assert updates.state()["grad_scaler:scale"] == scale / 2

    task.network.factor = 1.0
    updates.step(skipped + 1)
    (rates,) = {group["lr"] for group in task.objectives[0].optimizer.param_groups}
    assert rates == pytest.approx(0.05 * skipped)
    decay = ema_decay(skipped, beta=0.9, power=1.0)
    expected = torch.lerp(average, task.network.layer.weight, 1 - decay)
    torch.testing.assert_close(task.average.layer.weight, expected)


def test_learning_rates_of_groups_follow_the_updates():
    """lr * min(1, step / 4) * (1 - (step - 1) / 8), from what each group began with."""

    def learning_rate(lr, update):
        return decayed_lr(lr, update, decay="linear", max_it=8, warmup_it=4)

    task = make_task(learning_rate=learning_rate)
    groups = task.objectives[0].optimizer.param_groups
    groups[0]["lr"], groups[1]["lr"] = 0.8, 0.4
    updates = Updates(task)
    for step, expected in enumerate([0.2, 0.35, 0.45, 0.5, 0.4, 0.3, 0.2, 0.1], 1):
        updates.step(step)
        rates = [group["lr"] for group in groups]
        assert rates == pytest.approx([expected, expected / 2])


def test_the_average_follows_weights_and_statistics_and_counts_with_them():
    """EMA_k = d_k EMA_(k-1) + (1 - d_k) w_k, from EMA_0 = w_0, every second step."""
    task = make_task(ema_every=2)
    updates = Updates(task)
    network, average = task.network, task.average
    parts = ("layer.weight", "norm.running_mean", "norm.running_var")
    expected = {name: network.state_dict()[name].double() for name in parts}
    for step in range(1, 7):
        updates.step(step)
        if step % 2 == 0:
            decay = ema_decay(step, beta=0.9, power=1.0)
            for name in parts:
                now = network.state_dict()[name].double()
                expected[name] = decay * expected[name] + (1 - decay) * now
        for name in parts:
            value = average.state_dict()[name].double()
            torch.testing.assert_close(value, expected[name], rtol=1e-6, atol=1e-7)
    assert average.norm.num_batches_tracked == 6


def test_objectives_move_their_own_weights_in_order():
    """The second loss sees what the first has moved; a loss without gradient waits."""
    networks = nn.ModuleDict({name: nn.Linear(1, 1, bias=False) for name in "ab"})
    for network in networks.values():
        nn.init.constant_(network.weight, 1.0)
    a, b = (networks[name].weight for name in "ab")

    def loss_of_a(step):
        return a.sum() if step > 1 else a.detach().sum()

    def loss_of_b(step):
        return (b * a.detach()).sum()

    def sgd(name):
        return torch.optim.SGD(networks[name].named_parameters(), lr=0.5)

    task = Task(
        network=networks,
        average=averaged_copy(networks["a"]),
        source=networks["a"],
        objectives=[Objective(sgd("a"), loss_of_a), Objective(sgd("b"), loss_of_b)],
        batch=lambda step: {"step": step},
        learning_rate=lambda lr, update: lr,
        ema_decay=lambda update: 0.5,
        lr_setting="lr",
    )
    updates = Updates(task)
    assert updates.step(1) == 1.0
    assert (a.item(), b.item()) == (1.0, 0.5)  # b - 0.5 * a
    updates.step(2)
    assert (a.item(), b.item()) == (0.5, 0.25)
    assert float(task.average.weight) == 0.75
