"""A store that speaks S3 as far as captures need it, in a thread."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

CAPTURES = {"logs/old.jsonl": b"old\n", "logs/new b%.jsonl": b"new\n", "logs/sub/deep.jsonl": b""}


class _Store(BaseHTTPRequestHandler):
    def do_GET(self):
        parts = urlsplit(self.path)
        self.server.requests.append((self.path, self.headers))
        bucket, _, key = unquote(parts.path).removeprefix("/").partition("/")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if bucket == "private":
            self._answer(403, _error("InvalidAccessKeyId", "AKIASECRET"))
        elif bucket != "captures":
            self._answer(404, _error("NoSuchBucket", bucket))
        elif "list-type" in query:
            self._answer(200, self._listing(query))
        elif key not in CAPTURES:
            self._answer(404, _error("NoSuchKey", key))
        else:
            self._answer(200, CAPTURES[key])

    def _listing(self, query):
        """Pages of one key each, so that all of them must be asked for."""
        prefix, start = query.get("prefix", ""), int(query.get("continuation-token", "0"))
        keys = [key for key in CAPTURES if key.startswith(prefix)]
        folders = {
            key[len(prefix) :].partition("/")[0] for key in keys if "/" in key[len(prefix) :]
        }
        files = [key for key in keys if "/" not in key[len(prefix) :]]
        page, more = files[start : start + 1], start + 1 < len(files)
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(CAPTURES[key])}</Size>"
            f"<LastModified>2026-03-0{start + 1}T00:00:00.000Z</LastModified></Contents>"
            for key in page
        )
        shared = "".join(
            f"<CommonPrefixes><Prefix>{prefix}{folder}/</Prefix></CommonPrefixes>"
            for folder in folders
        )
        following = f"<NextContinuationToken>{start + 1}</NextContinuationToken>" if more else ""
        return (
            f"<ListBucketResult><Name>captures</Name><IsTruncated>{str(more).lower()}</IsTruncated>"
            f"{following}{entries}{shared}</ListBucketResult>"
        ).encode()

    def _answer(self, status, content):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Sun, 01 Mar 2026 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def _error(code, detail):
    return f"<Error><Code>{code}</Code><Message>{detail}</Message></Error>".encode()


@contextmanager
def s3_store():
    """Yield the address and the requests with their headers."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Store)
    server.daemon_threads = True
    server.requests = []
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
