"""Each kind of row: what it builds of the models, and what it lacks without them."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from linear_models import (
    PROMPTS,
    ColourEncoder,
    ColourGenerator,
    TwoFormsEncoder,
    make_colour_pairs,
    make_prior,
    make_queries,
    make_sampling,
)
from PIL import Image

from clip2latent_kedro import portraits
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.generators import load_generator
from clip2latent_kedro.interfaces import Identity
from clip2latent_kedro.methods.optimisation import OptimisationConfig
from clip2latent_kedro.study import (
    KINDS,
    LackingError,
    Models,
    Optimisation,
    RowSpec,
)

U8 = np.zeros((3, 2, 4, 4, 3), np.uint8)
SEARCH = OptimisationConfig(
    start="mean", num_steps=40, lr=0.05, record_steps=[0, 10, 40]
)
TEXTS = [row["prompt"] for row in PROMPTS]


class EchoText:
    """A generator that draws the colours of the text, brightened by z."""

    z_dim, text_dim = 2, 3
    training_seconds = 60.0
    training_images = 16_000
    identity = Identity("echo", "44")

    def sample(self, z, text_embedding):
        colour = text_embedding / 4 + z.mean(dim=1, keepdim=True) / 8
        return colour[:, :, None, None].expand(-1, -1, 4, 4)

    def check_encoder(self, identity):
        if identity.name == "another" or identity.digest == "12":
            raise InputError("It must be given texts by colours.")

    def to(self, device):
        return self


class WideText(EchoText):
    text_dim = 9


@pytest.fixture
def models():
    groups = {
        f"baselines.optimisation.{name}": SEARCH for name in ("strong", "article")
    }
    groups["baselines.optimisation.refine"] = replace(SEARCH, start="samples")
    return Models(
        generator=ColourGenerator(),
        encoder=ColourEncoder(),
        priors={"prior": make_prior(0.5)},
        latent_repeats=[2],
        latent_batch_size=64,
        image_batch_size=64,
        device="cpu",
        groups={"sampling": make_sampling(), **groups},
        timing_guidance_scale=2.0,
        training_pairs=make_colour_pairs(),
        reference_images=U8,
        reference_z=np.zeros((3, 2, 3), np.float32),
        baselines={"lafite": EchoText()},
    )


def build(models, kind, name="row", **settings):
    return KINDS[kind].build(RowSpec(name, kind, settings), models, make_queries())


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind not in ("external", "clip2gan")]
)
def test_a_row_answers_and_is_timed_if_it_is_made_from_text(models, kind):
    if kind == "styleclip":
        groups = {**models.groups, "baselines.optimisation.styleclip": SEARCH}
        models = replace(models, groups=groups)
    row = build(models, kind)
    samples = row.method.sample(make_queries(), num_samples=2, seed=0)
    images = row.method.synthesise(samples.flatten(0, 1))
    assert images.shape == (6, 3, 4, 4)
    assert row.method.gives_w == (kind not in ("reference", "lafite"))
    if row.method.gives_w:
        assert samples.shape == (3, 2, 2, 3)
    assert (row.timed is None) == (kind in ("reference", "generator_bound"))
    json.dumps([dict(row.settings), dict(row.made_with)])


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("nearest_pair", {"training_pairs": None}, "Run the pipeline data_generation"),
        ("reference", {"reference_images": None}, "no reference_images. Add pictures"),
        ("generator_bound", {"reference_z": None}, "no reference_z. Add z that"),
        (
            "generator_bound",
            {"reference_z": np.zeros((2, 4, 3))},
            r"3 or more, .*\[2, 4",
        ),
        (
            "generator_bound",
            {"reference_z": np.zeros((3, 4, 5))},
            r"ces, 3\], got \[3, 4",
        ),
        (
            "generator_bound",
            {"reference_z": np.zeros((12, 3))},
            r"ces, 3\], got \[12, 3",
        ),
        (
            "reference",
            {"reference_images": U8[:2]},
            r"3 or more, .* uint8 \[2, 2, 4, 4, 3",
        ),
        ("reference", {"reference_images": U8[0]}, r"got uint8 \[2, 4, 4, 3\]"),
        ("reference", {"reference_images": U8 / 255}, r"got float64 \[3, 2, 4, 4, 3\]"),
        ("lafite", {"baselines": {}}, "no lafite. Point the catalog entry lafite at"),
        ("lafite", {"baselines": {"lafite": {}}}, "which the pipeline baselines makes"),
        ("lafite", {"baselines": {"lafite": WideText()}}, "takes texts of 9 numbers"),
        ("clip2latent", {"priors": {}}, "Run the pipeline training first"),
        ("refinement", {"priors": {}}, "Run the pipeline training first"),
        ("direct", {"groups": {}}, "no parameters baselines.optimisation.strong"),
    ],
)
def test_what_the_domain_lacks_is_named(models, kind, changes, message):
    with pytest.raises(LackingError, match=message):
        build(replace(models, **changes), kind)


def test_a_row_that_asks_a_student_for_many_steps_is_refused_before_it_is_drawn(models):
    student = make_prior(0.5, condition_inputs=("guidance_scale",))
    student.guidance_range = (1.0, 1.5)
    models = replace(models, priors={"student": student}, timing_guidance_scale=1.5)
    with pytest.raises(InputError, match=r"evaluation.rows.row: A distilled prior has"):
        build(models, "clip2latent", prior="student")
    refined = build(models, "refinement", prior="student")  # has no settings for it
    assert refined.settings["start.num_steps"] == 1
    one = {"prior": "student", "sampler": "ddim", "num_steps": 1}
    build(models, "clip2latent", **one)
    strong = replace(models, timing_guidance_scale=2.0)
    with pytest.raises(InputError, match=r"timing_guidance_scale, row: .* 1 to 1.5 f"):
        build(strong, "clip2latent", **one)


def test_retrieval_in_the_condition_needs_pairs_and_depends_on_them(models):
    without = replace(models, training_pairs=None)
    assert "training_pairs" not in build(without, "clip2latent").made_with
    with pytest.raises(LackingError, match="data_generation"):
        build(without, "clip2latent", retrieval_share=0.5)
    made_with = build(models, "clip2latent", retrieval_share=0.5).made_with
    assert made_with["training_pairs"]["generator"] == "colours@00"


def test_a_row_for_the_texts_of_another_encoder_is_left_out(models):
    encoder = ColourEncoder()
    encoder.identity = Identity("another", "55")
    with pytest.raises(LackingError, match="must be given texts by colours"):
        build(replace(models, encoder=encoder), "lafite")


@pytest.mark.parametrize("scored", ["standard", "upstream"])
def test_how_images_are_scored_leaves_no_row_out(models, scored):
    """LAFITE's texts are those of the encoder as it embeds, whichever scores."""
    encoder = TwoFormsEncoder()
    embeds = encoder.with_preprocess("standard")
    scores = encoder.with_preprocess(scored)
    build(replace(models, encoder=scores, embedder=embeds), "lafite")
    other = encoder.with_preprocess("upstream")
    with pytest.raises(LackingError, match="must be given texts by colours"):
        build(replace(models, encoder=scores, embedder=other), "lafite")


