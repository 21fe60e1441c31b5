"""The model card, README.md: YAML for Hugging Face, then words for people."""

import re
from typing import Any

from clip2latent_kedro.sharing.model import ModelReference, SharedModel

_REPOSITORY = re.compile(r"https://huggingface\.co/([\w.-]+/[\w.-]+)/")


def write_card(model: SharedModel, *, licence: str) -> str:
    """Return the card as Markdown.

    Args:
        model: As it is stored.
        licence: Of the prior, as Hugging Face abbreviates it.
    """
    import yaml

    header: dict[str, Any] = {
        "license": licence,
        "library_name": "clip2latent_kedro",
        "pipeline_tag": "text-to-image",
        "tags": ["clip2latent", "diffusion-prior", model.generator.kind],
    }
    base_models = [found for r in _references(model).values() if (found := _base(r))]
    if base_models:
        header["base_model"] = base_models
    front = yaml.safe_dump(header, sort_keys=False).strip()
    rows = "\n".join(f"| {name} | {value} |" for name, value in _facts(model).items())
    return f"""---
{front}
---

# Text to image by clip2latent

A diffusion prior that samples latents of a frozen generator given a CLIP embedding
([clip2latent](https://arxiv.org/abs/2210.02347)). It was trained on the generator's own
images, without any text.

```python
from clip2latent_kedro import Clip2StyleGAN

model = Clip2StyleGAN.from_pretrained("PATH_OR_REPOSITORY")
images, clip_score = model(["a prompt"], n_samples_per_txt=4, clip_sort=True)
```

| | |
|---|---|
{rows}

The licence above is that of the prior. The generator and the encoder have their own.
"""


def _references(model: SharedModel) -> dict[str, ModelReference]:
    return {"generator": model.generator, "encoder": model.encoder}


def _facts(model: SharedModel) -> dict[str, str]:
    """Return what the prior is and what it was trained on, by name."""
    checkpoint = model.checkpoint
    settings = checkpoint.settings
    num_latents, latent_dim = checkpoint.statistics.mean.shape
    num_weights = sum(weight.numel() for weight in checkpoint.ema.values())
    facts = {
        "network": f"{settings['model']['network']['kind']}, {num_weights:,} numbers",
        "latents": f"{num_latents} of width {latent_dim}, for "
        f"{settings['data']['latent_repeats']} layers",
        "training steps": f"{checkpoint.step:,}",
        "noise on the embedding": f"{settings['data']['embed_noise_scale']:g}",
    }
    if model.own_directions:
        facts["directions for edits"] = ", ".join(sorted(model.own_directions))
    if "pairs" in settings:
        facts["training pairs"] = f"{settings['pairs']['n_samples']:,}"
    for role, reference in _references(model).items():
        place = reference.filepath or ", ".join(map(str, reference.options.values()))
        terms = f", licence: {reference.licence}" if reference.licence else ""
        facts[role] = f"{reference.identity or reference.kind} (`{place}`){terms}"
    return facts


def _base(reference: ModelReference) -> str | None:
    """Return the Hugging Face repository that a model is from, if it is from one."""
    match = _REPOSITORY.match(reference.filepath or "")
    return match[1] if match else None
