"""Command lines, environments and files that are wrong for certain, each made from a seed."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field

from tests.simulation.hostile import FRAGMENTS

GATE = ("runs", "start", "42", "--wait", "--fail-on", "FAIL")
SERVER = {"TM_BASE_URL": "http://127.0.0.1:9/", "TM_API_KEY": "tm_k-1234567890"}
"""Nothing listens there: a request would end as unavailable, and not as a mistake."""

_NUMBER = r"[0-9]{1,9}(\.[0-9]{1,6})?"
DURATION = re.compile(rf"\s*({_NUMBER}|({_NUMBER} ?(ms|s|m|h|d) ?)+)\s*")
DURATIONS = (
    "", " ", "soon", "-1", "-5s", "+5", "1e3", "nan", "inf", "5  m", "1w", "5M", "٣", "1,5", "1m1",
    "99999999999", "1h  5m", "0x10", "1_000", "31d", "800h", "ms", ".5", "5.", "1..2s", "\x00",
)  # fmt: skip
ZEROS = ("0", "0s", "0.0", "0ms")
FAIL_ONS = (
    "", " ", ",", ",,", "PASS", "FAIL,PASS", "FAILL", "fail;warn", "FAIL WARN", "UNKNOWN", "ALL",
    "FAIL,,X", "ＦＡＩＬ", "FA\x00IL", "none", "0", "*",
)  # fmt: skip
PROFILES = (
    "",
    " ",
    "0",
    "00",
    str(2**63),
    "9" * 40,
    "missing.json",
    "a/b",
    "no/such.yaml",
    "x.yml",
)
URLS = (
    "", " ", "tm.example", "ftp://tm.example", "http://", "https://", "https:///x", "//tm.example",
    "https://u:p@tm.example", "https://tm.example?x=1", "https://tm.example#x", "http://[bad",
    "https://tm.example:0", "https://tm.example:99999", "https://tm.example:x", "http://tm.example",
    "https://a b", "https://a\\b", "https://a\r\nb", "file:///etc/passwd", "LOCAL", "javascript:x",
)  # fmt: skip
KEYS = ("", " ", "\n", "tm_a\nb", "tm_a\r", "tm_\x00", "tm_\x7f", "\x1b[2J")
COMMANDS = (
    ("runs",), ("runs", "strat", "42"), ("run",), ("Runs",), ("--nonsense",), ("runs", "start"),
    ("runs", "start", "42", "--wait", "--nonsense"), ("runs", "wait", "42"), ("history", "show"),
    ("runs", "start", "42", "--fail-on", "FAIL"), ("runs", "start", "42", "--fail-on"),
    ("runs", "wait", "42", "--run-id"), ("runs", "wait", "42", "--run-id", " "), ("profiles", "x"),
    ("history", "show", "x"), ("history", "show", "0"), ("history", "show", "-1"), ("version", "x"),
    ("history", "show", str(2**63)), ("history", "list", "--size", "0"), ("runs", "stop"),
    ("history", "list", "--size", "101"), ("history", "list", "--page", "-1"), ("config", "set"),
    ("history", "list", "--verdict", "MAYBE"), ("history", "list", "--from", "yesterday"),
    ("profiles", "import"), ("profiles", "import", "missing.json"),
    ("runs", "start", "42", "--wait=maybe"),
    ("completion", "cobol"), ("runs", "start", "42", "--timeout"), ("runs", "wait", "--last", "42"),
)  # fmt: skip
TAGS = ("not a tag", "a" * 61, "ü", "a;b", "\x1b[2J", "a\nb", ",".join("abcdefghijklmnopqrstuvw"))
CHECKS = (
    "",
    "p95",
    "p95<",
    "p95<400",
    "p95=4ms",
    "p100<1s",
    "x<1",
    "errors<1",
    "p95<-1ms",
    "p95<+1ms",
)
REPORTS = ("", "json", "xml=x.xml", "=x", "json=", "junit=no/such/dir/x.xml", "json=.")
SETTINGS = {
    "timeout": DURATIONS + ZEROS,
    "wait_timeout": DURATIONS + ZEROS,
    "verdict_timeout": DURATIONS,
    "poll_interval": DURATIONS + ZEROS,
    "fail_on": FAIL_ONS,
    "on_interrupt": ("", "maybe", "detach,stop", "1"),
    "region": ("", " "),
    "base_url": URLS,
}
TABLES = (
    "= 1", "timeout = ", "[timeout]", "timeout = [1]", "timeout = {a = 1}", "timeout = nan",
    "nonsense = 1", "timeout = 2026-03-01", "api_key = 'tm_x'", "api_key_file = 'k'", "\x00",
    "allow_insecure_http = true", "timeout = '1s'\ntimeout = '2s'", "timeout = true", "x" * 300,
    "poll_interval = -1", "wait_timeout = 0", "fail_on = ['PASS']", "fail_on = []", "fail_on = [1]",
    "base_url = 'https://elsewhere.example'", "base_url = 7", "'' = 1", "a.b = 1", "timeout = inf",
)  # fmt: skip
USER_TABLES = tuple(
    t for t in TABLES if not t.startswith(("api_key", "allow_insecure", "base_url = 'h"))
)
DOCUMENTS = (
    "", "null", "[]", "7", "{", "name: x", "a: 1\na: 2", "\t", "name: [", "{}", "- a", "? [a]\n: b",
    "&a [*a]", "!!python/object:os.system x", "name: x\nduration: .inf\nendpointUrl: x\npoints: []",
    "name: x\nduration: .nan\nendpointUrl: x\npoints: []", "[" * 5000, "{a: " * 3000, "\x00", "%",
    "name: x\nduration: 1.5\nendpointUrl: x\npoints: []", "name: x\nduration: 9\nendpointUrl: x",
    "name: x\nduration: 9\nendpointUrl: x\npoints: 7",
    "name: x\nduration: soon\nendpointUrl: x\npoints: []",
    "name: x\nduration: true\nendpointUrl: x\npoints: []", "nmae: x", "name: x\n--- \nname: y",
    '{"name": "x", "name": "y"}', '{"duration": NaN}', "2026-03-01", "a: !!binary x", "*a", "@",
    "name: x\nduration: 9\nendpointUrl: x\ntargetUrl: y\npoints: []",
)  # fmt: skip


@dataclass(frozen=True)
class Mistake:
    """One wrong invocation; `project` and `user` are settings files, `files` others."""

    argv: tuple[str, ...]
    environ: dict[str, str] = field(default_factory=lambda: dict(SERVER))
    project: bytes | None = None
    user: bytes | None = None
    files: dict[str, bytes] = field(default_factory=dict)


def make(seed: int) -> Mistake:
    """Return the mistake of a seed."""
    chance = random.Random(f"mistake {seed}")
    makers = (_flag, _flag, _variable, _command, _project, _user, _document, _key, _option)
    return chance.choice(makers)(chance)


def _bad_value(chance: random.Random, name: str) -> str:
    values = SETTINGS[name]
    if chance.random() < 0.4 and values[:5] == DURATIONS[:5]:
        odd = "".join(chance.choice(FRAGMENTS) for _ in range(chance.randrange(1, 4)))
        if not DURATION.fullmatch(odd):
            return odd
    return chance.choice(values)


def _spelt(chance: random.Random, flag: str, value: str) -> tuple[str, ...]:
    return (
        (flag, value)
        if chance.random() < 0.5 and not value.startswith("-")
        else (f"{flag}={value}",)
    )


def _flag(chance: random.Random) -> Mistake:
    name = chance.choice(sorted(SETTINGS))
    flag = "--" + name.replace("_", "-")
    argv = [*GATE[:4], *_spelt(chance, flag, _bad_value(chance, name))]
    if name != "fail_on":
        argv += GATE[4:]
    environ = {k: v for k, v in SERVER.items() if name != "base_url" or k != "TM_BASE_URL"}
    return Mistake(tuple(argv), environ)


def _variable(chance: random.Random) -> Mistake:
    name = chance.choice(sorted(SETTINGS))
    value = _bad_value(chance, name)
    argv = GATE[:4] if name == "fail_on" else GATE
    return Mistake(argv, {**SERVER, f"TM_{name.upper()}": value})


def _command(chance: random.Random) -> Mistake:
    return Mistake(chance.choice(COMMANDS))


def _project(chance: random.Random) -> Mistake:
    table = chance.choice((*TABLES, "")).encode()
    if not table or chance.random() < 0.2:
        table = b"timeout = '\xff\xfe'"
    environ = {"TM_API_KEY": SERVER["TM_API_KEY"]} if b"base_url" in table else SERVER
    argv = GATE[:4] if b"fail_on" in table else GATE
    return Mistake(argv, dict(environ), project=table)


def _user(chance: random.Random) -> Mistake:
    table = chance.choice(USER_TABLES).encode()
    environ = {"TM_API_KEY": SERVER["TM_API_KEY"]} if b"base_url" in table else SERVER
    argv = GATE[:4] if b"fail_on" in table else GATE
    return Mistake(argv, dict(environ), user=table)


def _document(chance: random.Random) -> Mistake:
    name = chance.choice(("p.json", "p.yaml", "p.yml"))
    text = chance.choice(DOCUMENTS).encode()
    content = text if chance.random() < 0.8 else text + b"\xff"
    argv = (
        ("profiles", "import", name) if chance.random() < 0.3 else ("runs", "start", name, "--wait")
    )
    return Mistake(argv, files={name: content})


def _key(chance: random.Random) -> Mistake:
    environ = {"TM_BASE_URL": SERVER["TM_BASE_URL"]}
    match chance.randrange(4):
        case 0:
            return Mistake(GATE, {**environ, "TM_API_KEY": chance.choice(KEYS)})
        case 1:
            return Mistake(
                GATE, {**environ, "TM_API_KEY_FILE": chance.choice(("", "no-file", "."))}
            )
        case 2:
            content = chance.choice(KEYS).replace("tm_a\r", "tm_a\r\r").encode()
            return Mistake(GATE, {**environ, "TM_API_KEY_FILE": "KEY"}, files={"KEY": content})
    return Mistake(GATE, environ)


def _option(chance: random.Random) -> Mistake:
    flag, values = chance.choice(
        (
            ("--tag", TAGS),
            ("--assert", CHECKS),
            ("--report", REPORTS),
            ("--confirm", ("-1", "11", "x", "", "1.5", "٣x")),
            ("--on-interrupt", ("", "x")),
        )
    )
    if chance.random() < 0.3:
        wrong = chance.choice(PROFILES)
        return Mistake(("runs", chance.choice(("start", "status", "stop")), wrong))
    return Mistake((*GATE, *_spelt(chance, flag, chance.choice(values))))
