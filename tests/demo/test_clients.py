"""Ten visitors at once: each gets its own pictures, and what is kept stays bounded."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from demo.demo_world import make_service
from demo.visitor import Visitor

from clip2latent_kedro.demo.pieces import picture_address

TEXTS = ("1 0 0", "0 1 0", "0 0 1", "1 1 0", "0 1 1")  # colours of a small world


@pytest.fixture(scope="module")
def colours():
    """The page of a world where each text and seed has its own colours."""
    pytest.importorskip("gradio", reason="needs Gradio: uv sync --extra demo")
    from clip2latent_kedro.demo.launching import launch_page
    from clip2latent_kedro.demo.page import Page

    page = Page(make_service(sessions=12), TEXTS, "", "colours")
    yield page, launch_page(page, host="127.0.0.1", port=None, share=False)
    page.blocks.close(verbose=False)


def draw_alone(service, request):
    """Return the addresses of pictures that nobody else asks for meanwhile."""
    *_, last = service.draw("alone", request)
    service.sessions.forget("alone")
    return [picture_address(image) for image in last.drawing.images]


def test_ten_at_once_get_the_pictures_that_each_would_get_alone(colours):
    page, address = colours
    config = Visitor(address).config
    visitors = [Visitor(address, config) for _ in range(10)]

    def visit(number):
        visitor, found = visitors[number], []
        for turn in range(2):
            changes = {
                "Prompt": TEXTS[number % len(TEXTS)],
                "Seed": 100 * turn + number,
                "Pictures": 1 + (number + turn) % 6,
                "Best first": False,
            }
            found.append(visitor.press("Draw", changes=changes))
        return found

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(visit, range(10)))
    for number, found in enumerate(answers):
        for turn, answer in enumerate(found):
            asked = replace(
                page.service.defaults,
                prompt=TEXTS[number % len(TEXTS)],
                seed=100 * turn + number,
                num_images=1 + (number + turn) % 6,
            )
            assert answer.error is None
            assert answer.pictures == draw_alone(page.service, asked)
    assert len({each for found in answers for a in found for each in a.pictures}) > 50


def test_many_visitors_are_not_kept_for_ever(colours):
    page, address = colours
    config = Visitor(address).config
    for _ in range(20):
        answer = Visitor(address, config).press("Draw", changes={"Pictures": 1})
        assert answer.error is None
    assert len(page.service.sessions) <= 12


def test_a_queue_that_is_full_says_so(colours):
    """The page has places for some; who comes after them is told at once."""
    page, address = colours
    visitor = Visitor(address)
    queue = page.blocks._queue
    was, queue.max_size = queue.max_size, 0
    try:
        answer = visitor.press("Draw")
    finally:
        queue.max_size = was
    assert answer.status == 503
    assert "full" in answer.error
