import pytest
import torch
from open_clip.tokenizer import SimpleTokenizer

from clip2latent_kedro.encoders import load_encoder
from clip2latent_kedro.encoders.compact_clip import (
    UNKNOWN,
    compact_rows,
    known_tokens,
    unpack_clip,
)
from clip2latent_kedro.errors import InputError

VOCAB_SIZE = 49408


def test_end_of_text_is_the_last_row_and_padding_is_unknown(config):
    tokenizer = SimpleTokenizer()
    rows = compact_rows(config.tokens, VOCAB_SIZE)

    assert rows[tokenizer.eot_token_id] == len(config.tokens) == rows.max()
    assert rows[0] == UNKNOWN  # open_clip pads with 0
    assert (rows > 0).sum() == len(config.tokens)
    known = rows[torch.tensor(config.tokens)]
    assert torch.equal(known, torch.arange(1, len(config.tokens) + 1))


def test_expanding_keeps_the_embedding_of_every_text(compact_model, config, texts):
    """Tokens, known or not, read the same row before and after expansion."""
    tokenizer = SimpleTokenizer(context_length=12)
    tokens = tokenizer([*texts, "zebra man with ukulele"])
    full = unpack_clip(compact_model.state_dict(), config, VOCAB_SIZE).eval()
    rows = compact_rows(config.tokens, VOCAB_SIZE)

    torch.testing.assert_close(
        full.encode_text(tokens), compact_model.encode_text(rows[tokens])
    )
    # argmax pooling finds the end of text in both vocabularies
    assert torch.equal(tokens.argmax(1), rows[tokens].argmax(1))


def test_unknown_words_are_all_alike(compact_file):
    encoder = load_encoder("compact_clip", compact_file, {})
    first, second, known = encoder.encode_text(["a zebra", "a lion", "a woman"])
    torch.testing.assert_close(first, second)
    assert not torch.allclose(first, known)


def test_a_file_gives_back_the_model(compact_model, config, compact_file, texts):
    encoder = load_encoder("compact_clip", compact_file, {})
    image = torch.rand(2, 3, 32, 32) * 2 - 1
    mean = torch.tensor(config.image_mean)[:, None, None]
    std = torch.tensor(config.image_std)[:, None, None]

    torch.testing.assert_close(
        encoder.encode_image(image),
        compact_model.encode_image((image / 2 + 0.5 - mean) / std),
    )
    rows = compact_rows(config.tokens, VOCAB_SIZE)
    torch.testing.assert_close(
        encoder.encode_text(texts),
        compact_model.encode_text(rows[encoder.tokenizer(texts)]),
    )
    assert compact_file.stat().st_size < 400_000


def test_known_tokens_are_ascending_and_hold_both_ends():
    tokenizer = SimpleTokenizer()
    tokens = known_tokens(tokenizer, ["red hair", "hair"])
    assert tokens == sorted(set(tokens))
    assert tokens[-2:] == [tokenizer.sot_token_id, tokenizer.eot_token_id]
    assert len(tokens) == 4


def test_options_are_refused(compact_file):
    with pytest.raises(InputError, match=r"takes no options, got \['precision'\]"):
        load_encoder("compact_clip", compact_file, {"precision": "fp16"})
