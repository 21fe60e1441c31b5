"""The notebooks, on what a tiny run leaves behind."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from projects import ROOT, kedro

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CONFIG = "run: {params: {evaluation: {only: 'random_w, reference, clip2latent_fast'}}}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stripped_and_defines_nothing(path):
    """But the one about models of one's own, which defines these."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)
    lines = [line for cell in cells for line in cell.source.splitlines()]
    defined = [line for line in lines if line.startswith(("def ", "class "))]
    assert bool(defined) == (path.stem == "4_own_models")


def test_every_cell_runs_on_the_artifacts_of_a_run(project_path, monkeypatch):
    monkeypatch.setenv("KEDRO_ENV", "test")
    monkeypatch.setenv("KEDRO_LOGGING_CONFIG", str(project_path / "conf/logging.yml"))
    monkeypatch.setenv("KEDRO_DISABLE_TELEMETRY", "1")
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the notebooks show figures
    Path("run.yml").write_text(CONFIG)
    run = kedro("run", "--config=run.yml")
    assert run.returncode == 0, run.stderr

    folder = project_path / "notebooks"
    folder.mkdir()
    cells = []  # of all notebooks, for one kernel that is emptied between them
    for path in NOTEBOOKS:
        if cells:
            cells.append(new_code_cell("%reset -f\n%reload_kedro"))
        cells += nbformat.read(path, as_version=4).cells
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"  # each notebook counts its own
    place = {"metadata": {"path": str(folder)}}
    NotebookClient(new_notebook(cells=cells), timeout=300, resources=place).execute()
    pictures = [
        output
        for cell in cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) > 4 * len(NOTEBOOKS)
