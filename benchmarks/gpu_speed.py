"""How fast a device makes pairs and trains, of gpu_check.py."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import bare  # noqa: F401 (before the package: lends what a bare machine lacks)
import torch
from gpu_sizes import Check, Row, Sizes, pair_settings, tf32
from paper_scale import count_flops, measure_peak
from random_models import W_DIM, RandomViT
from torch import Tensor
from torch.nn import functional as F
from training_speed import make_task

from clip2latent_kedro.engines import EngineConfig
from clip2latent_kedro.engines.local import LocalEngine
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.pairs import GenerationConfig
from clip2latent_kedro.pairs.generation import generate_rows, prepare_synthesis
from clip2latent_kedro.prior.network import NetworkConfig
from clip2latent_kedro.runtime import check_compiler
from clip2latent_kedro.training.updates import Updates


def synthesis(check: Check) -> Iterator[Row]:
    """Yield pairs a second in each way to compute them, and the cosines."""
    device, sizes = check.device, check.sizes
    generator = check.generator().to(device)
    encoder = RandomViT(sizes.layers).to(device)
    data, base = pair_settings(check, generator.num_ws)
    flops = sum(count_flops(generator, encoder, device))
    peaks: dict[object, float] = {}

    def make(config: GenerationConfig, num: int, run: Any = None) -> Tensor:
        found = generate_rows(
            generator,
            encoder,
            data,
            config,
            range(num),
            seed=0,
            device=device,
            synthesis=run,
        )
        return torch.from_numpy(found["clip_embedding"])

    with tf32(False):
        exact = make(base, sizes.batch)
    others = F.cosine_similarity(exact[:1], exact[1:]).mean()

    def measure(config: GenerationConfig, allows_tf32: bool = True) -> Row:
        is_cuda = torch.device(device).type == "cuda"
        with tf32(allows_tf32):
            run = prepare_synthesis(generator, encoder, config, device)
            if is_cuda:
                torch.cuda.reset_peak_memory_stats()
            rough = make(config, sizes.batch, run)  # warms up, and compiles
            make(config, config.batch_size, run)
            began, num = time.perf_counter(), 0
            while time.perf_counter() - began < sizes.row_seconds:
                make(config, config.batch_size, run)  # waits for the device
                num += config.batch_size
            rate = num / (time.perf_counter() - began)
            memory = torch.cuda.max_memory_allocated() / 2**30 if is_cuda else None
            key = config.precision, allows_tf32
            if key not in peaks:
                peaks[key] = measure_peak(config.precision, device, time.perf_counter)
        cosine = F.cosine_similarity(rough, exact)
        return {
            "pairs_per_second": rate,
            "tflops": rate * flops / 1e12,
            "peak_tflops": peaks[key] / 1e12,
            "share_of_peak": rate * flops / peaks[key],
            "gib": memory,
            "least_cosine": cosine.min().item(),
            "median_cosine": cosine.median().item(),
            "cosine_of_different_images": others.item(),
            "hours_for_a_million": 1e6 / rate / 3600,
        }

    def way(precision: str, allows_tf32: bool = True, **changes: Any) -> Any:
        return partial(
            measure, replace(base, precision=precision, **changes), allows_tf32
        )

    last, twice = {"channels_last": True}, {"batch_size": 2 * sizes.batch}
    ways = {  # a layout stays, so that channels-last comes last
        "float32": way("float32", allows_tf32=False),
        "float32, TF32": way("float32"),
        "bfloat16": way("bfloat16"),
        "bfloat16, channels last": way("bfloat16", **last),
        "bfloat16, channels last, twice the batch": way("bfloat16", **last, **twice),
    }
    if torch.device(device).type == "cuda":  # a CPU imitates it
        ways["float16, channels last"] = way("float16", **last)
    if sizes.compiles:
        ways["bfloat16, channels last, compiled"] = way(
            "bfloat16", **last, compile=True
        )
    yield from check.rows(**ways)


def training(check: Check) -> Iterator[Row]:
    """Yield steps a second of the prior's training."""
    sizes, device = check.sizes, check.device

    def measure(precision: Any, mode: str | None, graphs: bool = False) -> Row:
        if graphs and torch.device(device).type != "cuda":
            raise InputError("CUDA graphs are of GPUs")
        task = make_task(
            NetworkConfig(**sizes.network),
            W_DIM,
            sizes.train_batch,
            device,
            precision=precision,
            is_compiled=False,
        )
        if mode is not None:
            check_compiler("train.compile", device)
            task.network.compile(mode=mode)
        updates = Updates(task)
        began = time.perf_counter()
        for step in range(1, 6):
            loss = float(updates.step(step))
        warmed = time.perf_counter()
        step = 5
        while time.perf_counter() - warmed < sizes.row_seconds:
            for _ in range(5):
                step += 1
                last = updates.step(step)
            check.synchronise()
        rate = (step - 5) / (time.perf_counter() - warmed)
        return {
            "steps_per_second": rate,
            "pairs_per_second": rate * sizes.train_batch,
            "seconds_of_first_steps": warmed - began,
            "loss_of_step_5": loss,
            "last_loss": float(last),
        }

    ways: dict[str, Callable[[], Row]] = {
        "float32": partial(measure, "float32", None),
        "bfloat16": partial(measure, "bfloat16", None),
        "float16": partial(measure, "float16", None),
    }
    if sizes.compiles:
        ways["bfloat16, compiled"] = partial(measure, "bfloat16", "default")
        ways["bfloat16, compiled, CUDA graphs"] = partial(
            measure, "bfloat16", "reduce-overhead", graphs=True
        )
        ways["float32, compiled"] = partial(measure, "float32", "default")
    yield from check.rows(**ways)


def prepare_worker(sizes: Sizes, device: str) -> Any:
    """Return what makes pairs, in a worker."""
    check = Check(device, sizes, 0.0)
    generator = check.generator().to(device)
    encoder = RandomViT(sizes.layers).to(device)
    data, generation = pair_settings(check, generator.num_ws)
    if torch.device(device).type == "cuda":
        generation = replace(generation, precision="bfloat16", channels_last=True)
    run = prepare_synthesis(generator, encoder, generation, device)
    make = partial(
        generate_rows,
        generator,
        encoder,
        data,
        generation,
        seed=0,
        device=device,
        synthesis=run,
    )
    make(range(generation.batch_size))  # warms up
    return make


def make_part(make: Any, rows: range) -> tuple[float, float, int]:
    """Return when a part was begun and ended, on the clock of all, and its pairs."""
    began = time.time()
    make(rows)
    return began, time.time(), len(rows)


def workers(check: Check) -> Iterator[Row]:
    """Yield pairs a second of one process and of several on the same device."""
    sizes = check.sizes

    def measure(num: int) -> Row:
        engine = LocalEngine(check.device, EngineConfig(workers=num))
        size = sizes.batch * (4 if sizes.compiles else 1)
        cases = [range(i * size, (i + 1) * size) for i in range(4 * num)]
        prepare = partial(prepare_worker, sizes)
        parts = [part for _, part in engine.run(prepare, make_part, cases)]
        # From when the last worker has begun to when the first has nothing to do.
        began, ended = min(p[0] for p in parts), max(p[1] for p in parts)
        pairs = sum(p[2] for p in parts)
        return {"pairs_per_second": pairs / (ended - began), "pairs": pairs}

    most = 4 if sizes.compiles else 2
    counts = [num for num in (1, 2, 4) if num <= most]
    yield from check.rows(
        **{f"{num} processes": partial(measure, num) for num in counts}
    )
