r"""How long the paper's 1,000,000 training pairs take on this machine.

    python benchmarks/paper_scale.py
    python benchmarks/paper_scale.py --precision float16 bfloat16 --batch 16 32 64 \
        --channels-last no yes --compile no yes --seconds 20

Makes pairs as the pipeline data_generation does (w, synthesis at 1024 pixels, area to
256, CLIP), with random weights of the architectures of the paper; storing is left to
benchmarks/data_generation.py. Needs torch and NumPy alone. Arithmetic is counted by
torch.utils.flop_counter, two operations a multiply-add, over synthesis and image tower;
the peak is that of the largest of a few square matrix products in the same precision.
The cosine is that of the embeddings of one batch with those of float32; beside it
stands the mean one of different images, which random weights make alike. Prints
Markdown.
"""

import argparse
import itertools
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from random_models import W_DIM, RandomViT, random_stylegan2
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from clip2latent_kedro.generators.adapters import StyleGANGenerator
from clip2latent_kedro.pairs import DataConfig, GenerationConfig
from clip2latent_kedro.pairs.generation import generate_rows, prepare_synthesis
from clip2latent_kedro.runtime import (
    Precision,
    arithmetic,
    describe_machine,
    pick_device,
)

SWITCH = {"no": False, "yes": True}
PAPER_PAIRS = 1_000_000


def main() -> None:
    """Print the machine, the arithmetic and a row for each way to compute."""
    options = _parse_arguments()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    device = pick_device(options.device)
    clock = time.process_time if options.cpu_seconds else time.perf_counter
    generator = random_stylegan2(options.resolution, options.channel_base).to(device)
    encoder = RandomViT().to(device)
    data = DataConfig(
        bs=1,
        embed_noise_scale=1.0,
        clip_variant="any",
        n_latents=1,
        latent_dim=W_DIM,
        latent_repeats=[generator.num_ws],
    )
    base = GenerationConfig(
        n_samples=PAPER_PAIRS,
        batch_size=options.batch[0],
        out_image_size=min(256, options.resolution),
        psi=1.0,
        samples_per_shard=10_000,
        save_images=False,
        dtype="float32",
    )
    synthesis_flops, encoder_flops = count_flops(generator, encoder, device)
    flops = synthesis_flops + encoder_flops
    print(f"{describe_machine()}\n")
    print(
        f"One pair: {synthesis_flops / 1e9:.1f} GFLOP of synthesis at "
        f"{options.resolution} px and {encoder_flops / 1e9:.1f} of the image tower.\n"
    )
    print(
        "| precision | batch | channels last | compiled | pairs/s | TFLOP/s | peak "
        "| share | GiB | cosine with float32 (different images) | hours for 1,000,000 |"
    )
    print("|" + "---|" * 11)

    def make(config: GenerationConfig, num: int, synthesis: object = None) -> Tensor:
        found = generate_rows(
            generator,
            encoder,
            data,
            config,
            range(num),
            seed=0,
            device=device,
            synthesis=synthesis,
        )
        return torch.from_numpy(found["clip_embedding"])

    exact = make(base, options.batch[0])
    for precision, channels_last, is_compiled, batch in itertools.product(
        options.precision,
        options.channels_last,
        options.compile,
        options.batch,
    ):
        config = replace(
            base,
            batch_size=batch,
            precision=precision,
            channels_last=SWITCH[channels_last],
            compile=SWITCH[is_compiled],
        )
        synthesis = prepare_synthesis(generator, encoder, config, device)
        if device != "cpu":
            torch.cuda.reset_peak_memory_stats()
        rough = make(config, batch, synthesis)  # warms up, and compiles
        began = clock()
        make(config, batch, synthesis)
        num = max(1, round(options.seconds / (clock() - began))) * batch
        began = clock()
        make(config, num, synthesis)
        rate = num / (clock() - began)
        memory = "" if device == "cpu" else torch.cuda.max_memory_allocated() / 2**30
        common = min(len(rough), len(exact))
        cosine = F.cosine_similarity(rough[:common], exact[:common])
        alike = F.cosine_similarity(exact[:1], exact[1:]).mean()
        peak = measure_peak(precision, device, clock)
        print(
            f"| {precision} | {batch} | {channels_last} | {is_compiled} | {rate:.3g} "
            f"| {rate * flops / 1e12:.3g} | {peak / 1e12:.3g} "
            f"| {rate * flops / peak:.0%} | {memory and f'{memory:.1f}'} "
            f"| {cosine.min():.6f} ({alike:.3f}) "
            f"| {PAPER_PAIRS / rate / 3600:.3g} |",
            flush=True,
        )


def count_flops(
    generator: StyleGANGenerator, encoder: RandomViT, device: str
) -> list[float]:
    """Return operations of drawing and of embedding one image."""
    w = torch.zeros(1, generator.num_ws, W_DIM, device=device)
    image = torch.zeros(1, 3, *encoder.image_size, device=device)
    counts = []
    torch.backends.mha.set_fastpath_enabled(False)  # whose one operation has no count
    for compute in (
        lambda: generator.synthesis(w),
        lambda: encoder.encode_image(image),
    ):
        # With gradients on nothing is drawn in pieces, whose margins would count.
        with FlopCounterMode(display=False) as counter, torch.enable_grad():
            compute()
        counts.append(float(counter.get_total_flops()))
    torch.backends.mha.set_fastpath_enabled(True)
    return counts


def measure_peak(
    precision: Precision, device: str, clock: Callable[[], float]
) -> float:
    """Return the most operations per second of a few square matrix products."""
    best = 0.0
    for size in (1024, 2048) if device == "cpu" else (4096, 8192, 16384):
        a, b = (torch.randn(size, size, device=device) for _ in range(2))
        with torch.inference_mode(), arithmetic(precision, device):
            if precision != "float32":
                a, b = (part.to(getattr(torch, precision)) for part in (a, b))
            began = clock()
            while clock() - began < 1:
                start = clock()
                for _ in range(4):
                    product = a @ b
                product[0, 0].item()  # waits for the GPU
                rate = 4 * 2 * size**3 / (clock() - start)
                best = max(best, rate)
    return best


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    precisions = ("float32", "bfloat16", "float16")
    parser.add_argument("--precision", nargs="+", choices=precisions, default=None)
    parser.add_argument("--batch", nargs="+", type=int, default=None)
    parser.add_argument("--channels-last", nargs="+", choices=SWITCH, default=["no"])
    parser.add_argument("--compile", nargs="+", choices=SWITCH, default=["no"])
    parser.add_argument("--resolution", type=int, default=1024)
    parser.add_argument("--channel-base", type=int, default=32768)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each row")
    parser.add_argument(
        "--cpu-seconds",
        action="store_true",
        help="of all threads, for a CPU that others use as well",
    )
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    on_cpu = pick_device(options.device) == "cpu"
    options.precision = options.precision or (
        ["float32", "bfloat16"] if on_cpu else list(precisions)
    )
    options.batch = options.batch or ([4] if on_cpu else [16, 32])
    return options


if __name__ == "__main__":
    main()
