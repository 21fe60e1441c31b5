import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import save_file

from clip2latent_kedro.encoders.compact_clip import (
    CompactClipConfig,
    known_tokens,
    pack_clip,
)


@pytest.fixture
def texts():
    """What the compact vocabulary is made from."""
    return ["a photo of a man with a hat", "an old woman", "red hair, blue eyes"]


@pytest.fixture
def config(texts):
    return CompactClipConfig(
        embed_dim=16,
        vision={"layers": 1, "width": 64, "patch_size": 8, "image_size": 32},
        text={"context_length": 12, "width": 64, "heads": 1, "layers": 1},
        tokens=known_tokens(SimpleTokenizer(), texts),
        image_mean=[0.48, 0.46, 0.41],
        image_std=[0.27, 0.26, 0.28],
    )


@pytest.fixture
def compact_model(config):
    """A small CLIP on the compact vocabulary; weights exact in half precision."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = config.build()
    return model.half().float().eval()


@pytest.fixture
def compact_file(compact_model, config, tmp_path):
    path = tmp_path / "clip.safetensors"
    tensors, metadata = pack_clip(compact_model.state_dict(), config)
    save_file(tensors, path, metadata)
    return path
