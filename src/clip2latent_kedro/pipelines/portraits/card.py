"""The model card of the embedded domain's models, written from measurements."""

from typing import Any

_TEMPLATE = """\
# The portraits models

Small models, trained from nothing on drawn portraits by
`kedro run --pipeline=portraits` (seed {quality[seed]}); every figure below \
was measured by the
same command, on {quality[num_measured]:,} portraits that no training has seen. \
No photograph
and no real person is in them. Licence: MIT, as the project.

| file | what it is | training |
|---|---|---|
| `generator.safetensors` | StyleGAN2, 64 x 64, learnt from the renderer \
| {minutes[generator]} |
| `vae.safetensors` | decoder of a VAE, with a flow to its codes, 64 x 64 \
| {minutes[vae]} |
| `clip.safetensors` | CLIP: ModifiedResNet and text transformer | {minutes[clip]} |
| `clip_held_out.safetensors` | another CLIP, that only scores: vision transformer and \
text transformer, other seed | {minutes[clip_held_out]} |
| `judge.safetensors` | classifier of attributes, for evaluation only \
| {minutes[judge]} |

Beside them: `prompts.csv` and `prompt_bank.csv`, captions to compare methods on and to
choose settings with; `reference_images.npz` and `reference_z.npz`, renders of the first
and z of other portraits that fit them; and `lafite.safetensors`, `clip2gan.safetensors`
and `clip2gan_abstract.safetensors`, models that `kedro run --pipeline=baselines` trains
on the generator's pictures, to be compared with; `directions.safetensors`, directions
of w for edits, that `kedro run --pipeline=directions` learns, and
`inverter.safetensors`, an encoder from pictures to w, that `kedro run
--pipeline=inverter` trains. The JSON files hold the seconds that each took.

Machine of the measurements: {machine[processor]}, {machine[threads]} threads, \
torch {machine[torch]}. Training
times are wall-clock, and longer where other work shared the machine. The generator's
mapping network is not trained: its layers compute what z stands for.

- CLIP, recall at 1 within 256 held-out pairs: text to image \
{clip[text_to_image]:.3f}, image to text
  {clip[image_to_text]:.3f}; the one that only scores: \
{held_out[text_to_image]:.3f} and {held_out[image_to_text]:.3f}.
- Generator against the renderer: PSNR {quality[generator_psnr_db]:.1f} dB.
- VAE, renders drawn again from their codes: PSNR {vae[psnr_db]:.1f} dB.

Share of attributes that the judge reads right, where they are in sight:

| attribute | on renders | on G(z) | on the VAE's renders drawn again |
|---|---|---|---|
{rows}

They know this drawn world and nothing else: they are for trying the method out, for
tests and for teaching. A text outside the grammar of captions is read as far as its
words are known.
"""


def write_model_card(
    quality: dict[str, Any],
    held_out_quality: dict[str, Any],
    vae_quality: dict[str, Any],
) -> str:
    """Return the card, Markdown.

    Args:
        quality: What `measure_models` returns.
        held_out_quality: What `measure_clip` returns.
        vae_quality: What `measure_autoencoder` returns.
    """
    measured = (
        quality["judge_accuracy"],
        quality["generator_accuracy"],
        vae_quality["accuracy"],
    )
    rows = [
        " | ".join([f"| {name}", *(f"{shares[name]:.3f}" for shares in measured), ""])
        for name in measured[0]
    ]
    return _TEMPLATE.format(
        quality=quality,
        machine=quality["machine"],
        clip=quality["clip_recall_at_1_in_256"],
        held_out=held_out_quality["clip_recall_at_1_in_256"],
        vae=vae_quality,
        minutes={
            name: f"{seconds / 60:.0f} minutes"
            for name, seconds in quality["training_seconds"].items()
        },
        rows="\n".join(row.rstrip() for row in rows),
    )
