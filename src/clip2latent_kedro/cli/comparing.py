"""`kedro compare-scores`."""

import click

from clip2latent_kedro.cli.refusing import refusing
from clip2latent_kedro.errors import InputError


@click.command("compare-scores")
@click.argument("versions", nargs=-1)
@click.option("--entry", default="scores", help="Catalog entry of the table.")
@click.option("--env", default=None, help="Environment of the configuration.")
def compare_scores(versions: tuple[str, ...], entry: str, env: str | None) -> None:
    """Print what changed beyond chance between two versions of the scores.

    VERSIONS are two of them, or the beginnings of their names; the last two without.
    """
    from clip2latent_kedro.cli.checks import check_environment
    from clip2latent_kedro.cli.comparison import compare_tables, load_versions

    with refusing():
        if len(versions) not in (0, 2):
            msg = f"compare-scores takes two versions or none, got {len(versions)}."
            raise InputError(msg)
        check_environment(env, None)
        tables, confidence = load_versions(entry, versions, env)
        (before, older), (after, newer) = tables.items()
        comparison = compare_tables(older, newer, confidence=confidence)
    click.echo(f"{entry}: {before} -> {after}")
    for line in comparison.lines():
        click.echo(line)
