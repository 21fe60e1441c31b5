import pytest

from clip2latent_kedro.downloads import Licence, Source, is_address, read_source
from clip2latent_kedro.errors import InputError

URL = "https://here.org/models/a.pkl"


@pytest.mark.parametrize("place", ["models/a.pkl", "C:\\a.pkl", "/a:b//c", "~/a"])
def test_paths_are_no_addresses(place):
    assert not is_address(place)
    assert Source(place).addresses == ()


@pytest.mark.parametrize("place", [URL, "s3://bucket/a", "file:///a", "memory://a"])
def test_addresses_are(place):
    assert is_address(place)
    assert Source(place).addresses == (place,)


def test_mirrors_are_addresses_or_starts_of_them():
    listed = read_source(URL, {"mirrors": ["https://there.org/a.pkl"]})
    assert listed.addresses == (URL, "https://there.org/a.pkl")
    starts = {
        "https://here.org/": "https://there.org/",
        "https://other.org/": "s3://x/",
    }
    mapped = read_source(URL, {"mirrors": starts}, alternatives=["https://other.org/b"])
    assert mapped.addresses == (
        URL,
        "https://other.org/b",
        "https://there.org/models/a.pkl",
        "s3://x/b",
    )


def test_settings_reach_the_source():
    licence = {"name": "MIT", "address": "https://example.org"}
    settings = {"sha256": "a" * 64, "num_bytes": 5, "licence": licence}
    source = read_source(URL, settings)
    assert source == Source(
        URL, "a" * 64, 5, licence=Licence("MIT", "https://example.org")
    )
    assert read_source(URL) == Source(URL)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sha": "a"}, "download.sha is not a parameter"),
        ({"sha256": "A" * 64}, "64 hexadecimal digits in lower case"),
        ({"num_bytes": -1}, "download.num_bytes must be .*0 or more"),
        ({"licence": {"name": "MIT"}}, "download.licence.address is missing"),
        ({"mirrors": "https://a"}, "download.mirrors must be a list"),
        ({"mirrors": ["a/b"]}, "download.mirrors must be addresses .* got .*a/b"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        read_source(URL, settings)


def test_an_empty_place_is_refused():
    with pytest.raises(InputError, match="must be an address or a path"):
        Source("")


def test_the_cache_is_where_the_user_keeps_such_things(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Source(URL).cached_path().parent == tmp_path / "clip2latent_kedro"
    monkeypatch.delenv("XDG_CACHE_HOME")
    parts = Source(URL).cached_path().parent.parts
    assert parts[-2:] == (".cache", "clip2latent_kedro")
