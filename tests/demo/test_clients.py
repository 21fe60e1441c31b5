"""Ten visitors at once: each gets its own pictures, and what is kept stays bounded."""

from concurrent.futures import ThreadPoolExecutor

from demo.visitor import Visitor

from clip2latent_kedro.demo.forms import read_draw
from clip2latent_kedro.demo.pieces import picture_address

TEXTS = ("an old man", "a woman with red hair", "a pirate", "a bald man", "a child")


def draw_alone(service, values):
    """Return the addresses of pictures that nobody else asks for meanwhile."""
    *_, last = service.draw("alone", read_draw(values))
    service.sessions.forget("alone")
    return [picture_address(image) for image in last.drawing.images]


def test_ten_at_once_get_the_pictures_that_each_would_get_alone(opened):
    page, address = opened
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
    defaults = page.service.defaults
    for number, found in enumerate(answers):
        for turn, answer in enumerate(found):
            values = [
                TEXTS[number % len(TEXTS)],
                "",
                0,
                1 + (number + turn) % 6,
                defaults.guidance_scale,
                defaults.psi,
                defaults.sampler,
                defaults.num_steps,
                100 * turn + number,
                False,
                "",
                ["fine"],
            ]
            assert answer.error is None
            assert answer.pictures == draw_alone(page.service, values)
    assert len({each for found in answers for a in found for each in a.pictures}) > 50
    for visitor in visitors:
        page.service.sessions.forget(visitor.name)


def test_a_queue_that_is_full_says_so(opened):
    """The page has places for some; who comes after them is told at once."""
    page, address = opened
    visitor = Visitor(address)
    queue = page.blocks._queue
    was, queue.max_size = queue.max_size, 0
    try:
        answer = visitor.press("Draw")
    finally:
        queue.max_size = was
    assert answer.status == 503
    assert "full" in answer.error
