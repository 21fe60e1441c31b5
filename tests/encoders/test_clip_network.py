"""The small CLIP, compared with open_clip's."""

import pytest
import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from open_clip.tokenizer import SimpleTokenizer

from clip2latent_kedro.encoders.clip_network import (
    ClipNetwork,
    TextConfig,
    VisionConfig,
)
from clip2latent_kedro.encoders.clip_tokens import ClipTokenizer
from clip2latent_kedro.errors import InputError

TEXT = {"context_length": 12, "width": 32, "heads": 4, "layers": 2}
VISION = {
    "residual": {"layers": [1, 2, 1, 1], "width": 8, "image_size": 64},
    "one_place": {"layers": [1, 1, 1, 1], "width": 16, "image_size": 32},
    "patches": {
        "layers": 2,
        "width": 32,
        "image_size": 24,
        "patch_size": 8,
        "head_width": 16,
        "mlp_ratio": 2.0,
    },
}
TEXTS = [
    "a man, smiling",
    "It's THE don't-care 3D café №5!!",
    "  spaces\tand\nlines  ",
    "&amp;lt; broken “quotes” â€œmojibakeâ€\x9d",
    "Привет 日本語 👩‍🦰 e\u0301",
    "antidisestablishmentarianism's",
    "a<start_of_text>b <END_OF_TEXT>",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaa 0123456789",
    "",
    "\u00a0_\u200b#$%^",
]


@pytest.mark.parametrize("vision", VISION.values(), ids=VISION)
def test_it_computes_what_open_clip_does(vision):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        expected = CLIP(20, CLIPVisionCfg(**vision), CLIPTextCfg(**TEXT, vocab_size=40))
        for buffer in expected.visual.buffers():  # statistics of batches
            if buffer.is_floating_point():
                buffer.copy_(torch.rand(buffer.shape) + 0.5)
        image = torch.randn(3, 3, vision["image_size"], vision["image_size"])
        tokens = torch.randint(0, 39, (3, 12))
    network = ClipNetwork(20, VisionConfig(**vision), TextConfig(**TEXT), 40)
    network.load_state_dict(expected.state_dict())
    expected, network = (
        each.double().eval().requires_grad_(False) for each in (expected, network)
    )
    tokens[:, 5] = 39
    torch.testing.assert_close(
        network.encode_image(image.double()), expected.encode_image(image.double())
    )
    torch.testing.assert_close(
        network.encode_text(tokens), expected.encode_text(tokens)
    )


@pytest.mark.parametrize("text", TEXTS)
def test_it_reads_texts_as_open_clip_does(text):
    ours, theirs = ClipTokenizer(16), SimpleTokenizer(context_length=16)
    assert ours.encode(text) == theirs.encode(text)
    assert torch.equal(ours([text, "a"]), theirs([text, "a"]))
    ends = (ours.vocab_size, ours.sot_token_id, ours.eot_token_id)
    assert ends == (theirs.vocab_size, theirs.sot_token_id, theirs.eot_token_id)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"layers": [1, 1]}, "layers must be a number, or 4 of them"),
        ({"head_width": 64}, "head_width must be at most"),
        ({"width": 0}, "width must be a whole number, 1 or more"),
    ],
)
def test_a_tower_that_cannot_be_is_refused(changes, match):
    with pytest.raises(InputError, match=match):
        VisionConfig(**{**VISION["patches"], **changes})
