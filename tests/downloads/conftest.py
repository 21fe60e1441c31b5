import pytest
from downloads.servers import FileServer


@pytest.fixture
def server():
    with FileServer() as server:
        yield server
