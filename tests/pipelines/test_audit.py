"""The pipeline `audit` on the portraits, made tiny."""

from pathlib import Path

import pandas as pd
import pytest
import yaml
from pages import read_facts, read_page
from projects import latest, run_pipelines

from clip2latent_kedro.errors import InputError

FOLDER = "data/test/editing"
TARGETS = 8


def read_names():
    parameters = yaml.safe_load(Path("conf/base/parameters_editing.yml").read_text())
    return list(parameters["editing"]["targets"])


def run(**audit):
    only = {"only": "class_means,transport", "baseline": "transport", **audit}
    run_pipelines("test", "audit", editing={"audit": only})


@pytest.mark.usefixtures("project_path")
def test_an_audit_leaves_its_tables_pictures_and_report():
    run_pipelines("test", "data_generation", "training")
    run()
    scores = pd.read_csv(latest(FOLDER, "scores.csv"))
    assert len(scores) == 2 * TARGETS * 5
    chosen = scores[scores["chosen"]]
    assert len(chosen) == 2 * TARGETS
    assert scores["kept"].between(0, 1).all()

    summary = pd.read_csv(latest(FOLDER, "summary.csv")).set_index("row")
    assert list(summary.index) == ["transport", "class_means"]  # as in conf
    mean = chosen[chosen["row"] == "transport"]["kept"].mean()
    assert summary.loc["transport", "kept"] == pytest.approx(mean, abs=0.02)
    assert len(summary.loc["transport", "areas"].split()) == 3
    assert (summary["num_pictures"] == TARGETS * 4).all()
    assert (summary["edit_seconds"] > 0).all()

    differences = pd.read_csv(latest(FOLDER, "differences.csv"))
    assert differences["row"].tolist() == ["class_means"]
    of_rows = summary["gained"]
    gap = of_rows["class_means"] - of_rows["transport"]
    assert differences["gained"][0] == pytest.approx(gap, abs=1e-5)

    page = latest(FOLDER, "report.html").read_text()
    text = latest(FOLDER, "report.md").read_text()
    for said in ("transport", "Published costs", "unverified", "Settings that were"):
        assert said in page
        assert said in text
    figures = read_page(page).every("figure")
    assert figures[0].attributes["class"] == "chart"
    before, *_ = figures[1:]
    assert set(read_facts(before)) == {"row", "target", "picture"}
    assert any("the reported one" in figure.text for figure in figures)
    assert latest(FOLDER, "curves.png").stat().st_size > 1000
    assert latest(FOLDER, "samples.png").stat().st_size > 1000
    assert latest(FOLDER, "strips.png").stat().st_size > 1000
    # Nothing to compare with, and no result at all.
    known_of_none = {"attribute": "sword", "value": "long"}
    run_pipelines(
        "test",
        "audit",
        editing={
            "audit": {"only": "transport", "baseline": None},
            "targets": dict.fromkeys(read_names(), known_of_none),
        },
    )
    assert pd.read_csv(latest(FOLDER, "differences.csv")).empty
    assert pd.read_csv(latest(FOLDER, "scores.csv")).empty
    (problem,) = pd.read_csv(latest(FOLDER, "summary.csv"))["problem"]
    assert "got 'sword'" in problem
    # A row that lacks something cannot be asked for.
    with pytest.raises(InputError, match="Run the pipeline relevance"):
        run(only="global_directions", baseline=None)
