"""The page, opened to visitors."""

import gradio as gr
from starlette.middleware import Middleware

from clip2latent_kedro.demo.controls import FOLDER
from clip2latent_kedro.demo.gate import Gate
from clip2latent_kedro.demo.page import Page
from clip2latent_kedro.errors import InputError

ACCENT, ACCENT_DARK = "#2f6feb", "#79a6ff"
FONT = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]


def make_theme() -> gr.themes.Base:
    """Return the look of Gradio's own controls; fonts are the visitor's."""
    return gr.themes.Base(
        primary_hue="blue",
        neutral_hue="slate",
        radius_size="lg",
        font=FONT,
        font_mono=["ui-monospace", "monospace"],
    ).set(
        button_primary_background_fill=ACCENT,
        button_primary_background_fill_hover="#2560d0",
        button_primary_background_fill_dark=ACCENT_DARK,
        button_primary_background_fill_hover_dark="#93b7ff",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#0c1018",
        block_info_text_color="#525c6f",
        block_info_text_color_dark="#a9b3c6",
        block_label_text_color="#1b2130",
        block_label_text_color_dark="#e8ebf2",
        block_title_text_color="#1b2130",
        block_title_text_color_dark="#e8ebf2",
        slider_color=ACCENT,
        slider_color_dark=ACCENT_DARK,
    )


def launch_page(page: Page, *, host: str, port: int | None, share: bool) -> str:
    """Open the page to visitors, in threads of its own, and return its address.

    Args:
        page: Built.
        host: Address to listen at.
        port: None for the first that is free from 7860 on.
        share: Whether Gradio's servers lead others here.

    Raises:
        InputError: If the port is taken or the address is none of this machine's.
    """
    limits = page.service.limits
    page.blocks.queue(max_size=limits.waiting, api_open=False)
    try:
        _, local, shared = page.blocks.launch(
            server_name=host,
            server_port=port,
            share=share,
            theme=make_theme(),
            css_paths=[FOLDER / "page.css"],
            allowed_paths=[],
            max_file_size=limits.upload_bytes,
            show_error=False,
            footer_links=[],
            ssr_mode=False,
            app_kwargs={"middleware": [Middleware(Gate, limits=limits)]},
            mcp_server=False,
            run_history=False,
            enable_monitoring=False,
            state_session_capacity=4 * limits.sessions,
            prevent_thread_lock=True,
            quiet=True,
        )
    except OSError as error:
        msg = (
            f"The page cannot be opened at {host}, port {port or 'any'}: "
            f"{str(error).splitlines()[0]} Choose another --host or --port."
        )
        raise InputError(msg) from error
    return str(shared or local)
