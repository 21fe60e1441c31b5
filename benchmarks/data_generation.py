"""Time of data_generation: forward passes, storing, resuming; precision of its pairs.

Those of the portraits by default; `--generator KIND --generator-file FILE` and the same
for the encoder take others. The next shard is made while one is stored; only storing
the last one delays the end. In half precision the embeddings
of the first pairs are compared with those of float32. Prints one JSON object; nothing
is kept.
"""

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from clip2latent_kedro.datasets import ModelDataset, ZarrPairsDataset
from clip2latent_kedro.engines import here
from clip2latent_kedro.interfaces import Encoder, Generator
from clip2latent_kedro.pairs import DataConfig, GenerationConfig, generate_pairs
from clip2latent_kedro.pairs.generation import generate_rows
from clip2latent_kedro.runtime import describe_machine, pick_device

WEIGHTS = str(
    Path(__file__).parents[1] / "src/clip2latent_kedro/worlds/portraits/weights"
)


def main() -> None:
    """Generate pairs into a temporary store and report where the time goes."""
    arguments = _parse_arguments()
    device = pick_device(arguments.device)
    generator = ModelDataset(
        role="generator",
        kind=arguments.generator,
        filepath=arguments.generator_file,
        options=json.loads(arguments.generator_options),
    ).load()
    encoder = ModelDataset(
        role="encoder",
        kind=arguments.encoder,
        filepath=arguments.encoder_file,
        options=json.loads(arguments.encoder_options),
    ).load()
    data = DataConfig(
        bs=1,
        embed_noise_scale=1.0,
        clip_variant=encoder.identity.name,
        n_latents=1,
        latent_dim=generator.w_dim,
        latent_repeats=[generator.num_ws],
    )
    generation = GenerationConfig(
        n_samples=arguments.pairs,
        batch_size=arguments.batch_size,
        out_image_size=arguments.image_size,
        psi=1.0,
        samples_per_shard=arguments.samples_per_shard,
        save_images=arguments.save_images,
        dtype="float32",
        precision=arguments.precision,
        channels_last=arguments.channels_last,
        compile=arguments.compile,
    )

    with tempfile.TemporaryDirectory() as folder:
        store = ZarrPairsDataset(filepath=str(Path(folder) / "pairs.zarr"))
        progress = ZarrPairsDataset(filepath=str(store._filepath), role="progress")
        began = time.perf_counter()
        storing = []
        for shard in generate_pairs(
            generator,
            encoder,
            data,
            generation,
            seed=0,
            engine=here(device),
            progress=progress.load(),
            resume=True,
        ):
            before = time.perf_counter()
            store.save(shard)
            storing.append(time.perf_counter() - before)
        total = time.perf_counter() - began

        began = time.perf_counter()
        store.load()
        loading = time.perf_counter() - began

    agreement = {}
    if arguments.precision != "float32":
        agreement = compare_precisions(generator, encoder, data, generation, device)
    report = {
        "pairs": arguments.pairs,
        "pairs_per_second": round(arguments.pairs / total, 1),
        "seconds": round(total, 3),
        "storing_seconds": round(sum(storing), 4),
        "storing_percent": round(100 * sum(storing) / total, 3),
        "seconds_after_last_shard_was_made": round(storing[-1], 4),
        "verified_load_seconds": round(loading, 3),
        **agreement,
        "settings": vars(arguments) | {"device": device},
        "machine": describe_machine(),
    }
    print(json.dumps(report, indent=2))


def compare_precisions(
    generator: Generator,
    encoder: Encoder,
    data: DataConfig,
    generation: GenerationConfig,
    device: str,
    num_pairs: int = 64,
) -> dict[str, float]:
    """Return how close embeddings are to those of float32, and w, of the same pairs."""
    arrays = [
        generate_rows(
            generator,
            encoder,
            data,
            replace(generation, precision=precision),
            range(num_pairs),
            seed=0,
            device=device,
        )
        for precision in ("float32", generation.precision)
    ]
    exact, rough = (torch.from_numpy(each["clip_embedding"]) for each in arrays)
    cosine = torch.cosine_similarity(exact, rough)
    return {
        "least_cosine_with_float32": float(cosine.min()),
        "mean_cosine_with_float32": float(cosine.mean()),
        "w_equal_in_every_bit": bool((arrays[0]["w"] == arrays[1]["w"]).all()),
    }


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generator", default="stylegan2")
    parser.add_argument("--generator-file", default=f"{WEIGHTS}/generator.safetensors")
    parser.add_argument("--generator-options", default="{}", help="JSON")
    parser.add_argument("--encoder", default="compact_clip")
    parser.add_argument("--encoder-file", default=f"{WEIGHTS}/clip.safetensors")
    parser.add_argument("--encoder-options", default="{}", help="JSON")
    parser.add_argument("--pairs", type=int, default=2048)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--samples-per-shard", type=int, default=512)
    parser.add_argument("--save-images", action="store_true")
    precisions = ("float32", "bfloat16", "float16")
    parser.add_argument("--precision", choices=precisions, default="float32")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--device", default="auto")
    return parser.parse_args()


if __name__ == "__main__":
    main()
