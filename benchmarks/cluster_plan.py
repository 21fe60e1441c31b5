"""A plan on paper: 10^9 pairs by 64 GPUs, and what of their data path breaks first.

A simulation of events with a seed: GPUs make shards, of which some take longer and
some are lost with their worker; each shard is written to an object store with as many
requests as the code makes. What is not simulated is counted: how long a resume looks
at what is stored, what readers hold and read. Nothing of it was run on a cluster: rates
are settings, and benchmarks/gpu_check.py measures the first of them.
Example: `python benchmarks/cluster_plan.py --gpus 64 --pairs 1e9 --seeds 3`.
"""

import argparse
import heapq
import math
import random
from collections import Counter
from dataclasses import dataclass
from statistics import median

from clip2latent_kedro.datasets import shard_store

CLIP_DIM, W_DIM, BYTES = 512, 512, 4
PUTS_PER_PREFIX, GETS_PER_PREFIX = 3500, 5500  # a second, Amazon's S3 user guide
# Of a shard, as shard_store writes it: its checksum is withdrawn, each array has one
# object, and the checksum commits it. A worker opens the store for it: four metadata.
PUTS_BESIDE_ARRAYS, GETS_TO_OPEN = 2, 4


@dataclass(frozen=True)
class Plan:
    """What is made, by what.

    Attributes:
        pairs: In all.
        shard: Pairs of each shard.
        layers: Of a latent that are stored: 1 for w, 18 for w+.
        gpus: Workers.
        rate: Pairs a second of each.
        spread: Standard deviation of the logarithm of a shard's time.
        hours_between_deaths: Of one worker, mean.
        restart_seconds: From a death until its successor computes.
        upload: Bytes a second of one worker.
        read: Bytes a second of one reader.
    """

    pairs: int
    shard: int
    layers: int
    gpus: int
    rate: float
    spread: float
    hours_between_deaths: float
    restart_seconds: float
    upload: float
    read: float

    @property
    def num_shards(self) -> int:
        """Shards of the store."""
        return -(-self.pairs // self.shard)

    @property
    def pair_bytes(self) -> int:
        """Bytes of a pair."""
        return BYTES * (self.layers * W_DIM + CLIP_DIM)


@dataclass(frozen=True)
class Outcome:
    """What a simulated generation took.

    Attributes:
        hours: Until the last shard is stored.
        tail_hours: Of these, with fewer shards left than workers.
        deaths: Workers that died.
        lost: Share of all computing that died with them.
        most_puts: Requests of the busiest second.
    """

    hours: float
    tail_hours: float
    deaths: int
    lost: float
    most_puts: int


def simulate(plan: Plan, seed: int) -> Outcome:
    """Return what one draw of the generation takes."""
    chance = random.Random(seed)
    own = plan.shard / plan.rate
    upload = plan.shard * plan.pair_bytes / plan.upload
    waiting, doing, computed, lost, deaths = plan.num_shards, 0, 0.0, 0.0, 0
    puts: Counter[int] = Counter()
    events: list[tuple[float, bool, float]] = []  # when, whether stored, its seconds
    now = tail = 0.0

    def begin(at: float) -> None:
        nonlocal waiting, doing
        if not waiting:
            return
        waiting -= 1
        doing += 1
        seconds = own * math.exp(chance.gauss(0.0, plan.spread)) + upload
        death = chance.expovariate(1 / (3600 * plan.hours_between_deaths))
        heapq.heappush(events, (at + min(seconds, death), death >= seconds, seconds))

    for _ in range(plan.gpus):
        begin(chance.uniform(0, 60))  # they do not start together
    while events:
        now, is_stored, seconds = heapq.heappop(events)
        doing -= 1
        if is_stored:
            computed += seconds
            puts[int(now)] += 2 + PUTS_BESIDE_ARRAYS
            begin(now)
        else:
            deaths += 1
            lost += seconds / 2  # as a mean; the case is given out again
            waiting += 1
            begin(now + plan.restart_seconds)
        if not waiting and not tail:
            tail = now
    share = lost / (computed + lost)
    hours = (now / 3600, (now - tail) / 3600)
    return Outcome(*hours, deaths, share, max(puts.values()))


def find_breaks(plan: Plan) -> list[str]:
    """Return what of today's code does not go so far, by name."""
    found = []
    total = plan.pairs * plan.pair_bytes
    if plan.num_shards > shard_store._MAX_SHARDS:
        found.append(
            f"shard_store._MAX_SHARDS: {plan.num_shards:,} shards, and it allows "
            f"{shard_store._MAX_SHARDS:,}"
        )
    size = plan.shard * plan.pair_bytes
    if size > shard_store._MAX_SHARD_BYTES:
        found.append(f"shard_store._MAX_SHARD_BYTES: a shard of {size / 1e9:.1f} GB")
    hours = total / plan.read / 3600
    if hours > 1:
        found.append(
            f"ZarrShardsDataset: a resume, and every load, reads all "
            f"{total / 1e12:.1f} TB in one process to compare checksums: {hours:.1f} h"
        )
    return found


def main() -> None:
    """Print a table, a row for each plan, and what breaks in each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpus", type=int, default=64)
    parser.add_argument("--pairs", type=float, default=1e9)
    parser.add_argument("--rate", type=float, default=150.0, help="pairs/s of a GPU")
    parser.add_argument(
        "--shards", type=int, nargs="+", default=[2048, 10_000, 100_000]
    )
    parser.add_argument("--spread", type=float, default=0.1)
    parser.add_argument("--hours-between-deaths", type=float, default=200.0)
    parser.add_argument("--restart-seconds", type=float, default=60.0)
    parser.add_argument("--upload", type=float, default=100e6, help="bytes/s")
    parser.add_argument("--read", type=float, default=500e6, help="bytes/s of a reader")
    parser.add_argument("--buffer-pairs", type=int, default=1_000_000)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()

    columns = (
        *("latents", "pairs a shard", "shards", "TB", "hours", "of it tail, min"),
        *("deaths", "lost", "PUT/s, mean", "PUT/s, most", "GET/s to open"),
        *("GB a buffer", "TB an epoch and rank"),
    )
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    breaks = []
    for layers, latents in ((1, "w"), (18, "w+")):
        for shard in options.shards:
            plan = Plan(
                *(int(options.pairs), shard, layers, options.gpus, options.rate),
                *(options.spread, options.hours_between_deaths),
                *(options.restart_seconds, options.upload, options.read),
            )
            runs = [simulate(plan, seed) for seed in range(options.seeds)]
            hours = [run.hours for run in runs]
            seconds = 3600 * median(hours)
            puts = plan.num_shards * (2 + PUTS_BESIDE_ARRAYS) / seconds
            total = plan.pairs * plan.pair_bytes
            cells = (
                *(latents, f"{shard:,}", f"{plan.num_shards:,}", f"{total / 1e12:.1f}"),
                f"{median(hours):.1f} ({min(hours):.1f} to {max(hours):.1f})",
                f"{60 * median(run.tail_hours for run in runs):.1f}",
                f"{median(run.deaths for run in runs):g}",
                f"{median(run.lost for run in runs):.2%}",
                f"{puts:.1f}",
                f"{max(run.most_puts for run in runs)}",
                f"{plan.num_shards * GETS_TO_OPEN / seconds:.1f}",
                f"{options.buffer_pairs * plan.pair_bytes / 1e9:.1f}",
                f"{total / options.gpus / 1e12:.3f}",
            )
            print(f"| {' | '.join(cells)} |", flush=True)
            breaks += [f"{latents}, {shard:,}: {one}." for one in find_breaks(plan)]
    print(
        f"\nS3 allows {PUTS_PER_PREFIX} PUT/s and {GETS_PER_PREFIX} GET/s a prefix.\n"
    )
    print("\n".join(f"- {line}" for line in breaks))


if __name__ == "__main__":
    main()
