"""Seconds on the demo page, in a real browser, and what ten clients at once find there.

    python benchmarks/demo.py
    python benchmarks/demo.py --options "--prior student" --repeats 9

The page is opened in a process of its own, with `--options` of `kedro demo`; Chromium
drives it, each time with an empty cache. Three times are taken, whole, from the key or
the click to the picture in the window: from opening the page to the first picture, to
16 pictures, and from a slider to its picture. Then clients without a browser draw at
once, and each picture is compared with what one client alone gets for the same prompt
and seed. Prints Markdown: medians, the range, and how busy the machine was.
"""

import argparse
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from clip2latent_kedro.runtime import describe_machine

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "demo"))
sys.path.insert(1, str(Path(__file__).parents[1] / "tests"))

from browser import ARGUMENTS, NAMES, WIDE
from visitor import Visitor

AFTER = ".c2l-after img"
CHANGED = "([place, was]) => document.querySelector(place)?.src !== was"
TEXTS = ("an old man with a beard", "a woman with red hair", "a pirate", "a bald man")
BARS = {
    "first picture after opening": 3.0,
    "16 pictures": 0.5,
    "slider to picture": 0.15,
}


def main() -> None:
    """Print what is measured."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--options", default="", help="of `kedro demo`")
    parser.add_argument("--address", help="of a page here that is open already")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--turns", type=int, default=4, help="requests of a client")
    parser.add_argument("--sessions", type=int, default=120, help="for the memory")
    options = parser.parse_args()
    opening = (
        open_page(shlex.split(options.options))
        if options.address is None
        else nullcontext(find_page(options.address.rstrip("/")))
    )
    with opening as (address, process):
        print(f"{describe_machine()}; load {os.getloadavg()[0]:.1f} of others\n")
        times = measure_browser(address, options.repeats)
        print("| from the click to the picture | median | range | bar |")
        print("|---|---|---|---|")
        for name, found in times.items():
            low, high = min(found), max(found)
            bar = f"{BARS[name]:g} s" if name in BARS else ""
            median = statistics.median(found)
            print(f"| {name} | {median:.3f} s | {low:.3f} to {high:.3f} s | {bar} |")
        print()
        for line in check_clients(address, process, options):
            print(line)


@contextmanager
def open_page(options: list[str]) -> Iterator[tuple[str, psutil.Process]]:
    """Open the page in another process; yield its address and the process."""
    command = [sys.executable, "-m", "clip2latent_kedro.demo", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as opened:
        try:
            assert opened.stdout is not None
            told = next((line for line in opened.stdout if "http://" in line), None)
            if told is None:
                raise SystemExit("The page could not be opened.")
            yield told.split()[4].rstrip("/"), psutil.Process(opened.pid)
        finally:
            opened.terminate()


def find_page(address: str) -> tuple[str, psutil.Process]:
    """Return the address of a page that is open on this machine, and its process."""
    for found in psutil.net_connections("tcp"):
        if found.status == "LISTEN" and found.laddr.port == urlsplit(address).port:
            return address, psutil.Process(found.pid)
    raise SystemExit(f"No page is open at {address}.")


def measure_browser(address: str, repeats: int) -> dict[str, list[float]]:
    """Return the seconds of each thing that a visitor waits for."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        raise SystemExit(f"This needs a Chromium: one of {', '.join(NAMES)}.")
    times: dict[str, list[float]] = {name: [] for name in BARS}
    times["16 pictures, of it the drawing"] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        for _ in range(repeats):
            context = browser.new_context(viewport=WIDE)
            visit(context.new_page(), address, times)
            context.close()
        browser.close()
    return times


