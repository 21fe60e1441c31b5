"""Models of another package, by docs/own_models.md, from pairs to report."""

import os
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from projects import ROOT, kedro, latest, refusal

PACKAGE = ROOT / "tests" / "own_models"
PAGE = (ROOT / "docs" / "own_models.md").read_text()
BLOBS = {"kind": "blobs"}
EIGHT = {"kind": "eight"}
NONE = {"type": "clip2latent_kedro.datasets.NothingDataset"}
MY_DECODER = """
class MyDecoder(torch.nn.Linear):
    def __init__(self):
        super().__init__(100, 3 * 64 * 64)

    def forward(self, z):
        return torch.tanh(super().forward(z)).reshape(-1, 3, 64, 64)
"""


def _block(language, content):
    """Return the one block of the page in a language that holds a text."""
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    (block,) = [block for block in blocks if content in block]
    return block


def _install(folder, entry_points):
    """Put the metadata of an installed package into a folder of `sys.path`."""
    metadata = folder / "my_package-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\n")
    (metadata / "entry_points.txt").write_text(entry_points)


@pytest.fixture
def mine(project_path, kedro_run, monkeypatch):
    """`kedro run --env=mine` within this process, with what the page wants in conf."""
    entry_points = (
        "[clip2latent_kedro.generators]\nblobs = own_package.models:load_generator\n"
        "gone = own_package.models:lod\ndiscs = own_package.discs:load\n"
        "[clip2latent_kedro.encoders]\neight = own_package.models:load_encoder\n"
    )
    _install(project_path / "site", entry_points)
    monkeypatch.syspath_prepend(project_path / "site")
    monkeypatch.syspath_prepend(PACKAGE)

    def prepare(*, generator=BLOBS, encoder=EIGHT, data=None, **entries):
        models = {"generator": generator, "encoder": encoder}
        catalog = {
            role: {
                "type": "clip2latent_kedro.datasets.ModelDataset",
                "role": role,
                **model,
            }
            for role, model in models.items()
        }
        parameters = yaml.safe_load(Path("conf/test/parameters.yml").read_text())
        parameters["data"] |= data or {"latent_dim": 24, "latent_repeats": [5]}
        Path("conf/mine").mkdir()
        for name, content in (
            ("catalog_models", catalog | entries),
            ("parameters", parameters),
            ("globals", {"data_root": "data/mine"}),
        ):
            Path(f"conf/mine/{name}.yml").write_text(yaml.safe_dump(content))

    def start(*arguments, **models):
        prepare(**models)
        return kedro_run("--env=mine", *arguments)

    start.prepare = prepare
    return start


PROMPTS = ["red", "green", "blue", "red left", "blue right", "green high", "red low"]
BANK = ["green left", "blue high", "red right", "green low"]
SMALL = {  # over conf/test: a prior that is good enough to be told by its pictures
    "data": {
        "latent_dim": 128,
        "latent_repeats": [3],
        "bs": 128,
        "embed_noise_scale": 0.5,  # an embedding of 8 numbers bears no more
    },
    "data_generation": {"n_samples": 2048, "samples_per_shard": 1024},
    "model": {"network": {"dim": 128, "depth": 2}},
    "train": {"max_it": 500, "val_it": 500, "save_it": 500},
    "sampling": {"num_steps": 10},
    "coverage": {"num_images": 1000},
    "evaluation": {
        "num_prompts": None,
        "num_samples": 4,
        "timing_prompt": "red",
        "timing_seconds": 0.0,
        "rows": dict.fromkeys(["clip2latent_1000", "styleclip", "refinement_20"]),
    },
}


def _discs(**generator):
    """The catalog of a domain that is all one's own, by docs/own_models.md."""
    entry = "clip2latent_kedro.datasets"
    models = {"generator": {"kind": "discs", **generator}, "encoder": {"kind": "words"}}
    return {
        **{
            role: {"type": f"{entry}.ModelDataset", "role": role, **model}
            for role, model in models.items()
        },
        **{
            name: {
                "type": f"{entry}.PromptTableDataset",
                "filepath": f"conf/mine/{name}.txt",
            }
            for name in ("prompts", "prompt_bank")
        },
        **dict.fromkeys(["judge", "reference_images", "held_out_encoder"], NONE),
    }


def test_a_domain_of_ones_own_goes_from_pairs_to_report(
    project_path, kedro_run, monkeypatch
):
    """A conditional generator, and an encoder of 8 numbers, in another package."""
    site = project_path / "site"
    _install(
        site,
        "[clip2latent_kedro.generators]\ndiscs = own_package.discs:load\n"
        "[clip2latent_kedro.encoders]\nwords = own_package.words:load\n",
    )
    parameters = yaml.safe_load(Path("conf/test/parameters.yml").read_text())
    for group, settings in SMALL.items():
        parameters[group] |= settings
    mine = Path("conf/mine")
    mine.mkdir()
    for name, texts in (("prompts", PROMPTS), ("prompt_bank", BANK)):
        (mine / f"{name}.txt").write_text("\n".join(texts))
    for name, content in (
        ("catalog_models", _discs(options={"class_label": 1})),
        ("parameters", parameters),
        ("globals", {"data_root": "data/mine"}),
    ):
        (mine / f"{name}.yml").write_text(yaml.safe_dump(content))

    paths = os.pathsep.join(map(str, (site, PACKAGE)))
    done = kedro("run", "--env=mine", env={**os.environ, "PYTHONPATH": paths})
    assert done.returncode == 0, done.stderr
    scores = pd.read_csv(latest("data/mine", "scores.csv")).set_index("method")
    assert scores.loc["clip2latent_fast", "clip_score"] > 0.7
    assert abs(scores.loc["random_w", "clip_score"]) < 0.3
    assert {"clip2latent_one_step", "direct", "nearest_pair"} <= {*scores.index}
    left_out = {"reference", "generator_bound", "lafite", "clip2gan"}
    assert not {*scores.index} & left_out
    log = " ".join((done.stdout + done.stderr).split())
    for name in left_out:
        assert f"Without the row {name}:" in log
    assert latest("data/mine", "report.html").stat().st_size > 1000

    for path in (site, PACKAGE):
        monkeypatch.syspath_prepend(path)
    result = kedro_run("--env=mine", "-p", "coverage")
    assert result.exit_code == 0, result.output
    prompts = pd.read_csv(latest("data/mine", "coverage/prompts.csv"))
    assert (prompts.nearest_clip_score > 0.8).all()  # the generator makes all of them
    assert prompts.row_clip_score.notna().all()


