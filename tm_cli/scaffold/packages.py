"""Whether a pipeline installs what its gate needs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from tm_cli.base_url import LOCAL
from tm_cli.scaffold.findings import Remark
from tm_cli.scaffold.steps import Step

_PACKAGE = re.compile(r"(?<![\w/.@-])(?:\S*/)?tm[-_.]cli(?!\w)[^\s\"'\[$]*(?:\[([^\]]*)\])?")
_OF_PIPELINES = "TM_PACKAGE"
"""What the pipelines of `tm init` install; tm itself does not read it."""


def remark_on_package(step: Step, server: str | None) -> Remark | None:
    """Say when the embedded server is asked for and what is installed lacks it."""
    if server != LOCAL or step.inputs is not None:
        return None
    extras = list(_extras(_installed(step)))
    if not extras or any("local" in names for names in extras):
        return None
    return Remark("TM_BASE_URL is local, and the embedded server needs the extra: tm-cli[local]")


def _installed(step: Step) -> Iterator[str]:
    yield step.environ.get(_OF_PIPELINES, "")
    for text in step.installs:
        yield from (line for line in text.splitlines() if "install" in line or "tm-cli" in line)


def _extras(texts: Iterable[str]) -> Iterator[set[str]]:
    for text in texts:
        for found in _PACKAGE.finditer(text):
            yield {name.strip() for name in (found[1] or "").split(",")}
