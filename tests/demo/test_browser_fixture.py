from browser import watch


def test_the_browser_shows_a_page_and_tells_what_it_says(page):
    seen = watch(page)
    page.set_content("<h1>One</h1><script>console.error('two'); nothing()</script>")
    assert page.get_by_role("heading").inner_text() == "One"
    assert seen.errors[0] == "two"
    assert "nothing" in seen.errors[1]
    assert not seen.foreign


def test_what_is_asked_for_elsewhere_is_told_and_not_found(page):
    seen = watch(page)
    page.set_content("<img src='http://example.org/a.png' alt=''>")
    page.wait_for_function("document.images[0].complete")
    assert seen.foreign == ["http://example.org/a.png"]
    assert page.evaluate("document.images[0].naturalWidth") == 0
