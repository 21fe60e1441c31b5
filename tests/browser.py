"""A real browser for tests: the Chromium that is installed, headless.

Nothing is downloaded. Tests that ask for `browser` or `page` are skipped, with the
reason, where there is no Chromium or no Playwright to drive it.
"""

import shutil
from dataclasses import dataclass, field

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox",  # which Chromium asks for where it runs as root
    "--disable-dev-shm-usage",
    # No name is found but the own machine's: a page must do without a network.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@dataclass
class Seen:
    """What a page has said and asked for since it was watched.

    Attributes:
        errors: Errors of its scripts, and what they wrote to the console as errors.
        foreign: Addresses it asked for that are not of this machine.
    """

    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium."""
    reason = "needs Playwright: uv sync"
    sync_api = pytest.importorskip("playwright.sync_api", reason=reason)
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"needs a Chromium: none of {', '.join(NAMES)} is installed")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=found, args=list(ARGUMENTS)
        )
        yield launched
        launched.close()


@pytest.fixture
def page(browser):
    """A page in a wide window, with cookies and storage of its own."""
    context = browser.new_context(viewport=WIDE)
    yield context.new_page()
    context.close()


def watch(page):
    """Return what a page will have said and asked for, which fills as it does."""
    seen = Seen()

    def note_request(request):
        own = ("http://127.0.0.1", "http://localhost", "file:", "data:", "blob:")
        if not request.url.startswith(own):
            seen.foreign.append(request.url)

    def note_message(message):
        if message.type == "error":
            seen.errors.append(message.text)

    page.on("request", note_request)
    page.on("console", note_message)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    return seen
