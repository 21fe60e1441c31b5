"""The texts of a Hugging Face Space: its program, and its README with the header."""

from collections.abc import Collection
from typing import Any

from clip2latent_kedro.sharing import ModelReference, SharedModel

APP = '''"""The demo page of a clip2latent model: `python app.py`."""

from pathlib import Path

from clip2latent_kedro.demo.command import demo

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    demo([f"--model={HERE / 'model'}", f"--examples={HERE / 'examples.txt'}"])
'''


def write_readme(
    shared: SharedModel, copied: Collection[str], *, licence: str, gradio: str
) -> str:
    """Return the README: the header that Hugging Face reads, then words for people.

    Args:
        shared: The models.
        copied: Which of generator and encoder are in the folder.
        licence: As Hugging Face abbreviates it.
        gradio: Version.
    """
    import yaml

    header: dict[str, Any] = {
        "title": "clip2latent",
        "emoji": "🎨",
        "colorFrom": "blue",
        "colorTo": "indigo",
        "sdk": "gradio",
        "sdk_version": gradio,
        "app_file": "app.py",
        "pinned": False,
        "license": licence,
        "short_description": "Text to image with no text data",
        "tags": ["clip2latent", "text-to-image"],
    }
    front = yaml.safe_dump(header, sort_keys=False, allow_unicode=True).strip()
    parts = "\n".join(
        _row(role, getattr(shared, role), is_copied=role in copied)
        for role in ("generator", "encoder")
    )
    return f"""---
{front}
---

# The demo page of a clip2latent model

Text to image from an image generator that has never seen a text
([Pinkney and Li 2022](https://arxiv.org/abs/2210.02347)). To run it on your machine:

```sh
pip install -r requirements.txt
python app.py
```

| part | model | where | licence |
|---|---|---|---|
| prior | step {shared.checkpoint.step:,} | `model/model.safetensors` | {licence} |
{parts}

The code is in `clip2latent_kedro/`, under the MIT licence of `LICENSE`. Prompts to
click on are in `examples.txt`, one a line.
"""


def _row(role: str, reference: ModelReference, *, is_copied: bool) -> str:
    place = reference.filepath or ", ".join(map(str, reference.options.values()))
    where = f"`model/{role}/`" if is_copied else f"fetched: `{place}`"
    terms = reference.licence or "of its owners: see where it was published"
    return f"| {role} | {reference.identity or reference.kind} | {where} | {terms} |"
