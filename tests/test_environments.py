"""The paper's two domains, with small files of the real formats from a local server.

Only addresses and sizes are overridden: what NVIDIA serves comes from another address
in `globals.yml`, what Hugging Face serves from the mirror that HF_ENDPOINT names.
"""

import hashlib
import json
import re
from pathlib import Path

import open_clip
import pandas as pd
import pytest
import torch
from downloads.servers import FileServer
from generators.networks import make_stylegan2, randomise
from generators.snapshots import write_nvidia, write_stylegan3
from PIL import Image
from prior.published_toys import make_checkpoint
from projects import latest, run_pipelines
from safetensors.torch import save as save_tensors

from clip2latent_kedro.cli.refusals import explain
from clip2latent_kedro.downloads import Source
from clip2latent_kedro.generators import load_generator
from clip2latent_kedro.generators.stylegan3 import StyleGAN3
from clip2latent_kedro.generators.stylegan3_config import StyleGAN3Config
from clip2latent_kedro.prior.published import write_published

# Of w, of CLIP's embedding and of the prior, which published priors need equal.
DIM = 8
ENCODER = "ViT-B-32-quickgelu"  # which is made small here, under its own name
SMALL_CLIP = {
    "embed_dim": DIM,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": DIM,
        "heads": 1,
        "layers": 1,
    },
}
CLIP_ADDRESS = (
    "/timm/vit_base_patch32_clip_224.openai/resolve/main/open_clip_model.safetensors"
)
PUBLISHED = "/lambdalabs/clip2latent/resolve/main"
SIZES = {
    "data": {"bs": 8, "latent_dim": DIM},
    "data_generation": {"n_samples": 48, "batch_size": 16, "samples_per_shard": 24},
    "model": {"network": {"dim": DIM, "depth": 1, "dim_head": 4, "heads": 2}},
    "train": {"max_it": 4, "val_it": 2, "save_it": 2, "val_pairs": 8},
    "validation": {"num_images": 2, "num_prompts": 2, "num_samples": 1},
    "inference": {"num_samples": 1},
}
COMPARISON = {
    "num_prompts": 2,
    "num_samples": 2,
    "num_resamples": 100,
    "generator_images": 16,
    "timing_images": 2,
    "timing_warmups": 1,
    "timing_repeats": 1,
    "rows": {
        "clip2latent_1000": {"sampler": "ddpm", "num_steps": 20},  # of the small prior
        **dict.fromkeys(["clip2latent_100", "direct", "styleclip"]),
        **dict.fromkeys(["direct_plain", "direct_article"]),
    },
}
NUM_WS = 6  # of the small generators, of 16 px
GENERATOR = {
    "ffhq": "/ngc/stylegan2-ffhq-1024x1024.pkl",
    "lhq": "/justinpinkney/stylegan3-t-lhq-256/resolve/main/"
    "lhq-256-stylegan3-t-25Mimg.pkl",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """What the server has, by path."""
    folder = tmp_path_factory.mktemp("served")
    network = make_stylegan2(w_dim=DIM)
    config = StyleGAN3Config(
        8, 0, DIM, 16, channel_base=64, channel_max=6, num_layers=4
    )
    landscapes = randomise(StyleGAN3(config).eval())
    paths = {
        GENERATOR["ffhq"]: write_nvidia(network, folder / "faces.pkl"),
        GENERATOR["lhq"]: write_stylegan3(landscapes, folder / "landscapes.pkl"),
    }
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(open_clip.factory._MODEL_CONFIGS, ENCODER, SMALL_CLIP)
        clip = open_clip.create_model(ENCODER)
    for name in ("ffhq-sg2-510", "lhq-sg3-410"):
        checkpoint = make_checkpoint()
        checkpoint.settings["data"]["latent_repeats"] = [NUM_WS]
        write_published(checkpoint, folder / f"{name}.ckpt")
        for end in ("ckpt", "yaml"):
            paths[f"{PUBLISHED}/{name}.{end}"] = folder / f"{name}.{end}"
    served = {path: file.read_bytes() for path, file in paths.items()}
    return {**served, CLIP_ADDRESS: save_tensors(clip.state_dict())}


@pytest.fixture
def server(files):
    with FileServer() as server:
        server.files |= files
        yield server


@pytest.fixture
def project(project_path, server, monkeypatch):
    """A copy of the project on a machine whose network ends at the server."""
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, ENCODER, SMALL_CLIP)
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("XDG_CACHE_HOME", str(project_path / "cache"))
    for name in ("CLIP2LATENT_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    replace_global("ffhq", "generator", server.url + GENERATOR["ffhq"])
    return project_path


def replace_global(env, name, value):
    """Set one line of an environment's globals, as a user would."""
    path = Path("conf") / env / "globals.yml"
    text = path.read_text()
    text, number = re.subn(rf"^{name}:.*", f"{name}: {value}", text, flags=re.MULTILINE)
    assert number == 1
    path.write_text(text)


def run(env, pipeline, **parameters):
    sizes = {**SIZES, "data": {**SIZES["data"], "latent_repeats": [NUM_WS]}}
    if env is None:
        sizes = {}
    run_pipelines(env, pipeline, **{**sizes, **parameters})


def refusal(env, pipeline, **parameters):
    """Return the sentence with which a run ends."""
    with pytest.raises(Exception, match=r".") as caught:
        run(env, pipeline, **parameters)
    return explain(caught.value)


def read_inventory(folder):
    table = pd.read_csv(latest(folder, "models/inventory.csv"))
    return table.set_index(["entry", "part"])


@pytest.mark.parametrize("env", ["ffhq", "lhq"])
def test_from_addresses_to_pictures(project, server, files, env):
    run(env, "models")
    inventory = read_inventory(f"data/{env}")
    source = inventory.loc["generator", "weights"]
    assert source.address == server.url + GENERATOR[env]
    assert source.sha256 == hashlib.sha256(files[GENERATOR[env]]).hexdigest()
    assert source.num_bytes == len(files[GENERATOR[env]])
    assert isinstance(source.licence, str)
    assert inventory.loc["encoder", "weights"].address == server.url + CLIP_ADDRESS
    assert inventory.loc["encoder", "weights"].licence == "MIT"
    assert inventory.loc["published_checkpoint", "checkpoint"].licence == "MIT"
    assert pd.isna(inventory.loc["prompts", "text"].address)
    copy = Path(f"data/{env}/models/generator.safetensors")
    converted = inventory.loc["generator", "converted"]
    assert hashlib.sha256(copy.read_bytes()).hexdigest() == converted.sha256
    num_requests = len(server.requests)

    server.shutdown()  # from here on there is no network
    for pipeline in ("data_generation", "training", "inference"):
        run(env, pipeline)
    assert len(server.requests) == num_requests
    pictures = list(Path(f"data/{env}/inference/pictures").glob("*.png"))
    assert len(pictures) == 3
    with Image.open(pictures[0]) as picture:
        labels = picture.text
        assert picture.size == (16, 16)
    kind = {"ffhq": "stylegan2", "lhq": "stylegan3"}[env]
    identity = load_generator(kind, copy).identity
    assert labels["generator"] == str(identity)
    assert labels["encoder"].startswith(f"{ENCODER}/openai@")
    assert json.loads(labels["sampling"])["guidance_scale"] == 2.0


def test_the_published_checkpoint_draws_without_training(project, server):
    run("ffhq", "published")
    run("ffhq", "inference")
    assert len(list(Path("data/ffhq/inference/pictures").glob("*.png"))) == 3
    assert (f"{PUBLISHED}/ffhq-sg2-510.ckpt", None) in server.requests

    run("ffhq", "evaluation", evaluation=COMPARISON)
    scores = pd.read_csv(latest("data/ffhq", "scores.csv")).set_index("method")
    of_the_prior = {"clip2latent_1000", "clip2latent_respaced", "clip2latent_fast"}
    assert {"random_w", "refinement_5", *of_the_prior} <= set(scores.index)
    need_pairs = {"nearest_pair", "clip2latent_retrieval", "clip2latent_shift"}
    assert not {"clip2latent_one_step", "lafite", *need_pairs} & set(scores.index)
    assert scores["clip_score"].between(-1, 1).all()


def test_without_the_network_every_file_has_a_place(project, server, monkeypatch):
    monkeypatch.setenv("CLIP2LATENT_OFFLINE", "1")
    sentences = dict(
        line.split(": ", 1) for line in refusal("ffhq", "models").splitlines()
    )
    published = f"{PUBLISHED}/ffhq-sg2-510"
    expected = {
        "generator": [GENERATOR["ffhq"]],
        "encoder": [CLIP_ADDRESS],
        "published_checkpoint": [f"{published}.ckpt", f"{published}.yaml"],
    }
    assert set(sentences) == set(expected)
    for entry, paths in expected.items():
        host = server.url if entry == "generator" else "https://huggingface.co"
        for number, path in enumerate(paths):
            target = Source(host + path).cached_path()
            if number == 0:
                assert sentences[entry].startswith(f"{host}{path} is not on this ma")
                assert f"put it at {target}, or" in sentences[entry]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(server.files[path])
    run("ffhq", "models")
    assert server.requests == []


def test_a_broken_transfer_and_a_dead_address_are_survived(project, server):
    server.drops = [2000]
    replace_global("ffhq", "generator", f"{server.url}/gone/faces.pkl")
    globals_file = Path("conf/ffhq/globals.yml")
    globals_file.write_text(
        f"{globals_file.read_text()}\n"
        f"mirrors: {{ '{server.url}/gone/': '{server.url}/there/' }}\n"
    )
    server.files["/there/faces.pkl"] = server.files[GENERATOR["ffhq"]]
    run("ffhq", "models")
    asked = dict.fromkeys(path for path, _ in server.requests)
    assert list(asked)[:3] == [CLIP_ADDRESS, "/gone/faces.pkl", "/there/faces.pkl"]
    assert [path for path, _ in server.requests].count(CLIP_ADDRESS) == 2
    inventory = read_inventory("data/ffhq")
    assert inventory.loc["generator", "weights"].address.endswith("/there/faces.pkl")


def test_the_embedded_domain_needs_nothing(project, server):
    run(None, "models")
    assert server.requests == []
    inventory = read_inventory("data")
    assert {"generator", "encoder", "judge"} <= set(inventory.index.levels[0])
    assert inventory.address.isna().all()
    shipped = Path(
        "src/clip2latent_kedro/worlds/portraits/weights/generator.safetensors"
    )
    assert Path("data/models/generator.safetensors").read_bytes() == (
        shipped.read_bytes()
    )
