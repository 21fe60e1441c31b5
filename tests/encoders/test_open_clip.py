import zipfile

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from clip2latent_kedro.encoders import encoder_addresses, load_encoder
from clip2latent_kedro.encoders.open_clip import MAX_BATCH, preprocess
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Encoder

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


@pytest.fixture
def encoder(compact_file):
    return load_encoder("compact_clip", compact_file, {})


@pytest.mark.parametrize("channel", range(3))
@pytest.mark.parametrize(
    ("value", "form", "seen"),
    [
        (0.25, "standard", lambda p, mean, std: p),
        # p under the mean becomes 0, p over mean + std 1, and others are normalised.
        (0.3, "upstream", lambda p, mean, std: 0.0),
        (0.6, "upstream", lambda p, mean, std: (p - mean) / std),
        (0.9, "upstream", lambda p, mean, std: 1.0),
    ],
)
def test_upstream_normalises_twice_and_clamps_between(value, form, seen, channel):
    mean, std = MEAN[channel], STD[channel]
    image = torch.full((1, 3, 8, 8), 2.0 * value - 1)
    found = preprocess(image, size=(4, 4), mean=MEAN, std=STD, form=form)
    expected = (seen(value, mean, std) - mean) / std
    torch.testing.assert_close(found[0, channel], torch.full((4, 4), expected))


def test_images_are_resized_by_area():
    image = torch.rand(2, 3, 12, 8) * 2 - 1
    small = preprocess(
        image, size=(4, 4), mean=(0.0,) * 3, std=(1.0,) * 3, form="standard"
    )
    blocks = F.avg_pool2d(image, (3, 2)) / 2 + 0.5
    torch.testing.assert_close(small, blocks)


def test_it_is_an_encoder_and_returns_the_models_own_embedding(encoder):
    assert isinstance(encoder, Encoder)
    image = torch.rand(2, 3, 50, 40) * 2 - 1
    ready = preprocess(
        image,
        size=(32, 32),
        mean=encoder.image_mean,
        std=encoder.image_std,
        form="standard",
    )
    torch.testing.assert_close(
        encoder.encode_image(image), encoder.model.encode_image(ready)
    )
    tokens = encoder.tokenizer(["an old man"])
    torch.testing.assert_close(
        encoder.encode_text(["an old man"]), encoder.model.encode_text(tokens)
    )
    assert encoder.embed_dim == 16


