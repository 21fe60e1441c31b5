import pytest

from .method_world import make_models


@pytest.fixture
def models():
    return make_models()
