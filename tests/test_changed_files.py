"""Of a file that was changed at random comes what it is for, or one sentence.

Each kind of file that the project writes, and reads again, is changed in many ways;
`CLIP2LATENT_MUTATIONS` says how many. The process may take only so much memory while
it reads, so that a file that claims to be huge cannot pass by luck.
"""

import json
import random
import shutil

import numpy as np
import pytest
import safetensors.torch
import torch
import yaml
from kedro.io import DatasetError
from mutations import NUM_EACH, change_bytes, change_safetensors, change_tree
from prior.toy import make_network_config, train
from processes import little_memory
from shipped import WEIGHTS, make_portraits_checkpoint

from clip2latent_kedro.api.inputs import read_edit
from clip2latent_kedro.datasets import (
    ArrayFolderDataset,
    CheckpointDataset,
    JsonFolderDataset,
    NpzDataset,
    WeightsDataset,
    ZarrPairsDataset,
)
from clip2latent_kedro.editing.directions.direction import Direction
from clip2latent_kedro.editing.directions.files import (
    load_directions,
    pack_directions,
)
from clip2latent_kedro.encoders.compact_clip import load_compact_clip
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.decoders import load_vae
from clip2latent_kedro.generators.safetensors_files import read_network
from clip2latent_kedro.methods.clip2gan import load_clip2gan
from clip2latent_kedro.pairs.contents import PairShard
from clip2latent_kedro.prior.checkpoint import (
    prior_from_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from clip2latent_kedro.prior.published import read_published, write_published
from clip2latent_kedro.sharing import read_folder
from clip2latent_kedro.training.state import (
    Run,
    TrainingState,
    pack_state,
    resume,
    stored_state,
    unpack_state,
)
from clip2latent_kedro.worlds.portraits.judge import load_judge


@pytest.fixture(autouse=True)
def _little_memory():
    with little_memory(3 << 30):
        yield


def refused(read):
    """Return the sentence that a file is refused with; None if it is read."""
    try:
        read()
    except InputError as error:
        return str(error)
    except DatasetError as error:  # Kedro's word for what a dataset raised
        if isinstance(error.__cause__, InputError):
            return str(error.__cause__)
        raise
    return None


def campaign(name, path, change, read):
    """Change a file again and again; return how often it was refused.

    Args:
        name: Seed.
        path: Of the file, whole at first and in the end.
        change: (bytes, random) -> bytes.
        read: Reads the file.
    """
    content = path.read_bytes()
    read()
    chance, sentences = random.Random(name), []
    for _ in range(NUM_EACH):
        path.write_bytes(change(content, chance))
        sentence = refused(read)
        if sentence is not None:
            sentences.append(sentence)
    path.write_bytes(content)
    assert all(len(sentence) < 2000 for sentence in sentences)
    return len(sentences)


def in_entry(entry):
    return lambda content, chance: change_safetensors(content, entry, chance)


@pytest.mark.parametrize("kind", ["mlp", "clip2latent"])
def test_priors(kind, tmp_path):
    *_, checkpoint = train(
        network=make_network_config(kind=kind), max_it=6, text_mean=torch.ones(4)
    )
    path = tmp_path / "prior.safetensors"
    write_checkpoint(path, checkpoint)

    def read():
        stored = read_checkpoint(path)
        assert isinstance(stored.finished, bool)
        prior = prior_from_checkpoint(stored)
        condition = prior.join_condition(torch.ones(1, 4))
        prior.predict_x0(torch.ones(1, 2, 3), torch.zeros(1, dtype=int), condition)
        prior.gaussian.radius(0.5)

    assert campaign(kind, path, in_entry("header"), read) > NUM_EACH / 3


def test_a_damaged_training_is_refused_until_it_is_begun_afresh(tmp_path, finished):
    """Of each change comes the run's end, or a sentence; a fresh run needs no file."""
    path = tmp_path / "state.safetensors"
    first = next(iter(train()))
    write_checkpoint(path, first)
    content = path.read_bytes()
    dataset = CheckpointDataset(filepath=str(path), missing_ok=True)
    chance, sentences = random.Random("training"), []
    for _ in range(NUM_EACH // 3):
        changed = change_safetensors(content, "header", chance)
        path.write_bytes(changed)
        progress = dataset.load()
        sentence = refused(lambda start=progress: list(train(start=start)))
        if sentence is not None:
            sentences.append(sentence)
        assert path.read_bytes() == changed
        assert CheckpointDataset(filepath=str(path)).exists() in (True, False)
    damaged = [sentence for sentence in sentences if "other settings" not in sentence]
    assert len(damaged) > NUM_EACH / 20
    assert all("resume:false" in sentence for sentence in sentences)


@pytest.fixture(scope="module")
def finished():
    return list(train())[-1]


MODELS = {
    "generator": read_network,
    "lafite": read_network,
    "judge": lambda path: load_judge(path, {}),
    "clip2gan": lambda path: load_clip2gan(path, {}),
    "clip": lambda path: load_compact_clip(path, {}),
    "vae": lambda path: load_vae(path, {}),
}


@pytest.mark.parametrize("name", MODELS)
def test_models(name, tmp_path):
    path = tmp_path / "model.safetensors"
    shutil.copyfile(WEIGHTS / f"{name}.safetensors", path)
    assert campaign(name, path, in_entry("config"), lambda: MODELS[name](path)) > 9


def test_states_of_trainings(tmp_path):
    state = TrainingState(
        step=2,
        network={"a": torch.ones(3)},
        ema={"a": torch.ones(3)},
        settings={"line": {"max_it": 2}},
        seconds=0.5,
    )
    path = tmp_path / "state.safetensors"
    dataset = WeightsDataset(filepath=str(path))
    dataset.save(pack_state(state))

    def read():
        assert unpack_state(dataset.load()).step == 2

    assert campaign("state", path, in_entry("header"), read) > NUM_EACH / 2
    path.write_bytes(path.read_bytes()[:50])
    progress = WeightsDataset(filepath=str(path), missing_ok=True).load()
    run = Run("line_state", "line", state.settings, {}, 2, 1)
    with pytest.raises(InputError, match=r"resume:false"):
        resume(stored_state(progress), run)
    assert resume(None, run)[0] is None


@pytest.fixture
def published(tmp_path):
    path = tmp_path / "prior.ckpt"
    write_published(make_portraits_checkpoint(), path)
    return path


def test_the_yaml_of_published_priors(published):
    path = published.with_suffix(".yaml")

    def change(content, chance):
        if chance.random() < 0.4:
            return change_bytes(content, chance)
        tree = change_tree(yaml.safe_load(content), chance)
        return yaml.dump(tree, allow_unicode=False).encode()

    def read():
        read_published(published)

    assert campaign("yaml", path, change, read) > NUM_EACH / 3


def test_published_priors(published):
    published.with_suffix(".yaml").unlink()
    change = change_bytes
    assert campaign("ckpt", published, change, lambda: read_published(published)) > 9


def test_folders_of_models(tmp_path):
    write_checkpoint(tmp_path / "model.safetensors", make_portraits_checkpoint())
    reference = {"kind": "stylegan2", "filepath": "g", "options": {}, "identity": None}
    config = {
        "format": "clip2latent_kedro.model/1",
        "generator": reference,
        "encoder": {**reference, "identity": {"name": "e", "digest": "0"}},
        "sampling": {"sampler": "ddpm", "num_steps": 4, "guidance_scale": 1.0},
        "data": {"embed_preprocess": "standard"},
    }
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))

    def change(content, chance):
        if chance.random() < 0.3:
            return change_bytes(content, chance)
        return json.dumps(change_tree(json.loads(content), chance)).encode()

    def read():
        model = read_folder(tmp_path)
        assert 0 < model.sampling.num_steps < 10**13

    assert campaign("folder", path, change, read) > NUM_EACH / 3