def test_the_class_of_a_conditional_generator_is_part_of_the_pairs(mine, project_path):
    """Pairs of one class are not taken for those of another."""
    data = {"latent_dim": 128, "latent_repeats": [3]}

    def make(label):
        shutil.rmtree("conf/mine", ignore_errors=True)
        discs = {"kind": "discs", "options": {"class_label": label}}
        return mine("-p", "data_generation", generator=discs, data=data)

    assert make(0).exit_code == 0
    assert "generator" in refusal(make(3))


def test_the_decoder_of_the_page_makes_pairs(project_path, kedro_run, monkeypatch):
    package = project_path / "site" / "my_package"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    source = _block("python", "# my_package/decoder.py") + MY_DECODER
    (package / "decoder.py").write_text(source)
    toml = _block("toml", "[project.entry-points")
    lines = re.sub(r'\[project\.entry-points\."(.*)"\]', r"[\1]", toml)
    _install(project_path / "site", lines.replace('"', ""))
    monkeypatch.syspath_prepend(project_path / "site")

    layers = torch.nn.Linear(100, 3 * 64 * 64)
    Path("models").mkdir()
    torch.save(layers.state_dict(), "models/my_decoder.pt")
    files = _block("yaml", "my_decoder")
    Path("conf/mine").mkdir()
    for file in re.split(r"^# (?=conf/)", files, flags=re.MULTILINE)[1:]:
        path, _, content = file.partition("\n")
        Path(path).write_text(content)
    params = "--params=data_generation.n_samples:64"
    result = kedro_run("--env=mine", "-p", "data_generation", params)
    assert result.exit_code == 0, result.output
    assert Path("data/mine/latent_statistics.json").is_file()


BROKEN = [
    (
        {"generator": {**BLOBS, "options": {"drawn": [48, 64]}}},
        "images of blobs must have shape [2, 3, 48, 48], got [2, 3, 48, 64]",
    ),
    (
        {"generator": {**BLOBS, "options": {"side": 100, "drawn": [48, 48]}}},
        "images of blobs must have shape [2, 3, 100, 100], got [2, 3, 48, 48]",
    ),
    (
        {"generator": {**BLOBS, "options": {"colours": 1}}},
        "images of blobs must have shape [2, 3, 48, 48], got [2, 1, 48, 48]",
    ),
    (
        {"generator": {**BLOBS, "options": {"w_width": 12}}},
        "w of blobs must have shape [2, 5, 24], got [2, 5, 12]",
    ),
    (
        {"generator": {**BLOBS, "options": {"scale": float("nan")}}},
        "images of blobs must be finite",
    ),
    (
        {"generator": {**BLOBS, "options": {"lacking": "w_avg"}}},
        "interfaces.Generator, got a Blobs without w_avg",
    ),
    ({"generator": {"kind": "gone"}}, "gone = 'own_package.models:lod'"),
    ({"generator": {"kind": "bolbs"}}, "kind must be one of"),
    ({"data": {"latent_repeats": [4]}}, "data.latent_repeats must add up to the 5"),
    (
        {"data": {"latent_repeats": [5]}},
        "data.latent_dim must be the width of w of blobs, 24, got 128",
    ),
    (
        {"encoder": {**EIGHT, "options": {"embed_dim": 16}}},
        "embeddings of images of eight must have shape [2, 16], got [2, 8]",
    ),
    (
        {"encoder": {**EIGHT, "options": {"text_dim": 7}}},
        "embeddings of texts of eight must have shape",
    ),
    ({"encoder": {**EIGHT, "options": {"texts": "none"}}}, "does not know '"),
    (
        {"encoder": {**EIGHT, "options": {"texts": "none"}}, "prompt_bank": NONE},
        "does not know '",
    ),
    ({"encoder": {**EIGHT, "options": {"texts": "closed"}}}, "does not know 'a photo'"),
    ({"prompts": NONE}, "got 0 rows"),
]


@pytest.mark.parametrize(("models", "message"), BROKEN)
def test_what_cannot_work_is_refused_before_anything_is_made(mine, models, message):
    assert message in refusal(mine(**models))
    assert not Path("data").exists()


def test_an_encoder_without_text_still_makes_pairs(mine):
    encoder = {**EIGHT, "options": {"texts": "none"}}
    result = mine("-p", "data_generation", encoder=encoder)
    assert result.exit_code == 0, result.output
