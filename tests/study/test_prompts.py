"""What settings are chosen on is not what they are reported on."""

import re
from itertools import product

import pytest
from kedro.config import OmegaConfigLoader
from kedro.io import DataCatalog

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.settings import CONFIG_LOADER_ARGS
from clip2latent_kedro.study.prompts import check_disjoint

LITTLE = {"a", "an", "the", "of", "in", "on", "at", "by", "with", "and", "is", "to"}
CLOSEST = 0.8  # "... a bearded man with sunglasses", "... a man with sunglasses": 3/4


@pytest.mark.parametrize("text", ["a man", "A man.", " a  man ", "a man!"])
def test_the_same_text_is_found_however_it_is_written(text):
    with pytest.raises(InputError, match=re.escape(f"got {text!r} in both. Remove it")):
        check_disjoint(["a woman", text], ["a boy", "a man"])
    with pytest.raises(InputError, match=r"in both and 1 more\. Remove"):
        check_disjoint([text, text], ["a man"])
    check_disjoint([f"{text} smiling"], ["a man"])
    check_disjoint([text], [])


def load_texts(project, env, name):
    loader = OmegaConfigLoader(str(project / "conf"), env=env, **CONFIG_LOADER_ARGS)
    entry = DataCatalog.from_config({name: loader["catalog"][name]})
    return [str(text) for text in entry.load(name)["prompt"]]


@pytest.mark.parametrize("env", ["base", "ffhq", "lhq"])
def test_prompts_of_every_world_are_far_from_its_bank(project_path, env):
    prompts, bank = (
        load_texts(project_path, env, name) for name in ("prompts", "prompt_bank")
    )
    check_disjoint(prompts, bank)
    words = [
        [set(re.findall(r"[\w-]+", text.lower())) - LITTLE for text in texts]
        for texts in (prompts, bank)
    ]
    shares = [len(one & two) / len(one | two) for one, two in product(*words)]
    assert max(shares) < CLOSEST
