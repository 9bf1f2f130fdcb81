"""Mutants of what tm believes of an answer, and of what it says about it."""

from faults.mutants.mutant import Mutant

ANSWERS = "api/answers.py"
JSON = "api/strict_json.py"
TRANSPORT = "api/transport.py"
CLIENT = "api/trafficmorph/client.py"
POSTED = 'return understood(read, path, self._transport.post(f"{self.root}/{path}", body))'

MUTANTS = (
    Mutant(
        "last-of-two-keys",
        JSON,
        "    if len(found) != len(pairs):",
        "    if False:",
        "FAIL, then PASS reads as PASS",
    ),
    Mutant(
        "infinite-numbers",
        JSON,
        "    if not math.isfinite(value):",
        "    if False:",
        "numbers that no float holds",
    ),
    Mutant(
        "lone-surrogates",
        JSON,
        'return _without_surrogates(document) if "\\\\ud" in text.lower() else document',
        "return document",
        "half a character ends the gate with a traceback",
    ),
    Mutant(
        "html-is-read-as-json",
        ANSWERS,
        "    if not _is_json(answer):",
        "    if False:",
        "whatever a proxy sends is read",
    ),
    Mutant(
        "any-2xx",
        ANSWERS,
        "    if status not in {200, 201, 202}:",
        "    if False:",
        "a partial answer counts as a whole one",
    ),
    Mutant(
        "bare-code-from-api",
        ANSWERS,
        'from_api=isinstance(envelope.get("error"), str)',
        "from_api=True",
        "a gateway speaks for the API",
    ),
    Mutant(
        "retry-after-read-as-float",
        "api/retry.py",
        "    if _SECONDS.fullmatch(text):\n        return min(float(text), LONGEST_PAUSE)",
        "    if text:\n        return float(text)",
        "nan, inf, 1e9 and half a year are waited for",
    ),
    Mutant(
        "retry-after-not-read",
        "api/retry.py",
        '    text = headers.get("retry-after", "").strip()',
        '    text = ""',
        "Retry-After is never obeyed",
    ),
    Mutant(
        "writes-are-repeated",
        CLIENT,
        POSTED,
        f"try:\n            {POSTED}\n        except ApiError:\n            {POSTED}",
        "every start is sent twice when it fails",
    ),
    Mutant(
        "mistyped-run-id",
        "api/trafficmorph/models.py",
        '    return "(a runId that is no text)"',
        "    return None",
        "a row whose id is no text counts as one without id",
    ),
    Mutant(
        "read-timeout-is-unsent",
        TRANSPORT,
        "_NEVER_SENT = (httpx2.ConnectError,",
        "_NEVER_SENT = (httpx2.ReadTimeout, httpx2.ConnectError,",
        "a start that timed out is sent again",
    ),
    Mutant(
        "write-error-is-unsent",
        TRANSPORT,
        "_NEVER_SENT = (httpx2.ConnectError,",
        "_NEVER_SENT = (httpx2.NetworkError, httpx2.ConnectError,",
        "a start that broke off is sent again",
    ),
    Mutant(
        "follows-redirects",
        TRANSPORT,
        "follow_redirects=False",
        "follow_redirects=True",
        "the key goes to whom the server names",
    ),
    Mutant(
        "key-in-the-query",
        TRANSPORT,
        'path.lstrip("/"), params=params or None)',
        'path.lstrip("/"), params={**(params or {}), "key": self._connection.key.reveal()})',
        "the key stands in every access log",
    ),
    Mutant(
        "key-in-repr",
        "api_key.py",
        '        return "***"',
        "        return self._bytes.decode()",
        "the key stands in every traceback",
    ),
    Mutant(
        "decoded-bodies",
        TRANSPORT,
        'if response.headers.get("content-encoding", "identity") != "identity":',
        "if False:",
        "a compressed body is taken for a plain one",
    ),
    Mutant(
        "steering-characters",
        "text.py",
        '        case "Cc" | "Zl" | "Zp":\n            return " "',
        '        case "Zl" | "Zp":\n            return " "',
        "server text moves the cursor",
    ),
    Mutant(
        "invisible-characters",
        "text.py",
        '        case "Cf":\n            return ""',
        '        case "Cf-":\n            return ""',
        "server text runs from right to left",
    ),
    Mutant(
        "commands-in-the-middle",
        "text.py",
        '_WORKFLOW_COMMAND.sub("# #", " ".join(shown.split()))',
        '" ".join(shown.split())',
        "server text commands the CI runner",
    ),
    Mutant(
        "commands-at-the-beginning",
        "text.py",
        '    if shown.startswith("::"):',
        "    if False:",
        "server text commands the CI runner",
    ),
    Mutant(
        "commands-in-json",
        "render/machine.py",
        '.replace("#", "\\\\u0023")',
        "",
        "JSON on standard output commands the CI runner",
    ),
    Mutant(
        "unclean-reasons",
        "systems/trafficmorph/results.py",
        "clean(item if isinstance(item, str) else json.dumps(item)) for item in items",
        "(item if isinstance(item, str) else json.dumps(item)) for item in items",
        "one sink does not clean",
    ),
    Mutant(
        "empty-gate",
        "gate/verdict.py",
        '        raise ValueError("it names no verdict; choose from FAIL, WARN and NO_BASELINE")',
        "        return frozenset()",
        "an unset CI variable switches the gate off",
    ),
    Mutant(
        "usage-errors-escape",
        "boundary.py",
        "    except TmError as error:\n        return _report(error, arguments, context)",
        "    except TmError:\n        return 0",
        "an error exits 0",
    ),
)