def test_large_inputs_equal_single_ones(encoder):
    image = torch.rand(MAX_BATCH + 3, 3, 16, 16) * 2 - 1
    texts = ["a man", "a woman with red hair"] * (MAX_BATCH // 2 + 1)
    images = encoder.encode_image(image)
    words = encoder.encode_text(texts)

    assert len(images) == MAX_BATCH + 3
    assert len(words) == MAX_BATCH + 2
    assert len(encoder.encode_text([])) == len(encoder.encode_image(image[:0])) == 0
    for index in (0, MAX_BATCH - 1, MAX_BATCH, MAX_BATCH + 1):
        one = slice(index, index + 1)
        torch.testing.assert_close(images[one], encoder.encode_image(image[one]))
        torch.testing.assert_close(words[one], encoder.encode_text(texts[one]))


def test_gradients_reach_the_image_but_not_the_weights(encoder):
    image = torch.zeros(1, 3, 32, 32, requires_grad=True)
    encoder.encode_image(image).square().sum().backward()
    assert image.grad.abs().sum() > 0
    assert all(weight.grad is None for weight in encoder.model.parameters())


def test_the_identity_does_not_depend_on_the_files_name(encoder, compact_file):
    other = compact_file.rename(compact_file.with_name("other.safetensors"))
    renamed = load_encoder("compact_clip", other, {})
    assert renamed.identity.digest == encoder.identity.digest
    assert renamed.identity.name == "compact_clip/other"


def test_preprocessing_is_part_of_the_identity(encoder, compact_file):
    twin = encoder.with_preprocess("upstream")
    again = load_encoder("compact_clip", compact_file, {})
    assert twin.identity == again.with_preprocess("upstream").identity
    assert twin.identity.digest != encoder.identity.digest
    assert twin.identity.name == f"{encoder.identity.name}/upstream"
    assert twin.with_preprocess("standard").identity == encoder.identity
    assert twin.model is encoder.model

    image = torch.rand(1, 3, 32, 32) * 2 - 1
    assert not torch.allclose(twin.encode_image(image), encoder.encode_image(image))


def test_a_prompt_that_cannot_be_read_is_named(encoder):
    with pytest.raises(InputError, match=r"12 tokens .* got 14 tokens in 'a a a"):
        encoder.encode_text(["a man", "a a a a a a a a a a a a"])
    with pytest.raises(InputError, match="at least one word, got ' '"):
        encoder.encode_text([" "])
    encoder.encode_text(["a a a a a a a a a a"])  # just fits


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "ViT-B-33"}, "open_clip architecture .* got 'ViT-B-33'"),
        ({"model": "ViT-B-32", "pretrained": "x"}, "one of openai, .* got 'x'"),
        ({"model": "ViT-B-32"}, "pretrained must be .* set filepath"),
        ({"model": "ViT-B-32", "precision": "fp8"}, "precision must be one of fp32"),
        (
            {"model": "ViT-B-32", "colour": 1},
            "colour is not a parameter. Known here: mo",
        ),
        ({}, "options.model is missing"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(InputError, match=message):
        load_encoder("open_clip", None, options)


def test_wrong_files_are_named(tmp_path):
    options = {"model": "RN50"}
    with pytest.raises(InputError, match=r"expected at .*none\.pt: no such file"):
        load_encoder("open_clip", tmp_path / "none.pt", options)
    for name in ("bad.pt", "bad.safetensors"):
        (tmp_path / name).write_bytes(b"nothing")
        with pytest.raises(InputError, match=r"must hold weights of .* ViT-S-32-alt"):
            load_encoder("open_clip", tmp_path / name, {"model": "ViT-S-32-alt"})
    with zipfile.ZipFile(tmp_path / "z.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(1000))
    with pytest.raises(InputError, match=r"z\.pt is a compressed archive"):
        load_encoder("open_clip", tmp_path / "z.pt", options)
    with pytest.raises(InputError, match="must be a whole safetensors file"):
        load_encoder("compact_clip", tmp_path / "bad.safetensors", {})
    with pytest.raises(InputError, match="no such file"):
        load_encoder("compact_clip", tmp_path / "none.safetensors", {})


def test_without_the_network_the_file_and_its_place_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("CLIP2LATENT_OFFLINE", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    options = {"model": "ViT-B-32", "pretrained": "openai"}
    with pytest.raises(InputError) as caught:
        load_encoder("open_clip", None, options)
    address = (
        "https://huggingface.co/timm/vit_base_patch32_clip_224.openai/resolve/main/"
        "open_clip_model.safetensors"
    )
    assert f"{address} is not on this machine" in str(caught.value)
    assert f"put it at {tmp_path}" in str(caught.value)


def test_weights_come_from_a_file(tmp_path):
    """ViT-S-32-alt is the smallest architecture that open_clip knows."""
    model = open_clip.create_model("ViT-S-32-alt")
    path = tmp_path / "weights.pt"
    torch.save(model.state_dict(), path)
    encoder = load_encoder("open_clip", path, {"model": "ViT-S-32-alt"})

    assert encoder.identity.name == "ViT-S-32-alt/weights.pt"
    assert encoder.image_mean == pytest.approx(MEAN)
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    ready = preprocess(image, size=(224, 224), mean=MEAN, std=STD, form="standard")
    torch.testing.assert_close(
        encoder.encode_image(image), model.eval().encode_image(ready)
    )


def test_a_file_of_a_tag_has_the_tags_activation_and_statistics(tmp_path):
    """As open_clip loads a tag: QuickGELU, and the mean and std of its images."""
    tag = {"quick_gelu": True, "mean": (0.1,) * 3, "std": (0.2,) * 3}
    architecture = "ViT-S-32-alt"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(open_clip.pretrained._PRETRAINED, architecture, {"own": tag})
        model = open_clip.create_model(architecture, force_quick_gelu=True).eval()
        path = tmp_path / "weights.safetensors"
        save_file(model.state_dict(), path)
        options = {"model": architecture, "pretrained": "own"}
        encoder = load_encoder("open_clip", path, options)
        patch.setitem(tag, "file", str(path))  # so that open_clip fetches nothing
        expected = open_clip.create_model(
            architecture, pretrained="own", force_quick_gelu=True
        )
    assert encoder.identity.name == f"{architecture}-quickgelu/own"
    assert encoder.image_mean == (0.1,) * 3 == expected.visual.image_mean
    assert encoder.image_std == (0.2,) * 3 == expected.visual.image_std
    image = torch.rand(1, 3, 224, 224)
    torch.testing.assert_close(
        encoder.model.encode_image(image), expected.eval().encode_image(image)
    )


def test_a_program_is_refused_with_the_address_of_the_weights(tmp_path):
    path = tmp_path / "ViT-B-32.pt"
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))
    with pytest.raises(
        InputError,
        match=r"TorchScript .*vit_base_patch32_clip_224.openai/resolve/main/open_clip",
    ):
        load_encoder("open_clip", path, {"model": "ViT-B-32-quickgelu"})


def test_addresses_are_those_of_the_tag():
    def addresses(model, tag):
        options = {"model": model, "pretrained": tag}
        return encoder_addresses("open_clip", options)

    folder = "https://huggingface.co/timm/vit_base_patch32_clip_224.openai/resolve/main"
    assert addresses("ViT-B/32", "openai") == (
        f"{folder}/open_clip_model.safetensors",
        f"{folder}/open_clip_pytorch_model.bin",
    )
    assert [a.rpartition("/")[2] for a in addresses("ViTamin-S", "datacomp1b")] == [
        "pytorch_model.safetensors",
        "pytorch_model.bin",
    ]
    assert addresses("ViT-B-32", "unknown") == ()
    assert addresses("hf-hub:someone/model", "openai") == ()
    assert encoder_addresses("compact_clip", {"model": "ViT-B-32"}) == ()
