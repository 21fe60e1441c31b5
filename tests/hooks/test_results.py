import pandas as pd
from kedro.io import DataCatalog

from clip2latent_kedro.hooks import ResultHooks

TABLE = pd.DataFrame({"step": [10, 20], "training": [0.5, 0.25]})


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
        catalog.save(name, TABLE)
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