def test_arrays(tmp_path):
    folder = ArrayFolderDataset(filepath=str(tmp_path))
    arrays = {"a": np.ones((3, 4)), "b": np.arange(5)}
    folder.save({"item": (arrays, {"key": [1]})})

    def read_folder_of_arrays():
        ((stored, record),) = folder.load().values()
        assert isinstance(record, dict)
        assert all(array.size < 10**6 for array in dict(stored).values())

    path = tmp_path / "item.npz"
    assert campaign("folder", path, change_bytes, read_folder_of_arrays) > NUM_EACH / 3
    dataset = NpzDataset(filepath=str(path))
    assert campaign("npz", path, change_bytes, dataset.load) > NUM_EACH / 3


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt", ".safetensors"])
def test_directions(suffix, tmp_path):
    path = tmp_path / f"edit{suffix}"
    direction = torch.ones(2, 3)
    if suffix == ".npy":
        np.save(path, direction.numpy())
    elif suffix == ".npz":
        np.savez(path, age=direction.numpy())
    elif suffix == ".safetensors":
        tensors, metadata = pack_directions({"age": Direction("age", direction)})
        safetensors.torch.save_file(tensors, path, metadata)
    else:
        torch.save(direction, path)

    def read():
        read_edit(path, 1, 2, 3)
        load_directions(path, {})

    assert campaign(suffix, path, change_bytes, read) > NUM_EACH / 5


def test_documents(tmp_path):
    folder = JsonFolderDataset(filepath=str(tmp_path))
    folder.save({"a": {"scores": [0.5, 1], "key": {"name": "b"}}})
    assert campaign("json", tmp_path / "a.json", change_bytes, folder.load) > 9


@pytest.mark.parametrize("place", ["zarr.json", "w/zarr.json", "checksum/zarr.json"])
def test_the_metadata_of_pairs(place, tmp_path):
    url = tmp_path / "pairs.zarr"
    dataset = ZarrPairsDataset(filepath=str(url))
    recipe = {
        "samples_per_shard": 3, "n_samples": 5, "generator": "g@0", "encoder": "e@1",
        "latent_repeats": [1, 1], "versions": {},
    }  # fmt: skip
    for index, rows in enumerate((3, 2)):
        arrays = {"w": np.ones((rows, 2, 3)), "clip_embedding": np.ones((rows, 4))}
        arrays = {name: array.astype("float32") for name, array in arrays.items()}
        dataset.save(PairShard(index, 3 * index, 5, arrays, recipe))

    def change(content, chance):
        if chance.random() < 0.3:
            return change_bytes(content, chance)
        return json.dumps(change_tree(json.loads(content), chance)).encode()

    def read():
        pairs = dataset.load()
        assert pairs.w.shape == (5, 2, 3)
        ZarrPairsDataset(filepath=str(url), role="progress").load()

    assert campaign(place, url / place, change, read) > NUM_EACH / 3
