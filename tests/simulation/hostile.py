"""Strings that whoever names profiles, answers requests or judges runs could send."""

from __future__ import annotations

import random

FRAGMENTS = (
    "::error::forged", "::set-output name=gate::pass", "::add-mask::a", "::stop-commands::x",
    "::warning file=a,line=1::b", "::notice::PASS", "::group::x", "::ERROR::x", "::", ":", "#",
    "##[error]forged", "##[set-output name=gate;]pass", "##[add-mask]a", "##[group]", "##[",
    "##vso[task.complete result=Succeeded;]", "##teamcity[buildStatus status='SUCCESS']", "##",
    "\n", "\r", "\r\n", "\x0b", "\x0c", "\x85", "\u2028", "\u2029", "\t", "  ", "\xa0", "\u3000",
    "\x1b[2J", "\x1b[1A", "\x1b]0;title\x07", "\x1b]8;;http://evil.example\x07link\x1b]8;;\x07",
    "\x1b]52;c;cm0gLXJm\x07", "\x9b31m", "\x1bc", "\x07", "\x08", "\x00", "\x7f", "\x1f",
    "\u202e", "\u202d", "\u2066", "\u2069", "\u200b", "\u200d", "\u200f", "\u00ad", "\ufeff",
    "\U000e0041", "\ud800", "\udfff", "[bold red]x[/]", "[link=http://evil.example]x[/link]",
    "[/]", "[", ":smile:", "%s", "%0A::error::x", "{0}", "<b>", "&amp;", "`", "|", "\\", '"', "'",
    "PASS", "PASS  checkout, run ours", "FAIL", "exit 0", "é", "漢字", "🎉", "e\u0301\u0301", "ß",
    "a" * 600, "::error::" * 100, "x" * 40, "\u200b".join("::error::x"), "\x00".join("##[error]x"),
)  # fmt: skip


def text(chance: random.Random) -> str:
    """One hostile string: fragments in any order, or any characters at all."""
    if chance.random() < 0.2:
        return "".join(chr(chance.randrange(0x110000)) for _ in range(chance.randrange(30)))
    return "".join(chance.choice(FRAGMENTS) for _ in range(chance.randrange(1, 6)))
