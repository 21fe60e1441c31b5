"""Time of data_generation: forward passes, storing, resuming.

Those of the portraits by default; `--generator KIND --generator-file FILE` and the same
for the encoder take others. Prints one JSON object; nothing is kept.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from clip2latent_kedro.datasets import ModelDataset, ZarrPairsDataset
from clip2latent_kedro.pairs import DataConfig, GenerationConfig, generate_pairs
from clip2latent_kedro.runtime import describe_machine, pick_device

WEIGHTS = str(Path(__file__).parents[1] / "src/clip2latent_kedro/portraits/weights")


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
            device=device,
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

    forward = total - sum(storing)
    report = {
        "pairs": arguments.pairs,
        "pairs_per_second": round(arguments.pairs / total, 1),
        "forward_seconds": round(forward, 3),
        "storing_seconds": round(sum(storing), 4),
        "storing_percent_of_forward": round(100 * sum(storing) / forward, 3),
        "verified_load_seconds": round(loading, 3),
        "settings": vars(arguments) | {"device": device},
        "machine": describe_machine(),
    }
    print(json.dumps(report, indent=2))


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
    parser.add_argument("--device", default="auto")
    return parser.parse_args()


if __name__ == "__main__":
    main()
