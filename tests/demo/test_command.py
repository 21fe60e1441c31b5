"""The command `demo`: what it refuses, before anything is opened."""

import os
import socket
import sys

import pytest
from click.testing import CliRunner

from clip2latent_kedro.demo.command import demo
from clip2latent_kedro.errors import InputError

pytest.importorskip("gradio", reason="needs Gradio: uv sync --extra demo")

from clip2latent_kedro.demo.launching import launch_page
from clip2latent_kedro.demo.opening import build_page


def run(*arguments):
    """Run the command, and put back the folder that another page has named."""
    kept = {"GRADIO_TEMP_DIR": os.environ.get("GRADIO_TEMP_DIR")}
    return CliRunner(env=kept).invoke(demo, arguments)


def test_without_gradio_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    result = run()
    assert result.exit_code == 2
    assert "uv sync --extra demo" in result.output


def test_help_imports_neither_torch_nor_gradio(tmp_path):
    from processes import run as run_process

    code = (
        "import sys\n"
        "from clip2latent_kedro.demo.command import demo\n"
        "try:\n"
        "    demo(['--help'])\n"
        "finally:\n"
        "    print({'torch', 'gradio', 'kedro'} & set(sys.modules), file=sys.stderr)\n"
    )
    result = run_process([sys.executable, "-c", code])
    assert "--prior" in result.stdout
    assert result.stderr.strip() == "set()"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--model", "nowhere", "--env", "ffhq"], "--model must stand alone"),
        (["--model", "nowhere/at all"], "nowhere/at all"),
        (["--cfg", "nowhere"], "cfg must be the folder of a Kedro project"),
    ],
)
def test_what_cannot_be_opened_is_told_in_a_sentence(arguments, reason):
    result = run(*arguments)
    assert result.exit_code == 2
    assert reason in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"images": 0}, "limits.images must be"),
        ({"images": 65}, "limits.images must be"),
        ({"examples": "nowhere.txt"}, "--examples must be a text file"),
        ({"examples": "empty.txt"}, "--examples must hold a prompt a line"),
    ],
)
def test_options_of_the_page_are_checked(
    portraits, tmp_path, monkeypatch, options, reason
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(InputError, match=reason):
        build_page(portraits, **options)


def test_a_port_that_is_taken_is_told(portraits):
    page = build_page(portraits)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"cannot be opened .* port {port}"):
            launch_page(page, host="127.0.0.1", port=port, share=False)
