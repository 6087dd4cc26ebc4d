"""A cloud's metadata service on loopback."""

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextlib.contextmanager
def metadata_service(answers, port=0):
    """Serve `answers`, {(method, path): text}, which may change; gives the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            text = answers.get((self.command, self.path.partition("?")[0]))
            self.send_response(404 if text is None else 200)
            self.end_headers()
            self.wfile.write((text or "").encode())

        do_PUT = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
