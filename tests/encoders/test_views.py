"""One encoder, read in two ways: for conditions, and for scores."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F
from world import ColourEncoder, make_data, make_model, make_sampling

from clip2latent_kedro.encoders import load_encoder
from clip2latent_kedro.encoders.open_clip import choose_preprocess
from clip2latent_kedro.errors import InputError

DATA = make_data()


@pytest.fixture
def encoder(compact_file):
    return load_encoder("compact_clip", compact_file, {})


@pytest.mark.parametrize("embed", ["standard", "upstream"])
@pytest.mark.parametrize("score", ["standard", "upstream"])
def test_conditions_and_scores_each_have_their_form(encoder, embed, score):
    data = replace(DATA, embed_preprocess=embed, score_preprocess=score)
    embedder, scorer = data.embedder(encoder), data.scorer(encoder)
    assert embedder.embed_preprocess == embed
    assert scorer.embed_preprocess == score
    assert (embedder.identity == scorer.identity) == (embed == score)
    texts = ["a man with a hat"]
    torch.testing.assert_close(
        embedder.encode_text(texts), scorer.encode_text(texts), rtol=0, atol=0
    )


def test_an_encoder_of_one_form_is_refused_another():
    encoder = ColourEncoder()
    assert choose_preprocess(encoder, "standard", setting="data.x") is encoder
    with pytest.raises(
        InputError, match=r"data\.score_preprocess must be standard .* colour-clip"
    ):
        replace(DATA, score_preprocess="upstream").scorer(encoder)


def test_a_form_that_does_not_exist_is_refused(encoder):
    with pytest.raises(InputError, match=r"data\.x must be one of standard, upstream"):
        choose_preprocess(encoder, "twice", setting="data.x")
    with pytest.raises(InputError, match="embed_preprocess must be one of standard, "):
        replace(DATA, embed_preprocess="twice")


class _NegativeEncoder(ColourEncoder):
    """Sees colours reversed; its texts are those of `ColourEncoder`."""

    def encode_image(self, image):
        return -super().encode_image(image)


def test_images_are_ranked_by_the_scorer_and_conditions_are_not_its():
    """The same w from text or image; scores and order are reversed."""
    model = make_model(spread=0.5)
    other = replace(model, scorer=_NegativeEncoder())
    draws = {"num_samples": 4, "seed": 0}
    for query in ("1 0.5 0", torch.full((3, 4, 4), 0.5)):
        plain, scored = (
            each([query], make_sampling(), **draws, rank=False)
            for each in (model, other)
        )
        torch.testing.assert_close(scored.w, plain.w)
        assert (scored.scores == -plain.scores).all()
        ranked = other([query], make_sampling(), **draws)
        assert (ranked.scores[0] == sorted(scored.scores[0], reverse=True)).all()


def test_the_two_resizings_of_pairs_and_the_one_of_inference(encoder):
    """Areas of areas: 128 -> 48 -> 32 of training pairs, 128 -> 32 of pictures."""
    image = torch.rand(2, 3, 128, 128) * 2 - 1
    small = F.interpolate(image, 48, mode="area")
    mean, std = (
        torch.tensor(part)[:, None, None]
        for part in (encoder.image_mean, encoder.image_std)
    )

    def embed(seen):
        return encoder.model.encode_image((seen / 2 + 0.5 - mean) / std)

    chained = embed(F.interpolate(small, 32, mode="area"))
    direct = embed(F.interpolate(image, 32, mode="area"))
    torch.testing.assert_close(encoder.encode_image(small), chained)
    torch.testing.assert_close(encoder.encode_image(image), direct)
    assert not torch.allclose(chained, direct)
