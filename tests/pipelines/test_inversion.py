"""The pipeline, run by Kedro in a world of three colours."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pipelines.world import run_pipeline, written
from world import ColourEncoder, ColourGenerator, make_data, make_prior, make_sampling

from clip2latent_kedro.datasets import ArrayFolderDataset, PictureFolderDataset
from clip2latent_kedro.editing.inversion.config import InversionConfig
from clip2latent_kedro.editing.inversion.latent_files import read_latents
from clip2latent_kedro.editing.inversion.pictures import InputPictures
from clip2latent_kedro.encoders.pixels import PixelLoss
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.methods.method import UnavailableError
from clip2latent_kedro.pipelines.inversion import create_pipeline

CONFIG = {"start": "mean", "num_steps": 150, "perceptual": "pixels", "batch_size": 2}
COLUMNS = ["picture", "start", "space", "steps", "pixel_rmse", "perceptual"]
COLUMNS += ["identity", "clip", "seconds", "file", "problem"]


@pytest.fixture
def run(tmp_path):
    def run(pictures, resume=True, seed=0, generator=None, **settings):
        given = {
            "params:inversion": InputPictures(pictures),
            "params:editing.inversion": InversionConfig(**{**CONFIG, **settings}),
            "params:data": make_data(),
            "params:sampling": make_sampling(),
            "params:device": "cpu",
            "params:seed": seed,
            "params:resume": resume,
            "generator": generator or ColourGenerator(),
            "encoder": ColourEncoder(),
            "identity_encoder": ColourEncoder(),
            "inversion_prior": make_prior(0.5),
            "perceptual": PixelLoss(),
            "image_inverter": None,
        }
        latents = {"filepath": str(tmp_path / "latents")}
        stored = {
            "inversion_progress": ArrayFolderDataset(**latents),
            "inversion_latents": ArrayFolderDataset(**latents),
            "inversion_pictures": PictureFolderDataset(
                filepath=str(tmp_path / "pictures")
            ),
        }
        return run_pipeline(create_pipeline(), given, stored)

    return run


@pytest.fixture
def faces(tmp_path):
    folder = tmp_path / "faces"
    folder.mkdir()
    for name, colour in (("a", (200, 90, 90)), ("b", (60, 160, 100))):
        Image.new("RGB", (12, 9), colour).save(folder / f"{name}.png")
    return folder


def colour_of(row, tmp_path):
    """Return the colour of a row's stored w, on the scale of a file's pixels."""
    path = tmp_path / "latents" / row["file"]
    w = read_latents(path, ColourGenerator()).w
    return ((w.mean(dim=(0, 1)) + 1) * 127.5).numpy()


def test_a_folder_of_pictures_becomes_latents(run, faces, tmp_path):
    catalog = run(str(faces))
    table = catalog.load("inversion_table")
    assert list(table.columns) == COLUMNS
    assert table["picture"].tolist() == [str(faces / "a.png"), str(faces / "b.png")]
    assert table["problem"].isna().all()
    assert (table["pixel_rmse"] < 0.01).all()
    assert (table["identity"] > 0.999).all()
    colours = [colour_of(row, tmp_path) for row in table.to_dict("records")]
    np.testing.assert_allclose(colours, [(200, 90, 90), (60, 160, 100)], atol=1)
    pictures = catalog.load("inversion_pictures")
    for row in table.to_dict("records"):
        picture = pictures[row["file"].removesuffix(".npz")]()
        assert picture.labels["picture"] == row["picture"]
        assert picture.labels["pixel_rmse"] == f"{row['pixel_rmse']:.4f}"
    grid = catalog.load("inversion_grid")
    assert (grid == (200, 90, 90)).all(axis=-1).any()


def save_modes(folder):
    """Pictures of one grey, half as wide as high where EXIF turns them."""
    grey = np.full((8, 8), 150, np.uint8)
    Image.fromarray(grey).save(folder / "grey.png")
    alpha = np.full((8, 8, 4), 150, np.uint8)
    alpha[..., 3] = 255
    Image.fromarray(alpha, "RGBA").save(folder / "alpha.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(folder / "deep.png")
    Image.fromarray(grey).convert("P").save(folder / "palette.gif")
    turned = Image.new("RGB", (8, 16), (150, 150, 150))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(folder / "turned.jpg", exif=exif, quality=100)


def test_pictures_of_every_mode_are_read(run, tmp_path):
    folder = tmp_path / "modes"
    folder.mkdir()
    save_modes(folder)
    table = run(str(folder)).load("inversion_table")
    assert len(table) == 5
    colours = [colour_of(row, tmp_path) for row in table.to_dict("records")]
    np.testing.assert_allclose(colours, np.full((5, 3), 150), atol=2)


def test_what_cannot_be_read_is_a_row_of_the_table(run, faces, tmp_path):
    (faces / "c.png").write_bytes(b"nothing")
    empty = tmp_path / "empty"
    empty.mkdir()
    missing = str(tmp_path / "missing.png")
    table = run([str(faces), missing, str(empty)]).load("inversion_table")
    refused = table[table["problem"].notna()]
    assert table["problem"].isna().sum() == 2
    assert sorted(refused["picture"]) == sorted(
        [str(faces / "c.png"), missing, str(empty)]
    )
    assert refused["file"].isna().all()
    with pytest.raises(InputError, match=r"can be read, got none: .*c.png"):
        run(str(faces / "c.png"))
    with pytest.raises(InputError, match=r"got none: there are none\. Use --params"):
        run([])


def test_a_second_run_inverts_what_is_new(run, faces, tmp_path):
    run(str(faces / "a.png"))
    before = written(tmp_path / "latents")
    table = run(str(faces)).load("inversion_table")
    after = written(tmp_path / "latents")
    assert len(before) == 1
    assert {name: after[name] for name in before} == before
    assert len(after) == len(table) == 2
    run(str(faces), resume=False)
    again = written(tmp_path / "latents")
    assert again.keys() == after.keys()
    assert all(again[name] > after[name] for name in after)


def test_other_settings_and_pictures_are_stored_beside(run, faces, tmp_path):
    run(str(faces / "a.png"))
    run(str(faces / "a.png"), lr=0.2)
    run(str(faces / "a.png"), batch_size=7)  # decides nothing
    assert len(written(tmp_path / "latents")) == 2
    Image.new("RGB", (12, 9), (1, 2, 3)).save(faces / "a.png")
    run(str(faces / "a.png"))
    assert len(written(tmp_path / "latents")) == 3


def test_a_killed_run_goes_on(run, faces, tmp_path):
    for name in "cde":
        Image.new("RGB", (9, 9), (90, 60, 30 * ord(name) % 256)).save(
            faces / f"{name}.png"
        )

    class Failing(ColourGenerator):
        left = 2 * 152  # of two batches of two, with the check and the errors of each

        def synthesis(self, w, *, noise_mode="const"):
            if len(w) > 1 or w.requires_grad:
                Failing.left -= 1
            if Failing.left < 0:
                raise KeyboardInterrupt
            return super().synthesis(w)

    whole = run(str(faces), resume=False).load("inversion_table")
    kept = {p.name: p.read_bytes() for p in (tmp_path / "latents").iterdir()}
    for path in (tmp_path / "latents").iterdir():
        path.unlink()
    with pytest.raises(KeyboardInterrupt):
        run(str(faces), generator=Failing())
    assert len(written(tmp_path / "latents")) == 4
    table = run(str(faces)).load("inversion_table")
    assert len(written(tmp_path / "latents")) >= 5
    assert len(kept) == 5
    pd.testing.assert_frame_equal(
        table.drop(columns=["seconds", "file"]), whole.drop(columns=["seconds", "file"])
    )


def test_the_prior_is_a_start(run, faces):
    table = run(str(faces), start="prior", num_steps=0).load("inversion_table")
    assert table["start"].tolist() == ["prior", "prior"]
    assert (table["pixel_rmse"] < 0.5).all()


def test_a_start_that_is_not_there_is_named(run, faces):
    with pytest.raises(UnavailableError, match=r"no image_inverter\. Run"):
        run(str(faces), start="encoder")
