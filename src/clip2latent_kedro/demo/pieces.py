"""Pieces of the page in HTML: pure functions of what the service returns.

Pictures are within the page itself, so that no file of a visitor lies on the server.
All that a visitor or a file says is escaped.
"""

import base64
import html
import io
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from clip2latent_kedro.demo.results import Edited, Progress

CRISP_SIDE = 128  # up to which a picture is enlarged pixel by pixel
SMALL_SIDE = 256  # up to which it is shown as it is stored
SHOWN_SIDE = 768  # of a larger one on the page

_MORE = {"{": "&#123;", "}": "&#125;", "$": "&#36;", "`": "&#96;"}


def escape(text: object) -> str:
    """Return a text that is nothing but a text, in HTML and in Gradio's templates."""
    escaped = html.escape(str(text), quote=True)
    return "".join(_MORE.get(character, character) for character in escaped)


def picture_address(picture: np.ndarray) -> str:
    """Return a `data:` address of a picture, uint8 [h, w, 3], as it is shown."""
    image = Image.fromarray(picture)
    buffer = io.BytesIO()
    if max(image.size) <= SMALL_SIDE:
        image.save(buffer, format="PNG")
        kind = "png"
    else:
        image.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
        image.save(buffer, format="WEBP", quality=90)
        kind = "webp"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def picture_tag(picture: np.ndarray, words: str) -> str:
    """Return an `img` of a picture, uint8 [h, w, 3], with words in its place."""
    kind = "c2l-crisp" if max(picture.shape[:2]) <= CRISP_SIDE else "c2l-smooth"
    return (
        f'<img class="{kind}" alt="{escape(words)}" src="{picture_address(picture)}">'
    )


def empty_gallery(words: str) -> str:
    """Return the place of the pictures before there are any."""
    return f'<div class="c2l-empty"><p>{escape(words)}</p></div>'


def gallery(progress: Progress, prompt: str, *, chosen: int = 0) -> str:
    """Return the pictures that are there, each a button, and places of those to come.

    Args:
        progress: What has come so far.
        prompt: What they are pictures of, in words.
        chosen: Which one is chosen.
    """
    drawing, total = progress.drawing, progress.total
    tiles = []
    for index, picture in enumerate(drawing.images):
        score = "" if drawing.scores is None else f"{drawing.scores[index]:.3f}"
        words = f"Picture {index + 1} of {total}: {prompt}, CLIP score {score}"
        tiles.append(
            f'<button type="button" class="c2l-tile" data-drawing="{drawing.number}" '
            f'data-index="{index}" aria-pressed="{str(index == chosen).lower()}">'
            f"{picture_tag(picture, words)}"
            f'<span class="c2l-score" aria-hidden="true">{score}</span></button>'
        )
    waiting = '<div class="c2l-tile c2l-waiting" aria-hidden="true"></div>'
    tiles += [waiting] * (total - len(drawing.images))
    return (
        f'<div class="c2l-gallery" role="group" aria-label="Pictures, choose one to '
        f'edit it" data-total="{total}">{"".join(tiles)}</div>'
    )


def status(progress: Progress, seed: int) -> str:
    """Return a line on how far the drawing is."""
    there = len(progress.drawing.images)
    if progress.words:
        done = "Inverted" if progress.is_done else "Inverting"
        words = f"{done}: {progress.words}, {progress.seconds:.1f} s"
    elif progress.is_done:
        pictures = f"{there} picture" + "s" * (there > 1)
        words = f"{pictures} in {progress.seconds:.2f} s, seed {seed}"
    else:
        words = f"{there} of {progress.total} pictures"
    return line(words)


def line(words: str) -> str:
    """Return a line that is read out when it changes."""
    return f'<p class="c2l-status" role="status" aria-live="polite">{escape(words)}</p>'


def before_and_after(edited: Edited) -> str:
    """Return a picture before and after, with scores and what was changed."""
    figures = []
    if edited.original is not None:
        figures.append(_figure(edited.original, "Yours", None))
    first = "Before" if edited.original is None else "Found"
    figures.append(_figure(edited.before, first, edited.score_before))
    words = f"After: {edited.words}" if edited.words else "After: nothing changed yet"
    figures.append(_figure(edited.after, words, edited.score_after, is_after=True))
    return f'<div class="c2l-pair">{"".join(figures)}</div>'


def brought(picture: np.ndarray, *, has_settings: bool) -> str:
    """Return a picture that was brought, and what can be done with it."""
    words = "A picture stored here: its settings can be loaded."
    if not has_settings:
        words = "Ready: part of the prompt by its weight, or to be inverted."
    return (
        f'<div class="c2l-brought">{picture_tag(picture, "The picture you brought")}'
        f"<p>{words}</p></div>"
    )


def about(words: Sequence[str], facts: Mapping[str, str]) -> str:
    """Return what the model is and cannot do, and facts of it by name."""
    paragraphs = "".join(f"<p>{escape(each)}</p>" for each in words)
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(fact)}</dd>"
        for name, fact in facts.items()
    )
    return f'<div class="c2l-about">{paragraphs}<dl>{rows}</dl></div>'


def _figure(
    picture: np.ndarray, words: str, score: float | None, *, is_after: bool = False
) -> str:
    shown = "" if score is None else f'<span class="c2l-score">CLIP {score:.3f}</span>'
    kind = "c2l-after" if is_after else "c2l-before"
    return (
        f'<figure class="{kind}">{picture_tag(picture, words)}'
        f"<figcaption>{escape(words)} {shown}</figcaption></figure>"
    )
