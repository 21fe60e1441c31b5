"""The model card of the embedded domain's models, written from measurements."""

from typing import Any

_TEMPLATE = """\
# The portraits models

Small models, trained from nothing on drawn portraits by
`kedro run --pipeline=portraits` (seed {seed}); every figure below was measured by the
same command, on {num_measured:,} portraits that no training has seen. No photograph
and no real person is in them. Licence: MIT, as the project.

| file | what it is | training |
|---|---|---|
| `generator.safetensors` | StyleGAN2, 64 x 64, learnt from the renderer | {generator} |
| `vae.safetensors` | decoder of a VAE, with a flow to its codes, 64 x 64 | {vae} |
| `clip.safetensors` | CLIP: ModifiedResNet and text transformer | {clip} |
| `clip_held_out.safetensors` | another CLIP, that only scores: vision transformer and \
text transformer, other seed | {clip_held_out} |
| `judge.safetensors` | classifier of attributes, for evaluation only | {judge} |

Beside them: `prompts.csv` and `prompt_bank.csv`, captions to compare methods on and to
choose settings with; `reference_images.npz` and `reference_z.npz`, renders of the first
and z of other portraits that fit them; and `lafite.safetensors` and
`clip2gan.safetensors`, models that `kedro run --pipeline=baselines` trains on the
generator's pictures, to be compared with.

Machine of the measurements: {processor}, {threads} threads, torch {torch}. Training
times are wall-clock, and longer where other work shared the machine. The generator's
mapping network is not trained: its layers compute what z stands for.

- CLIP, recall at 1 within 256 held-out pairs: text to image {t2i:.3f}, image to text
  {i2t:.3f}; the one that only scores: {held_out_t2i:.3f} and {held_out_i2t:.3f}.
- Generator against the renderer: PSNR {psnr:.1f} dB.
- VAE, renders drawn again from their codes: PSNR {vae_psnr:.1f} dB.

Share of attributes that the judge reads right, where they are in sight:

| attribute | on renders | on G(z) | on the VAE's renders drawn again |
|---|---|---|---|
{rows}

They know this drawn world and nothing else: they are for trying the method out, for
tests and for teaching. A text outside the grammar of captions is read as far as its
words are known.
"""


def write_card(
    quality: dict[str, Any],
    held_out_quality: dict[str, Any],
    vae_quality: dict[str, Any],
) -> str:
    """Return the card, Markdown.

    Args:
        quality: What `measure_models` returns.
        held_out_quality: What `measure_held_out_clip` returns.
        vae_quality: What `measure_autoencoder` returns.
    """
    on_renders, on_made = quality["judge_accuracy"], quality["generator_accuracy"]
    on_vae = vae_quality["accuracy"]
    rows = [
        f"| {name} | {on_renders[name]:.3f} | {on_made[name]:.3f} "
        f"| {on_vae[name]:.3f} |"
        for name in on_renders
    ]
    minutes = {
        name: f"{seconds / 60:.0f} minutes"
        for name, seconds in quality["training_seconds"].items()
    }
    return _TEMPLATE.format(
        seed=quality["seed"],
        num_measured=quality["num_measured"],
        processor=quality["machine"]["processor"],
        threads=quality["machine"]["threads"],
        torch=quality["machine"]["torch"],
        t2i=quality["clip_recall_at_1_in_256"]["text_to_image"],
        i2t=quality["clip_recall_at_1_in_256"]["image_to_text"],
        held_out_t2i=held_out_quality["clip_recall_at_1_in_256"]["text_to_image"],
        held_out_i2t=held_out_quality["clip_recall_at_1_in_256"]["image_to_text"],
        psnr=quality["generator_psnr_db"],
        vae_psnr=vae_quality["psnr_db"],
        rows="\n".join(rows),
        **minutes,
    )
