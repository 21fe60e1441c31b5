"""The mean embedding of faces, which an identity encoder takes away.

Of samples of an environment's generator, read by dlib's network as its catalog has it
but for the mean. What is shipped was written by

    uv run --extra faces python benchmarks/identity_mean.py \
        src/clip2latent_kedro/worlds/faces/weights/identity_mean.safetensors
"""

import argparse
from pathlib import Path

from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from safetensors.torch import save_file

from clip2latent_kedro.downloads import fetch, read_source
from clip2latent_kedro.encoders import load_encoder
from clip2latent_kedro.files import replacing
from clip2latent_kedro.worlds.faces.identity import measure_mean

PROJECT = Path(__file__).parents[1]


def main() -> None:
    """Measure and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="safetensors to write")
    parser.add_argument("--env", default="faces_identity")
    parser.add_argument("--samples", type=int, default=2048)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    bootstrap_project(PROJECT)
    with KedroSession.create(PROJECT, env=arguments.env) as session:
        context = session.load_context()
        generator = context.catalog.load("generator")
        entry = context.config_loader["catalog"]["encoder"]
    options = {k: v for k, v in entry["options"].items() if k != "mean"}
    source = read_source(entry["filepath"], entry["download"])
    encoder = load_encoder(entry["kind"], fetch(source), options)
    mean = measure_mean(
        generator, encoder, num_samples=arguments.samples, seed=arguments.seed
    )
    facts = {
        "samples": f"{arguments.samples} of {generator.identity}",
        "encoder": str(encoder.identity),
    }
    with replacing(arguments.file) as partial:
        save_file({"mean": mean}, partial, metadata=facts)


if __name__ == "__main__":
    main()