def test_a_shift_needs_the_means_of_the_prior(models):
    build(models, "clip2latent", mean_shift=0.0)
    prior = make_prior(0.5)
    prior.embedding_statistics = None
    with pytest.raises(LackingError, match="does not know the means of images and te"):
        build(replace(models, priors={"prior": prior}), "clip2latent", mean_shift=1.0)


def test_a_setting_out_of_range_names_the_row(models):
    with pytest.raises(InputError, match=r"evaluation.rows.mine: eta must be a number"):
        build(models, "clip2latent", name="mine", eta=3.0)


def test_a_search_climbs_and_shows_its_way(models):
    queries = make_queries()
    method = build(models, "direct", variant="article").method
    samples, way = method.sample_with_trajectory(queries, num_samples=1, seed=0)
    assert list(way.steps) == [0, 10, 40]
    assert torch.equal(way.samples[-1], samples)
    assert torch.equal(samples, method.sample(queries, num_samples=1, seed=0))
    colours = way.samples[:, :, 0, 0]  # [3, 3 prompts, 3], and their own embeddings
    cosine = torch.cosine_similarity(colours, queries.embedding[None], dim=-1).mean(1)
    assert cosine[0] < cosine[1] < cosine[2]
    assert cosine[2] > 0.9


def test_a_start_at_zero_says_where_that_is(models):
    assert not any("w = 0" in text for text in build(models, "direct").caveats)
    row = build(models, "direct", name="mine", start="zero")
    # Random w of this generator are around 0.
    assert row.caveats[0].startswith("mine starts at w = 0, 0.0")
    assert (
        "spreads from the mean of this generator's w, of which 95% lie within 1."
        in (row.caveats[0])
    )
    for kind in ("direct", "refinement"):
        assert "no record was kept" in build(models, kind).caveats[-1]


