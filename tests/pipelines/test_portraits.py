"""The wiring of what trains, ships and measures the portraits' models."""

from typing import get_type_hints

from kedro.validation.type_extractor import TypeExtractor

from clip2latent_kedro.parameters import PortraitsParameters
from clip2latent_kedro.pipelines.portraits import create_pipeline
from clip2latent_kedro.pipelines.portraits.card import write_model_card
from clip2latent_kedro.pipelines.portraits.nodes import collect_seconds
from clip2latent_kedro.training import TrainingState
from clip2latent_kedro.training.state import pack_state


def test_nodes_ask_for_settings_of_the_types_that_parameters_have():
    """Kedro makes settings of mappings by them."""
    types = TypeExtractor({"portraits": create_pipeline()})
    asked = types.extract_types_from_pipelines()
    kinds = get_type_hints(PortraitsParameters)
    models = {f"portraits.{n}": kind for n, kind in kinds.items() if kind is not int}
    assert len(models) == 7
    assert {name: asked.get(name) for name in models} == models


def test_seconds_of_both_halves_of_a_training_are_one_model():
    def state(seconds):
        empty = {"network": {}, "ema": {}, "optimizer": {}, "best": {}}
        settings = {"best_step": 0, "history": [], "settings": {}}
        return pack_state(TrainingState(step=1, seconds=seconds, **empty, **settings))

    states = {"vae": state(3.0), "clip": state(5.0), "vae_flow": state(4.0)}
    assert collect_seconds(**states) == {"vae": 7.0, "clip": 5.0}


def test_the_card_states_what_was_measured():
    recall = {"clip_recall_at_1_in_256": {"text_to_image": 0.5, "image_to_text": 0.25}}
    seconds = dict.fromkeys(("judge", "clip", "clip_held_out", "generator", "vae"), 120)
    quality = {
        "judge_accuracy": {"hat": 0.1251},
        "generator_accuracy": {"hat": 0.25},
        "generator_psnr_db": 31.26,
        **recall,
        "training_seconds": seconds,
        "num_measured": 2048,
        "seed": 3,
        "machine": {"processor": "a CPU", "threads": 2, "torch": "2.0"},
    }
    card = write_model_card(quality, recall, {"accuracy": {"hat": 1.0}, "psnr_db": 20})
    lines = card.splitlines()
    assert "| hat | 0.125 | 0.250 | 1.000 |" in lines
    assert "- Generator against the renderer: PSNR 31.3 dB." in lines
    assert "  0.250; the one that only scores: 0.500 and 0.250." in lines
    assert card.count("| 2 minutes |") == 5
