"""Mappers in the world of three colours, with the rows of w that a StyleGAN2 has."""

import torch
from torch import Tensor
from world import ColourEncoder, ColourGenerator, TurnedEncoder

from clip2latent_kedro.datasets import MapperFolderDataset
from clip2latent_kedro.editing.edit import EditTarget
from clip2latent_kedro.editing.mapper import (
    MapperConfig,
    MapperTeachers,
    export_mapper,
    load_mapper,
    train_mapper,
)

TARGETS = {
    "red": EditTarget("1 0 0", "0 0 0", "red", "yes", name="red"),
    "green": EditTarget("0 1 -0.5", "0 0 0", "green", "yes", name="green"),
}


class TallGenerator(ColourGenerator):
    """A picture is the mean of ten rows: four coarse, four middle, two fine."""

    num_ws = 10

    def mapping(self, z: Tensor, *, psi: float = 1.0) -> Tensor:
        return (psi * z / 4)[:, None].repeat(1, self.num_ws, 1)


TEACHERS = MapperTeachers(TallGenerator(), ColourEncoder(), TurnedEncoder())


def configure(**changes):
    settings = {
        "only": None,
        "no_coarse": False,
        "no_middle": False,
        "no_fine": False,
        "clip_weight": 1.0,
        "id_weight": 0.1,
        "l2_weight": 0.8,
        "psi": 0.7,
        "bs": 4,
        "max_it": 6,
        "lr": 0.5,
        "rise": 0.1,
        "fall": 0.5,
        "num_measured": 5,
        "save_it": 2,
        "num_processes": 0,
    }
    return MapperConfig(**{**settings, **changes})


def train(name="red", teachers=TEACHERS, seed=0, start=None, **changes):
    config = configure(**changes)
    return list(train_mapper(teachers, TARGETS[name], config, seed=seed, start=start))


def store(folder, name="red", teachers=TEACHERS, seed=0, **changes):
    """Train a mapper; return the file that it is stored in."""
    *_, state = train(name, teachers, seed, **changes)
    weights = export_mapper(state, TARGETS[name])
    MapperFolderDataset(filepath=str(folder)).save({name: weights})
    return folder / f"{name}.safetensors"


def make_mapper(folder, name="red", **changes):
    return load_mapper(store(folder, name, **changes))


def random_w(num=5, seed=1):
    """Return w whose rows differ, [num, 10, 3]."""
    random = torch.Generator().manual_seed(seed)
    return torch.randn(num, 10, 3, generator=random)
