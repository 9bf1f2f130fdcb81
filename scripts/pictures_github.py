"""What a gate writes on GitHub, as pictures: the comment and the summary that the product made.

GitHub is a small server of ours, which keeps the comment that it is sent. Markdown is rendered by
markdown-it, charts by Mermaid: the file that TM_MERMAID names, else the one that npm fetches.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from markdown_it import MarkdownIt

from pictures_browser import photograph, read

MERMAID = "mermaid@11.17.2"
CHART = re.compile(r'<pre><code class="language-mermaid">(.*?)</code></pre>', re.DOTALL)
HEIGHT = re.compile(r'data-height="(\d+)"')
WIDTH = 920
VARIABLES = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_REPOSITORY": "example/shop",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_RUN_ID": "4711",
    "GITHUB_REF": "refs/pull/7/merge",
    "GITHUB_TOKEN": "a-token-of-nobody",
}
HEADS = {
    "pull-request-comment": "<b>github-actions</b> <i>bot</i> commented 1 minute ago",
    "step-summary": "<b>gate</b> summary",
}
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<style>
body { margin: 0; padding: 16px; background: #fff; color: #1f2328;
  font: 14px/1.5 -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; }
article { border: 1px solid #d1d9e0; border-radius: 6px; }
header { padding: 8px 16px; background: #f6f8fa; border-bottom: 1px solid #d1d9e0;
  border-radius: 6px 6px 0 0; color: #59636e; }
header b { color: #1f2328; }
header i { font-style: normal; font-size: 12px; border: 1px solid #d1d9e0; border-radius: 2em;
  padding: 0 6px; }
main { padding: 16px; }
main > :first-child { margin-top: 0; }
main > :last-child { margin-bottom: 0; }
h2, h3 { margin: 24px 0 16px; line-height: 1.25; }
h2 { font-size: 1.5em; padding-bottom: .3em; border-bottom: 1px solid #d1d9e0b3; }
h3 { font-size: 1.25em; }
p, ul, table, details, .mermaid { margin: 0 0 16px; }
ul { padding-left: 2em; }
li + li { margin-top: .25em; }
code { font: 85%/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  padding: .2em .4em; border-radius: 6px; background: #818b981f; }
table { border-collapse: collapse; display: block; width: max-content; max-width: 100%; }
th, td { padding: 6px 13px; border: 1px solid #d1d9e0; }
tr:nth-child(2n) { background: #f6f8fa; }
a { color: #0969da; }
.mermaid { padding: 8px; text-align: center; border: 1px solid #d1d9e0; border-radius: 6px; }
</style>
<article><header>HEAD</header><main>
BODY
</main></article>
<script src="mermaid.min.js"></script>
<script>
mermaid.initialize({ startOnLoad: false, securityLevel: "strict", theme: "default" });
mermaid.run().finally(() => {
  document.documentElement.dataset.height = Math.ceil(document.body.getBoundingClientRect().height);
});
</script>
</html>
"""


@contextmanager
def forge() -> Iterator[tuple[str, list[str]]]:
    """Run a GitHub that knows comments only; yield its address and what was commented."""
    comments: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(*((403, {}) if self.path.endswith("/user") else (200, [])))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            comments.append(json.loads(body)["body"])
            self._send(201, {"id": 1})

        def _send(self, status: int, document: object) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", comments
        server.shutdown()


def take_picture(browser: str, name: str, markdown: str, mermaid: Path, folder: Path) -> None:
    """Write `NAME.png` into `folder`; raises ValueError when a chart could not be drawn."""
    page = mermaid.with_name(f"{name}.html")
    page.write_text(_page(name, markdown), encoding="utf-8")
    seen = read(browser, page, WIDTH)
    if seen.count("<svg") < markdown.count("```mermaid") or "Syntax error" in seen:
        raise ValueError(f"{name}: Mermaid could not draw a chart")
    if (height := HEIGHT.search(seen)) is None:
        raise ValueError(f"{name}: the page did not become ready")
    photograph(
        browser,
        page,
        folder / f"{name}.png",
        size=(WIDTH, int(height[1])),
        scheme="light",
        scale=1.5,
    )


def _page(name: str, markdown: str) -> str:
    body = MarkdownIt("gfm-like", {"html": True}).render(markdown)
    drawn = CHART.sub(r'<pre class="mermaid">\1</pre>', body)
    return PAGE.replace("HEAD", HEADS[name]).replace("BODY", drawn)


def find_mermaid(directory: Path) -> Path | None:
    """Put Mermaid into a directory, in one file for a browser; None without npm."""
    file = directory / "mermaid.min.js"
    if given := os.environ.get("TM_MERMAID"):
        return Path(shutil.copyfile(given, file))
    if (npm := shutil.which("npm")) is None:
        return None
    subprocess.run([npm, "pack", "--silent", MERMAID], cwd=directory, check=True, timeout=300)
    with tarfile.open(next(directory.glob("mermaid-*.tgz"))) as packed:
        member = packed.extractfile("package/dist/mermaid.min.js")
        if member is None:
            raise ValueError(f"{MERMAID} has no file for browsers")
        file.write_bytes(member.read())
    return file
