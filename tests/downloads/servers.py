"""A web server of this process that can be told to misbehave."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Handler(BaseHTTPRequestHandler):
    def do_HEAD(self):
        """Answer what Hugging Face's client asks before it fetches."""
        content = self.server.files.get(self.path)
        refused = self.server.failures.get(self.path)
        code = refused.pop(0) if refused else 404 if content is None else 200
        self.send_response(code)
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("ETag", '"first"')
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()

    def do_GET(self):
        server, path = self.server, self.path.partition("?")[0]
        asked = self.headers.get("Range")
        if not path.startswith("/api/"):  # of the hub, which its client may ask
            server.requests.append((path, asked))
        if server.failures.get(path):
            self.send_error(server.failures[path].pop(0))
            return
        content = server.files.get(path)
        if content is None:
            self.send_error(404)
            return
        start = 0
        fits = self.headers.get("If-Range") in (None, server.etag)
        if asked and server.ranges and fits:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            whole = f"{start}-{len(content) - 1}/{len(content)}"
            self.send_header("Content-Range", f"bytes {whole}")
        else:
            self.send_response(200)
        if server.etag:
            self.send_header("ETag", server.etag)
        length = server.claimed.get(path, len(content) - start)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        end = start + server.drops.pop(0) if server.drops else len(content)
        self.wfile.write(content[start:end])

    def log_message(self, *arguments):
        pass


class FileServer(ThreadingHTTPServer):
    """Serves `files` by path.

    `drops` are the numbers of bytes after which connections end, one a request;
    `failures` the codes that a path answers first; `claimed` false lengths.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.files, self.failures, self.claimed = {}, {}, {}
        self.requests, self.drops = [], []
        self.etag, self.ranges = '"first"', True

    def __enter__(self):
        arguments = {"poll_interval": 0.02}
        threading.Thread(
            target=self.serve_forever, kwargs=arguments, daemon=True
        ).start()
        return self

    def __exit__(self, *arguments):
        self.shutdown()
        self.server_close()