def visit(page: Any, address: str, times: dict[str, list[float]]) -> None:
    """Do once what is timed."""
    began = time.perf_counter()
    page.goto(address)
    draw = page.get_by_role("button", name="Draw", exact=True)
    draw.click()
    page.locator("button.c2l-tile").first.wait_for()
    times["first picture after opening"].append(time.perf_counter() - began)
    page.locator(AFTER).wait_for()

    number = page.get_by_label("number input for Pictures")
    number.fill("16")
    number.press("Tab")
    before = page.locator(AFTER).get_attribute("src")
    page.get_by_role("button", name="New seed").click()
    page.wait_for_timeout(500)

    def is_there() -> None:
        draw.click()
        page.wait_for_function(
            "was => document.querySelectorAll('button.c2l-tile').length === 16"
            " && document.querySelectorAll('.c2l-waiting').length === 0"
            " && document.querySelector('.c2l-after img').src !== was",
            arg=before,
        )

    times["16 pictures"].append(seconds_of(is_there))
    words = page.locator("#c2l-line").inner_text()  # 16 pictures in 0.31 s, seed 5
    drawing = float(words.split(" in ")[1].split()[0])
    times["16 pictures, of it the drawing"].append(drawing)

    slider = page.locator("#c2l-editing input[type=range]:visible").first
    slider.focus()
    for _ in range(5):
        before = page.locator(AFTER).get_attribute("src")

        def is_moved(was: str = before) -> None:
            page.keyboard.press("ArrowRight")
            page.wait_for_function(CHANGED, arg=[AFTER, was])

        times["slider to picture"].append(seconds_of(is_moved))
        page.wait_for_timeout(200)


def seconds_of(act: Callable[[], None]) -> float:
    """Return how long something takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def check_clients(
    address: str, process: psutil.Process, options: argparse.Namespace
) -> Iterator[str]:
    """Yield what clients without a browser find."""
    config = Visitor(address).config

    def ask(visitor: Visitor, number: int) -> Any:
        changes = {
            "Prompt": TEXTS[number % len(TEXTS)],
            "Seed": number,
            "Pictures": 1 + number % 6,
            "Best first": False,
        }
        return visitor.press("Draw", changes=changes)

    def visit_all(client: int) -> list[Any]:
        visitor = Visitor(address, config)
        first = client * options.turns
        return [ask(visitor, first + turn) for turn in range(options.turns)]

    began = time.perf_counter()
    with ThreadPoolExecutor(options.clients) as pool:
        together = [
            a for found in pool.map(visit_all, range(options.clients)) for a in found
        ]
    seconds = time.perf_counter() - began
    alone = Visitor(address, config)
    mixed = sum(
        answer.error is not None or answer.pictures != ask(alone, number).pictures
        for number, answer in enumerate(together)
    )
    pictures = sum(len(answer.pictures) for answer in together if answer.outputs)
    yield (
        f"{options.clients} clients at once, {len(together)} requests, {pictures} "
        f"pictures in {seconds:.1f} s; {mixed} differ from those of one client alone."
    )

    def memory() -> float:
        return float(process.memory_info().rss / 2**20)

    sizes = [memory()]
    for _ in range(2):
        for number in range(options.sessions // 2):
            ask(Visitor(address, config), number)
        sizes.append(memory())
    yield (
        f"Memory of the page: {sizes[0]:.0f} MiB, after {options.sessions // 2} more "
        f"visitors {sizes[1]:.0f} MiB, after {options.sessions} {sizes[2]:.0f} MiB."
    )

    def join(number: int) -> Any:
        return ask(Visitor(address, config), number)

    with ThreadPoolExecutor(80) as pool:
        answers = list(pool.map(join, range(80)))
    told = {answer.error for answer in answers if answer.status == 503}
    refused = sum(answer.status == 503 for answer in answers)
    drawn = sum(answer.outputs is not None for answer in answers)
    yield (
        f"80 requests at once: {drawn} drawn, {refused} refused by the queue, "
        f"{80 - drawn - refused} told that the page is busy. {' '.join(sorted(told))}"
    )


if __name__ == "__main__":
    main()
