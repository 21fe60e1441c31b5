"""An object store on this machine that answers as S3 does."""

import contextlib
import uuid

import pytest


@pytest.fixture(scope="session")
def s3_server():
    """The address of a server that keeps what it is given in memory."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server")
    thread = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    thread.start()
    host, port = thread.get_host_and_port()
    yield f"http://{host}:{port}"
    thread.stop()


@pytest.fixture
def s3(s3_server, monkeypatch):
    """The address of a new bucket; variables of the environment open it."""
    import s3fs

    # Filesystems are kept by their arguments, and would keep another test's server.
    s3fs.S3FileSystem.clear_instance_cache()
    for name, value in environment(s3_server).items():
        monkeypatch.setenv(name, value)
    bucket = f"bucket-{uuid.uuid4().hex[:8]}"
    s3fs.S3FileSystem().mkdir(bucket)
    yield f"s3://{bucket}"
    with contextlib.suppress(FileNotFoundError):
        s3fs.S3FileSystem().rm(bucket, recursive=True)


def environment(server):
    """Return what a process needs to find the server, and nothing else, as S3."""
    return {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server,
    }
