import pytest
import torch
from safetensors.torch import save_file
from shipped import WEIGHTS
from torch.nn.functional import nll_loss

from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import Judge
from clip2latent_kedro.runtime import make_generator
from clip2latent_kedro.worlds.portraits.attributes import (
    ATTRIBUTES,
    labels_of,
    sample_z,
    visible_mask,
)
from clip2latent_kedro.worlds.portraits.judge import (
    JudgeConfig,
    disturb,
    export_judge,
    judge_task,
    load_judge,
)
from clip2latent_kedro.worlds.portraits.renderer import render
from clip2latent_kedro.worlds.training import train_model

TINY = JudgeConfig(width=8, steps=4, batch_size=16, lr=1e-3, save_every=2)


def test_a_trained_judge_can_be_stored_and_read_back(tmp_path):
    *_, state = train_model("judge", judge_task, TINY, seed=0, device="cpu")
    weights, metadata = export_judge(state, TINY)
    save_file(weights, tmp_path / "judge.safetensors", metadata)
    judge = load_judge(tmp_path / "judge.safetensors", {})
    assert isinstance(judge, Judge)
    z = sample_z(9, make_generator(0))
    labels = judge.classify(render(z))
    assert labels.shape == labels_of(z).shape
    sizes = torch.tensor([len(values) for values in ATTRIBUTES.values()])
    assert bool((labels < sizes).all())


def test_disturbance_is_mild_and_new_for_each_picture():
    image = render(sample_z(64, make_generator(0)))
    disturbed = disturb(image, make_generator(1))
    error = (disturbed - image).square().mean((1, 2, 3)).sqrt()
    assert disturbed.shape == image.shape
    assert error.min() > 0
    assert error.median() < 0.5
    assert error.unique().numel() == 64


def test_a_file_that_is_no_judge_is_refused(tmp_path):
    with pytest.raises(InputError, match="where there is no file"):
        load_judge(tmp_path / "none.safetensors", {})
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="must hold a judge"):
        load_judge(tmp_path / "x.safetensors", {})


def test_probabilities_are_calibrated_on_other_renders_and_name_the_same_values():
    judge = load_judge(WEIGHTS / "judge.safetensors", {})
    z = sample_z(512, make_generator(7, "other"))
    image = torch.cat([render(rows) for rows in z.split(256)])
    labels = labels_of(z)
    visible = judge.visible(judge.classify(image))
    probabilities = judge.probabilities(image)
    certain, right, calibrated, plain = [], [], [], []
    for column, rows in enumerate(probabilities):
        torch.testing.assert_close(rows.sum(1), torch.ones(len(rows)))
        assert (rows.argmax(1) == judge.classify(image)[:, column]).all()
        shown = visible[:, column] & visible_mask(labels)[:, column]
        certain.append(rows.amax(1)[shown])
        right.append((rows.argmax(1) == labels[:, column])[shown].float())
        log = rows[shown].clamp_min(1e-30).log()
        calibrated.append(nll_loss(log, labels[shown, column], reduction="sum"))
        without = (log * judge.temperature).log_softmax(1)
        plain.append(nll_loss(without, labels[shown, column], reduction="sum"))
    # Of those of which it says p, a share of about p is right.
    assert abs(float(torch.cat(certain).mean() - torch.cat(right).mean())) < 0.01
    assert sum(calibrated) < sum(plain)
