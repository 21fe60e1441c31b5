"""An ablation of several worlds side by side: a figure, or a table in Markdown.

It reads the newest `ablation_scores` of each environment that have the study, which
`kedro run --pipeline=ablation --env=ENV` has made; `base` is the default world.

Example: `python benchmarks/ablation_worlds.py truncation base vae --figure out.png`.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from PIL import Image

from clip2latent_kedro.datasets.versions import list_versions
from clip2latent_kedro.pipelines.ablation.worlds import (
    COMPARED,
    plot_worlds,
    tabulate_worlds,
)
from clip2latent_kedro.study.figures import render_figure

PROJECT = Path(__file__).parents[1]
ENTRY = "ablation_scores"


def load_scores(env: str, study: str) -> pd.DataFrame:
    """Return the newest table of an environment that has a study, or the newest."""
    with KedroSession.create(project_path=PROJECT, env=env) as session:
        catalog = session.load_context().catalog
        versions = list_versions(ENTRY, catalog.get(ENTRY))
        tables = [catalog.load(ENTRY, version=version) for version in versions]
    if not tables:
        sys.exit(
            f"{env} has no {ENTRY}. Run: kedro run --pipeline=ablation --env={env}"
        )
    fitting = [table for table in tables if study in set(table["study"])]
    newest: pd.DataFrame = [*tables, *fitting][-1]
    return newest


def main() -> None:
    """Read the tables, and write the figure or print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", help="such as truncation")
    parser.add_argument("env", nargs="+", help="environments, base for the default")
    parser.add_argument("--figure", type=Path, help="a PNG file; a table without it")
    parser.add_argument("--scores", nargs="+", default=COMPARED, help="in the figure")
    options = parser.parse_args()
    bootstrap_project(PROJECT)
    tables = {env: load_scores(env, options.study) for env in options.env}
    if options.figure:
        figure = plot_worlds(tables, options.study, options.scores)
        Image.fromarray(render_figure(figure)).save(options.figure, optimize=True)
        return
    header, *rows = tabulate_worlds(tables, options.study).texts()
    for cells in (header, ["---"] * len(header), *rows):
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
