import torch
from safetensors.torch import save_file

from clip2latent_kedro.generators import load_generator
from clip2latent_kedro.worlds.portraits.attributes import Z_DIM
from clip2latent_kedro.worlds.portraits.generator import (
    GeneratorConfig,
    averaged_generator,
    build_generator,
    export_generator,
    face_weight,
    generator_task,
    image_loss,
)
from clip2latent_kedro.worlds.training import train_model

TINY = GeneratorConfig(
    resolution=16,
    w_dim=64,
    channel_base=128,
    channel_max=16,
    steps=8,
    coarse_steps=4,
    batch_size=16,
    lr_weights=0.05,
    lr_biases=0.01,
    save_every=3,
)


def test_half_the_resolution_does_not_reach_the_last_block():
    config = GeneratorConfig(**{**vars(TINY), "save_every": 2})
    states = list(
        train_model("generator", generator_task, config, seed=0, device="cpu")
    )
    after_2, after_4, after_6 = (state.network for state in states[:3])
    coarse = "synthesis.b8.conv1.weight"
    fine = "synthesis.b16.conv1.weight"
    assert not torch.equal(after_2[coarse], after_4[coarse])
    assert torch.equal(after_2[fine], after_4[fine])
    assert not torch.equal(after_4[fine], after_6[fine])


def test_the_mapping_keeps_its_weights():
    *_, state = train_model("generator", generator_task, TINY, seed=0, device="cpu")
    before = build_generator(TINY.architecture(), seed=0).mapping
    after = averaged_generator(state, TINY).mapping
    z = torch.randn(8, Z_DIM, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(after(z), before(z), rtol=0, atol=0)


def test_what_is_exported_draws_what_was_trained(tmp_path):
    """The mean of w, left out in training, is back in the styles."""
    *_, state = train_model("generator", generator_task, TINY, seed=0, device="cpu")
    trained = build_generator(TINY.architecture(), seed=0)
    trained.load_state_dict(state.ema)
    weights, metadata = export_generator(state, TINY)
    save_file(weights, tmp_path / "generator.safetensors", metadata)
    generator = load_generator("stylegan2", tmp_path / "generator.safetensors")

    z = torch.randn(8, Z_DIM, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        centred = trained.mapping(z) - trained.mapping.w_avg
        expected = trained.synthesis(centred, "none")
        made = generator.synthesis(generator.mapping(z))
    scale = expected.std()
    torch.testing.assert_close(made / scale, expected / scale, atol=0.02, rtol=0.01)


def test_w_avg_is_the_mean_of_w():
    network = build_generator(TINY.architecture(), seed=0)
    z = torch.randn(16_384, Z_DIM, generator=torch.Generator().manual_seed(5))
    mean = network.mapping(z)[:, 0].mean(0)
    torch.testing.assert_close(network.mapping.w_avg, mean, atol=0.02, rtol=0)


def test_equal_pictures_cost_nothing_and_faces_cost_most():
    image = torch.zeros(1, 3, 32, 32)
    assert image_loss(image, image) == 0
    at_face, at_corner = image.clone(), image.clone()
    at_face[:, :, 17, 16] = 1
    at_corner[:, :, 1, 1] = 1
    assert image_loss(at_face, image) > 3 * image_loss(at_corner, image)
    weight = face_weight(image)
    assert weight.max() <= 4
    assert weight.min() >= 1