def test_lafite_says_how_much_training_it_has_had(models):
    said = "The training of gan has seen 16,000 images; that of the original sees "
    row = build(models, "lafite", name="gan")
    assert row.caveats == (f"{said}24,960,000.",)
    unknown = EchoText()
    unknown.training_images = None
    row = build(replace(models, baselines={"lafite": unknown}), "lafite", name="gan")
    assert row.caveats[0].startswith("How many images the training of gan has seen is")


def test_the_shipped_lafite_knows_how_much_training_it_has_had():
    """As many as the shipped settings train it on."""
    shipped = Path(portraits.__file__).parent / "weights/lafite.safetensors"
    conf = Path(__file__).parents[2] / "conf/base/parameters_baselines.yml"
    config = yaml.safe_load(conf.read_text())["baselines"]["lafite"]
    seen = load_generator("lafite", shipped).training_images
    assert seen == config["max_it"] * config["bs"]


def test_what_is_timed_does_not_look_at_its_way(models):
    row = build(models, "direct")
    _, way = row.timed.sample_with_trajectory(make_queries(), num_samples=1, seed=0)
    assert list(way.steps) == []


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("direct", {"start": "mean"}),
        ("direct", {"start": "best_of", "num_candidates": 3}),
        ("styleclip", {}),
        ("refinement", {"start": "mean"}),
        ("clip2latent", {}),
        ("random_w", {}),
        ("lafite", {}),
        ("nearest_pair", {}),
    ],
)
def test_a_row_says_whether_its_answers_to_a_prompt_are_all_the_same(
    models, kind, settings
):
    groups = {**models.groups, "baselines.optimisation.styleclip": SEARCH}
    row = build(replace(models, groups=groups), kind, **settings)
    samples = row.method.sample(make_queries(1), num_samples=3, seed=0)[0]
    is_equal = [torch.equal(one, samples[0]) for one in samples[1:]]
    assert is_equal == [row.one_answer] * 2


def test_refinement_begins_with_the_samples_of_the_prior(models):
    queries = make_queries()
    first = build(models, "clip2latent").method
    row = build(models, "refinement", num_steps=0, record_steps=[0])
    assert isinstance(row.method, Optimisation)
    w = row.method.sample(queries, num_samples=3, seed=7)
    assert torch.equal(w, first.sample(queries, num_samples=3, seed=7))
    assert row.settings["start.num_steps"] == 5
    assert row.settings["num_steps"] == 0
    assert row.made_with == build(models, "clip2latent").made_with


def test_lafite_draws_each_text_with_noise_of_its_own(models):
    method = build(models, "lafite").method
    whole = method.sample(make_queries(), num_samples=4, seed=1)
    part = method.sample(make_queries(num_prompts=2), num_samples=3, seed=1)
    torch.testing.assert_close(part, whole[:2, :3], rtol=0, atol=1e-6)
    images = method.synthesise(whole.flatten(0, 1))[:, :, 0, 0].view(3, 4, 3)
    offset = images - make_queries().embedding[:, None] / 4
    torch.testing.assert_close(offset, offset[..., :1].expand_as(offset))
    assert offset[..., 0].unique().numel() == 12


# --- pictures of other systems


