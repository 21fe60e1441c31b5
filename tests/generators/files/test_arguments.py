"""Arguments that files carry beside their sizes, and that change no picture."""

import pytest
import torch
from generators.snapshots import (
    dump,
    make_stylegan2,
    persist,
    snapshot,
    stylegan2_attributes,
    write_tensorflow,
)

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators.files import read_stylegan_file
from clip2latent_kedro.generators.stylegan2 import StyleGAN2, StyleGAN2Config


def assert_read(path, written):
    """The file gives the network that was written, bit for bit."""
    weights = read_stylegan_file(path)
    read = StyleGAN2(StyleGAN2Config(**weights.config)).eval()
    read.load_state_dict(weights.tensors, strict=True)
    with torch.inference_mode():
        w = torch.randn(2, written.config.num_ws, written.config.w_dim)
        assert torch.equal(read.synthesis(w), written.synthesis(w))
    return read


def test_a_filter_that_is_not_in_the_arguments_is_that_of_the_blocks(tmp_path):
    """As in a file whose class has another default."""
    network = make_stylegan2(resample_filter=(1, 2, 1))
    attributes = stylegan2_attributes(network.config)

    def silent(path, module):
        given = attributes(path, module)
        if path == "":
            del given["_init_kwargs"]["synthesis_kwargs"]["resample_filter"]
        return given

    path = dump(snapshot(persist(network, silent)), tmp_path / "g.pkl")
    read = assert_read(path, network)
    assert read.config.resample_filter == (0.25, 0.5, 0.25)


# What real snapshots say beside the sizes, none of which changes a picture.
WITHOUT_EFFECT = {
    "num_fp16_res": 4,
    "fused_modconv_default": "inference_only",
    "fp16_channels_last": False,
    "use_fp16": False,
    "kernel_size": 3,
    "activation": "lrelu",
}
OF_THE_MAPPING = {
    "embed_features": None,
    "layer_features": None,
    "activation": "lrelu",
    "w_avg_beta": 0.998,
    "freeze_layers": 0,
    "freeze_embed": False,
}


@pytest.mark.parametrize("nested", [True, False], ids=["ada", "stylegan3"])
def test_arguments_without_effect_are_passed_over(tmp_path, nested):
    network = make_stylegan2()
    attributes = stylegan2_attributes(network.config, nested=nested)

    def talkative(path, module):
        given = attributes(path, module)
        if path == "":
            kwargs = given["_init_kwargs"]
            kwargs["mapping_kwargs"] |= OF_THE_MAPPING
            (kwargs["synthesis_kwargs"] if nested else kwargs).update(WITHOUT_EFFECT)
        return given

    path = dump(snapshot(persist(network, talkative)), tmp_path / "g.pkl")
    assert_read(path, network)


def test_tensorflow_arguments_with_their_defaults_are_passed_over(tmp_path):
    network = make_stylegan2()
    defaults = {
        "truncation_psi": 0.5,
        "truncation_cutoff": None,
        "dlatent_avg_beta": 0.995,
        "style_mixing_prob": 0.9,
        "is_training": False,
        "is_validation": False,
        "return_dlatents": False,
        "is_template_graph": False,
        "dtype": "float32",
        "mapping_fmaps": 10,
        "mapping_lrmul": 0.01,
        "label_fmaps": None,
        "mapping_nonlinearity": "lrelu",
        "normalize_latents": True,
        "resolution_w": 16,
        "resolution_h": 16,
        "fmap_decay": 1.0,
        "fmap_min": 1,
        "randomize_noise": True,
        "structure": "auto",
        "nonlinearity": "lrelu",
        "resample_kernel": [1, 3, 3, 1],
        "fused_modconv": True,
        "use_noise": True,
        "force_clean_graph": False,
        "num_fp16_res": 0,
        "conv_clamp": None,
    }
    path = write_tensorflow(network, tmp_path / "g.pkl", **defaults)
    assert_read(path, network)
    for sides in ({"resolution_w": 32}, {"resolution_h": 8, "resolution_w": 16}):
        path = write_tensorflow(network, tmp_path / "g.pkl", **sides)
        with pytest.raises(InputError, match="images that are not square"):
            read_stylegan_file(path)
