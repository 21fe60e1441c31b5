import math
from dataclasses import replace

import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import save_file
from torch.nn import functional as F

from clip2latent_kedro.encoders import load_encoder
from clip2latent_kedro.encoders.compact_clip import compact_rows, unpack_clip
from clip2latent_kedro.worlds.clip_training import (
    ClipTrainingConfig,
    ClipWithHead,
    attribute_loss,
    contrastive_loss,
)
from clip2latent_kedro.worlds.portraits.attributes import ATTRIBUTES
from clip2latent_kedro.worlds.portraits.clip import (
    ClipFinetuneConfig,
    clip_task,
    export_clip,
    finetune_task,
)
from clip2latent_kedro.worlds.portraits.phrases import grammar_fragments
from clip2latent_kedro.worlds.portraits.quality import measure_retrieval
from clip2latent_kedro.worlds.training import train_model

CONFIG = ClipTrainingConfig(
    embed_dim=16,
    image_size=32,
    vision_layers=[1, 1, 1, 1],
    vision_width=4,
    vision_patch_size=None,
    context_length=48,
    text_width=16,
    text_heads=2,
    text_layers=1,
    steps=4,
    batch_size=8,
    lr=1e-3,
    weight_decay=0.05,
    ema_beta=0.9,
    token_dropout=0.05,
    attribute_weight=1.0,
    save_every=2,
)


def train(config, seed=0):
    *_, state = train_model("clip", clip_task, config, seed=seed, device="cpu")
    return state


@pytest.fixture(scope="module")
def trained():
    return train(CONFIG)


def test_a_second_training_starts_from_the_average_of_the_first(trained):
    focus = {"expression": 4.0}
    closer = ClipFinetuneConfig(1, 1e-9, 1.0, focus, save_every=1)
    given = closer, trained, CONFIG
    (state,) = train_model("clip_finetune", finetune_task, *given, seed=0, device="cpu")
    name = "clip.visual.conv1.weight"
    torch.testing.assert_close(
        state.network[name], trained.ema[name], atol=1e-7, rtol=0
    )


def test_first_loss_is_that_of_guessing_attributes():
    """A head of zeros guesses: without the contrastive part it costs mean log k."""
    config = replace(CONFIG, attribute_weight=1.0, steps=1, save_every=1)
    first, half = (
        train(replace(config, attribute_weight=weight)).history[-1]["loss"]
        for weight in (1.0, 0.5)
    )
    guesses = torch.tensor([math.log(len(values)) for values in ATTRIBUTES.values()])
    # Half the attribute loss is the mean over visible or stated attributes.
    assert guesses.min() < first - half < guesses.max()


def test_trimmed_texts_embed_as_whole_ones():
    architecture = CONFIG.architecture(grammar_fragments())
    model = ClipWithHead(architecture.build(), ATTRIBUTES).eval()
    tokenizer = SimpleTokenizer(context_length=48)
    tokens = tokenizer(
        ["a man", "an old woman with red hair", "a hat", "no", "someone"]
    )
    rows = compact_rows(architecture.tokens, tokenizer.vocab_size)[tokens]
    torch.testing.assert_close(model.encode_tokens(rows), model.clip.encode_text(rows))


def test_export_is_the_averaged_clip_without_the_head(trained, tmp_path):
    tensors, metadata = export_clip(trained, CONFIG)
    save_file(tensors, tmp_path / "clip.safetensors", metadata)
    encoder = load_encoder("compact_clip", tmp_path / "clip.safetensors", {})

    assert not any(name.startswith("head") for name in tensors)
    average = {
        name.removeprefix("clip."): value
        for name, value in trained.ema.items()
        if name.startswith("clip.")
    }
    vocab_size = SimpleTokenizer().vocab_size
    exact = unpack_clip(
        average, CONFIG.architecture(grammar_fragments()), vocab_size
    ).eval()
    tokens = encoder.tokenizer(["a photo of an old man with a grey beard"])
    torch.testing.assert_close(
        encoder.model.encode_text(tokens), exact.encode_text(tokens), atol=5e-3, rtol=0
    )


def test_contrastive_loss_of_known_cosines():
    """Orthonormal pairs: the own logit is the scale, all others are 0."""
    embedding = 3 * torch.eye(4, dtype=torch.float64)
    scale = torch.tensor(2.0, dtype=torch.float64)
    expected = math.log(math.exp(2) + 3) - 2
    loss = contrastive_loss(embedding, 5 * embedding, scale)
    assert loss.item() == pytest.approx(expected)


def test_attribute_loss_averages_over_what_counts():
    num_values = [len(values) for values in ATTRIBUTES.values()]
    logits = torch.randn(2, sum(num_values), dtype=torch.float64)
    labels = torch.full((2, len(ATTRIBUTES)), -100)
    labels[0, 0], labels[1, 2] = 1, 2

    gender = F.cross_entropy(logits[:1, :2], torch.tensor([1]))
    skin = F.cross_entropy(logits[1:, 4:7], torch.tensor([2]))
    torch.testing.assert_close(
        attribute_loss(logits, labels, {}, ATTRIBUTES), (gender + skin) / 2
    )
    focused = attribute_loss(logits, labels, {"skin": 3.0}, ATTRIBUTES)
    torch.testing.assert_close(focused, (gender + 3 * skin) / 2)


class _Oracle:
    """Reads nothing: returns the rows that it is told, in order."""

    def __init__(self, image, text):
        self.image, self.text = image, text

    def encode_image(self, image):
        return self.image

    def encode_text(self, texts):
        assert len(set(texts)) > 1
        return self.text


def test_retrieval_counts_each_direction():
    eye = torch.eye(4)
    # The second text points at the first picture; that picture prefers its own.
    text = torch.stack([eye[0], eye[0] + 0.5 * eye[1], eye[2], eye[3]])
    scores = measure_retrieval(_Oracle(eye, text), seed=0, num_pools=2, pool_size=4)
    assert scores == {"text_to_image": 0.75, "image_to_text": 1.0}
