import pytest
import torch
from worlds.faces.test_readers import faces, generator  # noqa: F401

from clip2latent_kedro.downloads.packages import package_folder
from clip2latent_kedro.errors import InputError
from clip2latent_kedro.interfaces import CertainJudge, SubjectDetector
from clip2latent_kedro.study.judging import judge_images
from clip2latent_kedro.worlds.faces.attributes import ATTRIBUTES
from clip2latent_kedro.worlds.faces.judge import load_faces_judge

pytestmark = pytest.mark.skipif(
    package_folder("gan_face_generate") is None, reason="needs the extra faces"
)


def test_the_judge_says_all_that_the_study_asks(faces):  # noqa: F811
    judge = load_faces_judge(None, {})
    assert isinstance(judge, CertainJudge)
    assert isinstance(judge, SubjectDetector)
    judgement = judge_images(judge, faces)
    assert torch.equal(judgement.values, judge.classify(faces))
    table = judge.probabilities(faces)
    assert [rows.shape[1] for rows in table] == [len(v) for v in ATTRIBUTES.values()]
    for rows in table:
        torch.testing.assert_close(rows.sum(1), torch.ones(len(faces)))
    assert judgement.detected.float().mean() > 0.5
    alone = judge.probabilities(faces[3:4])
    for rows, one in zip(table, alone, strict=True):
        torch.testing.assert_close(rows[3:4], one, atol=1e-5, rtol=0)


def test_a_mirrored_face_looks_the_other_way(faces):  # noqa: F811
    judge = load_faces_judge(None, {})
    pose = list(ATTRIBUTES).index("pose")
    offsets = judge.reader.pose.offsets(faces)
    mirrored = judge.reader.pose.offsets(faces.flip(3))
    turned = offsets.abs() > 0.1
    assert turned.any()
    assert (mirrored[turned].sign() == -offsets[turned].sign()).float().mean() > 0.8
    assert judge.classify(faces)[offsets > 0.12, pose].eq(2).all()


def test_it_takes_no_file_and_no_option(tmp_path):
    with pytest.raises(InputError, match="takes no filepath and no options"):
        load_faces_judge(tmp_path, {})
    with pytest.raises(InputError, match=r"got None and \['size'\]"):
        load_faces_judge(None, {"size": 1})
