"""LAFITE's training on a world of three colours."""

import pytest
import torch
from generators.networks import make_stylegan2
from methods.lafite_world import configure, make_generator, make_pairs
from safetensors.torch import save_file
from torch.nn import functional as F
from training.test_fit import assert_same
from world import ColourEncoder, ColourGenerator, ColourJudge

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators import load_generator
from clip2latent_kedro.generators.adapters import StyleGANGenerator
from clip2latent_kedro.generators.text_adapter import TextGenerator
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.methods.lafite import (
    export_lafite,
    sample_lafite,
    train_lafite,
)
from clip2latent_kedro.methods.lafite.networks import (
    build_networks,
    parameter_groups,
    shift_styles,
)
from clip2latent_kedro.methods.lafite.training import averaged_lafite
from clip2latent_kedro.methods.measuring import measure_samples
from clip2latent_kedro.training.state import pack_state, stored_state


def train(start=None, generator=None, **changes):
    generator = generator or make_generator()
    states = train_lafite(
        generator,
        ColourEncoder(),
        make_pairs(generator),
        configure(**changes),
        seed=0,
        device="cpu",
        start=start,
    )
    return list(states)


def colours(network, text, num=32):
    """Return the cosines of texts and the mean colours drawn for them."""
    z = torch.randn(num, 6, generator=torch.Generator().manual_seed(9))
    made = ColourEncoder().encode_image(network(z, text[:num]))
    return F.cosine_similarity(made, text[:num])


def test_it_learns_to_draw_the_colour_that_the_text_names():
    generator = make_generator()
    changes = {"max_it": 80, "save_it": 80, "lr_styles": 4e-2}
    *_, state = train(generator=generator, **changes)
    network = averaged_lafite(state, generator, ColourEncoder(), configure(**changes))
    text = F.normalize(torch.randn(32, 3, generator=torch.Generator().manual_seed(8)))
    start, _ = build_networks(generator, ColourEncoder(), configure(), seed=0)
    with torch.no_grad():
        before, after = (colours(n, text).mean() for n in (start, network))
    assert before < 0.3
    assert after > 0.6


def test_resumed_equals_uninterrupted_bit_for_bit():
    whole = train()
    assert [state.step for state in whole] == [2, 4, 6]
    resumed = train(start=stored_state(pack_state(whole[0])))
    assert [state.step for state in resumed] == [4, 6]
    assert_same(resumed[-1], whole[-1])


def test_the_generator_waits_for_the_discriminator():
    generator = make_generator()
    *_, waited = train(generator=generator, max_it=4, save_it=4, discriminator_first=4)
    network = averaged_lafite(waited, generator, ColourEncoder(), configure())
    z, text = torch.randn(3, 6), F.normalize(torch.randn(3, 3))
    expected = generator.synthesis(generator.mapping(z))
    torch.testing.assert_close(network(z, text), expected)
    _, fresh = build_networks(generator, ColourEncoder(), configure(), seed=0)
    learnt = waited.network["discriminator.out.weight"]
    assert not torch.equal(learnt, fresh.out.weight)


def test_the_history_is_of_every_state_and_of_all_steps_between():
    changes = {"max_it": 4, "discriminator_first": 0, "lr": 1e-9, "lr_styles": 1e-9}
    states = train(save_it=1, **changes)
    rows = states[-1].history
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    for row in rows:
        total = row["adversarial"] + 1.0 * row["features"] + 10.0 * row["clip"]
        assert row["loss"] == pytest.approx(total, rel=1e-5)
    (pair,) = train(save_it=4, **changes)[-1].history
    for name in ("loss", "real", "fake"):
        mean = sum(row[name] for row in rows) / 4
        assert pair[name] == pytest.approx(mean, rel=1e-4)


def test_the_released_form_is_trained_too():
    released, corrected = (train(form=form)[-1] for form in ("released", "corrected"))
    name = "generator.synthesis.b8.conv0.affine_0.weight"
    assert not torch.equal(released.network[name], corrected.network[name])