@pytest.fixture
def folder(tmp_path):
    """Two pictures of the last prompt and two of the first, none of the second."""
    colours = {"a": (255, 0, 0), "b": (0, 255, 0), "c/d": (0, 0, 255), "e": (9, 9, 9)}
    (tmp_path / "c").mkdir()
    for name, colour in colours.items():
        Image.new("RGB", (6, 4), colour).save(tmp_path / f"{name}.png")
    rows = [("b.png", TEXTS[2]), ("a.png", f" {TEXTS[0]} "), ("c/d.png", TEXTS[2])]
    rows += [("e.png", TEXTS[0]), ("e.png", "a prompt of no one")]
    lines = ["file_name,prompt", *(f'{name},"{text}"' for name, text in rows)]
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    return tmp_path


def test_pictures_of_another_system_are_answers_in_their_order(models, folder, caplog):
    row = build(models, "external", folder=str(folder))
    assert row.prompts == [0, 2]
    assert row.timed is None
    queries = make_queries().take([0, 2])
    samples = row.method.sample(queries, num_samples=5, seed=0)
    images = row.method.synthesise(samples.flatten(0, 1))
    assert images.shape == (4, 3, 4, 4)  # the middle squares
    colours = (images[:, :, 0, 0] + 1) * 127.5
    expected = [[255, 0, 0], [9, 9, 9], [0, 255, 0], [0, 0, 255]]
    np.testing.assert_allclose(colours, expected, atol=1e-4)
    assert "no picture of 1 of 3 prompts, the first: '-1 0.5 0'" in caplog.text


def test_a_table_in_lines_of_json_says_the_same(models, folder):
    first = build(models, "external", folder=str(folder))
    (folder / "metadata.csv").unlink()
    rows = [{"file_name": n, "text": TEXTS[2]} for n in ("b.png", "c/d.png")]
    rows += [{"file_name": n, "text": TEXTS[0]} for n in ("a.png", "e.png")]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert build(models, "external", folder=str(folder)).made_with == first.made_with


def test_other_pictures_are_other_answers(models, folder):
    before = build(models, "external", folder=str(folder)).made_with
    Image.new("RGB", (6, 4), (1, 2, 3)).save(folder / "a.png")
    assert build(models, "external", folder=str(folder)).made_with != before


def test_a_prompt_with_more_pictures_than_another_keeps_the_first(
    models, folder, caplog
):
    with (folder / "metadata.csv").open("a") as lines:
        lines.write(f"\na.png,{TEXTS[2]}")
    row = build(models, "external", folder=str(folder))
    samples = row.method.sample(make_queries(2), num_samples=9, seed=0)
    assert samples.tolist() == [[0, 1], [2, 3]]
    assert "more than 2 pictures; the first 2 of each count" in caplog.text


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, "must have a metadata.csv or metadata.jsonl, got neither"),
        ("file_name,title\na.png,x", "must have file_name and prompt (or text) in"),
        ("file_name,text\na.png,x", "must have pictures of the 3 prompts of the"),
        ("file_name,text\nz.png,1 0 0", "names 'z.png', which is not in its folder"),
        ("file_name,text\n../x.png,1 0 0", "names '../x.png', which is not in its"),
        ("file_name,text\n\xff\xfe", "must be a table in UTF-8, but cannot be read"),
    ],
)
def test_a_wrong_folder_is_refused(models, folder, table, message):
    (folder.parent / "x.png").write_bytes(b"")
    (folder / "metadata.csv").unlink()
    if table is not None:
        (folder / "metadata.csv").write_bytes(table.encode("latin1"))
    with pytest.raises(InputError, match=re.escape(message)):
        build(models, "external", folder=str(folder))


def test_a_folder_that_is_not_set_or_not_there(models, tmp_path):
    with pytest.raises(InputError, match=r"row.folder must be a folder of pictures"):
        build(models, "external")
    with pytest.raises(LackingError, match=r"which is not there. Put the pictures"):
        build(models, "external", folder=str(tmp_path / "none"))


def test_pictures_must_be_pictures_and_of_one_size(models, folder):
    Image.new("RGB", (8, 8)).save(folder / "a.png")
    method = build(models, "external", folder=str(folder)).method
    with pytest.raises(InputError, match=r"must be of one size, got 4 px, 8 px"):
        method.synthesise(torch.arange(4))
    (folder / "a.png").write_bytes(b"no picture")
    method = build(models, "external", folder=str(folder)).method
    with pytest.raises(InputError, match=r"a.png must be a picture, but cannot be"):
        method.synthesise(torch.arange(4))
