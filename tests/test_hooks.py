import sys
import types
from contextlib import nullcontext

import pandas as pd
import pytest
from kedro.io import DataCatalog

from clip2latent_kedro.hooks import ResultHooks, WandbHooks

LOSSES = pd.DataFrame({"step": [10, 20], "training": [0.5, 0.25]})


def test_results_are_listed_once_and_relative(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    table = {"type": "pandas.CSVDataset", "filepath": str(tmp_path / "data" / "t.csv")}
    catalog = DataCatalog.from_config(
        {
            "table": table,
            "versioned": {**table, "filepath": f"{tmp_path}/v.csv", "versioned": True},
            "unsaved": table,
            "memory": {"type": "MemoryDataset"},
        },
        save_version="2030-01-01T00.00.00.000Z",
    )
    hooks = ResultHooks()
    hooks.before_pipeline_run()
    for name in ("table", "table", "versioned", "memory"):
        catalog.save(name, LOSSES)
        hooks.after_dataset_saved(name)
    hooks.after_pipeline_run(catalog)

    assert capsys.readouterr().out == (
        "Results:\n"
        "  table: data/t.csv\n"
        "  versioned: v.csv/2030-01-01T00.00.00.000Z/v.csv\n"
    )


def test_nothing_is_printed_where_nothing_was_written(capsys):
    ResultHooks().after_pipeline_run(DataCatalog())
    assert capsys.readouterr().out == ""


def test_wandb_writes_a_run_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    hooks = open_hooks({"logging": "wandb", "seed": 7})
    run_params = {"pipeline_names": ["training"], "project_path": str(tmp_path)}
    hooks.before_pipeline_run(run_params)
    hooks.after_dataset_saved("losses", LOSSES)
    hooks.after_dataset_saved("statistics", {"mean": 0})
    summary = dict(hooks._run.summary)
    config = dict(hooks._run.config)
    hooks.after_pipeline_run()

    assert config["seed"] == 7
    assert summary["losses/training"] == 0.25
    (folder,) = tmp_path.glob("wandb/offline-run-*")
    assert list(folder.glob("*.wandb"))


@pytest.mark.parametrize("logging", [None, "wandb"])
def test_wandb_is_only_imported_where_it_is_wanted(tmp_path, monkeypatch, logging):
    monkeypatch.setitem(sys.modules, "wandb", None)  # import wandb raises ImportError
    hooks = open_hooks({"logging": logging})
    with pytest.raises(ImportError) if logging else nullcontext():
        hooks.before_pipeline_run({"pipeline_names": None, "project_path": "."})
    hooks.after_dataset_saved("losses", LOSSES)
    hooks.after_pipeline_run()


def open_hooks(parameters):
    hooks = WandbHooks()
    loader = {"parameters": parameters}
    hooks.after_context_created(types.SimpleNamespace(config_loader=loader))
    return hooks