def test_shifted_styles_are_those_of_shifted_latents():
    generator = make_generator()
    network, _ = build_networks(generator, ColourEncoder(), configure(), seed=0)
    w, text = torch.randn(2, 4, 10), F.normalize(torch.randn(2, 3))
    offset = torch.randn(10)
    with torch.no_grad():
        expected = network.synthesise(w + offset, text)
        shift_styles(network, offset)
        torch.testing.assert_close(network.synthesise(w, text), expected)


def test_the_mapping_learns_at_a_hundredth_whatever_its_multiplier():
    generator = make_generator(mapping_lr=0.5)
    network, _ = build_networks(generator, ColourEncoder(), configure(), seed=0)
    groups = parameter_groups(network, configure(lr=1e-3, lr_styles=3e-3))
    assert [group["lr"] for group in groups] == pytest.approx([2e-5, 3e-3, 1e-3])
    names = [{name for name, _ in group["params"]} for group in groups]
    assert all(name.startswith("mapping.fc") for name in names[0])
    assert "synthesis.b8.torgb.affine.affine_0.weight" in names[1]
    assert "synthesis.b8.conv0.weight" in names[2]
    left = {name for name, _ in network.named_parameters()} - set().union(*names)
    assert {name.split(".")[-1] for name in left} == {"noise_strength"}


def test_the_shipped_file_draws_what_was_averaged(tmp_path):
    generator, encoder = make_generator(), ColourEncoder()
    *_, state = train(generator=generator)
    tensors, strings = export_lafite(state, generator, encoder, configure(), seed=0)
    save_file(tensors, tmp_path / "l.safetensors", strings)
    model = load_generator("lafite", tmp_path / "l.safetensors")
    assert model.network.config.text_encoder == "colour-clip@11"
    assert model.training_images == state.step * configure().bs
    network = averaged_lafite(state, generator, encoder, configure())
    z, text = torch.randn(3, 6), F.normalize(torch.randn(3, 3))
    made = model.sample(z, text)
    torch.testing.assert_close(made, network(z, text), rtol=0, atol=2e-2)
    w = model.network.mapping(torch.randn(5000, 6))[:, 0].mean(0)
    torch.testing.assert_close(model.network.mapping.w_avg, w, rtol=0, atol=0.1)


def test_a_sample_depends_on_seed_text_and_number_alone():
    network, _ = build_networks(make_generator(), ColourEncoder(), configure(), seed=0)
    model = TextGenerator(network, Identity("lafite", "0"))
    text = torch.randn(3, 3)
    images = sample_lafite(model, text, num_samples=4, seed=5)
    assert images.shape == (3, 4, 3, 8, 8)
    fewer = sample_lafite(model, text[:2], num_samples=3, seed=5, batch_size=5)
    torch.testing.assert_close(images[:2, :3], fewer)
    other = sample_lafite(model, text, num_samples=4, seed=6)
    assert (images - other).abs().amax(dim=(2, 3, 4)).min() > 0


def test_scores_are_those_of_the_images():
    text = torch.tensor([[1.0, 0, 0], [0, 1, 0]])
    red, green = (t[:, None, None].expand(3, 4, 4) for t in text)
    images = torch.stack([torch.stack([red, red]), torch.stack([red, green])])
    stated = torch.tensor([[1, -1], [0, 1]]).numpy()
    scores = measure_samples(images, text, stated, ColourEncoder(), ColourJudge())
    assert scores == pytest.approx(
        {
            "clip_score": 0.75,
            "clip_score_best": 1.0,
            "clip_diversity": 0.5,
            "accuracy": 0.75,
        }
    )
    alone = measure_samples(images[:, :1], text, stated, ColourEncoder(), None)
    assert alone == pytest.approx({"clip_score": 0.5, "clip_score_best": 0.5})


def test_other_models_are_refused():
    with pytest.raises(InputError, match=r"starts from a StyleGAN2, got colours@00"):
        build_networks(ColourGenerator(), ColourEncoder(), configure(), seed=0)
    labelled = StyleGANGenerator(make_stylegan2(c_dim=2), Identity("stylegan2", "33"))
    with pytest.raises(InputError, match=r"got 3 colours and 2 classes"):
        build_networks(labelled, ColourEncoder(), configure(), seed=0)
    generator = make_generator()
    generator.identity = Identity("stylegan2", "44")
    with pytest.raises(InputError, match=r"made with the generator stylegan2@44, got"):
        train(generator=generator)
