"""`kedro draw`: pictures of prompts, at once."""

from pathlib import Path

import click

from clip2latent_kedro.cli.refusing import refusing

MOST_PICTURES = 4096  # that are drawn in one call


@click.command("draw")
@click.argument("prompts", nargs=-1, required=True)
@click.option("-n", "--num", default=4, type=click.IntRange(1), help="Of each prompt.")
@click.option("--guidance", type=float, help="Scale of the guidance; 1 is none.")
@click.option("--steps", type=click.IntRange(1), help="Denoising steps.")
@click.option("--psi", "--truncation", type=float, help="Truncation of w; 1 is none.")
@click.option("--seed", default=0, type=int, help="Another one gives other pictures.")
@click.option("--negative", help="A text that guidance leads away from.")
@click.option(
    "--best-of",
    default=1,
    type=click.IntRange(1),
    help="Draw so many for each picture that is kept, the closest to the prompt.",
)
@click.option(
    "--edit", multiple=True, help="What to change: a name, or a text. Repeatable."
)
@click.option(
    "--strength", multiple=True, type=float, help="Of all edits, or of each in turn."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder of the pictures; data/drawn in the project by default.",
)
@click.option("--env", "-e", help="Environment of the configuration.")
@click.option(
    "--prior",
    help="What draws: an entry of the catalog (prior, prior_best, student), a file, or "
    "an address.",
)
@click.option("--device", default="auto", help="auto, cpu, cuda or cuda:N.")
def draw(
    prompts: tuple[str, ...],
    num: int,
    guidance: float | None,
    steps: int | None,
    psi: float | None,
    seed: int,
    negative: str | None,
    best_of: int,
    edit: tuple[str, ...],
    strength: tuple[float, ...],
    out: Path | None,
    env: str | None,
    prior: str | None,
    device: str,
) -> None:
    """Draw pictures of PROMPTS, each a text of its own in quotes.

    A prompt may hold commas, colons and anything else; put `--` before one that begins
    with a dash. There is a PNG of each picture, which has its settings inside, and
    their grid. Files that are there already are left alone.
    """
    with refusing():
        # Only now: who asks for --help does not wait for torch.
        from clip2latent_kedro.cli.drawing import Request, draw_pictures

        request = Request(
            prompts=prompts,
            num=num,
            guidance=guidance,
            steps=steps,
            psi=psi,
            seed=seed,
            negative=negative,
            best_of=best_of,
            edits=edit,
            strengths=strength,
        )
        for line in draw_pictures(request, out, env, prior, device):
            click.echo(line)
