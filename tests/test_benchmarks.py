"""Benchmarks that choose do so on the bank, whatever they are not told."""

import argparse
import runpy
import sys
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
from world import (
    PROMPTS,
    ColourEncoder,
    ColourGenerator,
    ColourJudge,
    make_data,
    make_evaluation,
    make_prior,
    make_sampling,
)

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def prompt_scores(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return runpy.run_path(str(BENCHMARKS / "prompt_scores.py"))


@pytest.mark.parametrize("name", ["distillation", "network_comparison"])
def test_the_bank_is_what_is_chosen_on(name, prompt_scores, monkeypatch, capsys):
    parser = argparse.ArgumentParser()
    prompt_scores["add_options"](parser)
    options = parser.parse_args([])
    assert options.prompts == "prompt_bank"
    assert len(options.seeds) > 1
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit):
        runpy.run_path(str(BENCHMARKS / f"{name}.py"), run_name="__main__")
    assert "--prompts {prompt_bank,prompts}" in capsys.readouterr().out


def test_prompts_of_the_validation_are_left_to_it(prompt_scores):
    entries = {
        "generator": ColourGenerator(),
        "encoder": ColourEncoder(),
        "judge": ColourJudge(),
        "prompts": pd.DataFrame([{"prompt": "5 5 5"}]),
        "prompt_bank": pd.DataFrame([{"prompt": "9 9 9"}, *PROMPTS]).fillna(""),
    }
    parameters = {
        "sampling": asdict(make_sampling()),
        "evaluation": asdict(make_evaluation()),
        "data": asdict(make_data()),
        "validation": {"num_prompts": 1},
        "seed": 0,
    }

    class Catalog:
        load = staticmethod(entries.get)

    def score(name):
        scorer = prompt_scores["PromptScorer"](
            Catalog, parameters, prompts=name, num_prompts=2
        )
        return scorer._queries.texts, scorer(make_prior(0.5), {"num_steps": 2})

    texts, scores = score("prompt_bank")
    assert texts == [row["prompt"] for row in PROMPTS[:2]]
    assert 0 < scores["accuracy"] <= 1
    texts, scores = score("prompts")
    assert texts == ["5 5 5"]
    assert "accuracy" not in scores  # it states nothing
