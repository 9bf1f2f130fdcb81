"""One script and its function in an engine for JavaScript.

The engine is QuickJS, compiled to WebAssembly: it has its own memory, and of this process it can
call only what is registered here. It has no files, sockets, modules or environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import wasmtime
from quickjs_rs import Context, QuickJSError, Runtime
from quickjs_rs.errors import DeadlockError, InterruptError, MemoryLimitError

from tm_cli.server.sandbox.macros import with_values

MEMORY = 64 * 1024 * 1024
"""Bytes of all values of a script."""
_BROKEN = (wasmtime.Trap, wasmtime.WasmtimeError)
"""The engine cannot be used again, as after calls that are nested too deeply."""
LONGEST_VALUES = 64 * 1024
"""Characters of what an init script returns, as JSON."""
LONGEST_REQUESTS = 16 * 1024
"""Likewise for a response script; to read them takes the load's own time."""
_DEEPEST = 64
"""Lists and objects within one another, which all readers of a value must be able to follow."""
_LIMITS = {"lines": 20, "line": 500, "message": 1000}
"""Of the console and of errors, in lines and in characters."""
_ROOM = 64 * 1024
"""Characters of a series in addition to its values."""
SLICE = 0.1
"""Seconds after which a series of calls is interrupted, so that no call pays for those before."""

SERIES = 2.0
"""Seconds after which no further call begins, so that slow scripts are told from broken ones."""

Call = tuple[Mapping[str, Any], Sequence[Any]]
"""The values of its macros, and its arguments."""
Result = tuple[bool, Any]
"""Whether it returned, and the value as JSON or the message of the error."""
Fetch = Callable[[str], str]
"""A request as JSON to an answer as JSON."""

_PRELUDE = """
(() => {
  const {parse, stringify} = JSON, now = Date.now, text = String, has = Object.hasOwn;
  const state = {values: {}, constants: {}, results: [], console: [], limits: {}};
  const NUMBER = /^-?(?:0|[1-9][0-9]{0,14})(?:\\.[0-9]{1,15})?$/;
  const show = (value) => {
    try { return typeof value === "object" && !(value instanceof Error)
      ? stringify(value) : text(value); } catch (error) { return typeof value; }
  };
  const say = (...values) => {
    if (state.console.length < state.limits.lines)
      state.console.push(values.map(show).join(" ").slice(0, state.limits.line));
  };
  globalThis.console = {log: say, info: say, warn: say, error: say, debug: say};
  const valueOf = (name) => (has(state.values, name) ? state.values : state.constants)[name];
  globalThis.__tm_text = (name) => text(valueOf(name));
  globalThis.__tm_value = (name) => {
    const value = valueOf(name);
    return typeof value === "string" && NUMBER.test(value) ? Number(value) : value;
  };
  const finished = (value) => {
    const found = value === undefined ? "null" : stringify(value);
    if (found === undefined) throw new TypeError("it returned a value that JSON does not have");
    if (found.length > state.limits.value)
      throw new RangeError("it returned more than " + state.limits.value / 1024 + " KiB");
    state.results.push([true, parse(found)]);
  };
  const failed = (error) => {
    state.results.push([false, show(error).slice(0, state.limits.message)]);
  };
  const headersOf = (fields) => ({
    get: (name) => (name = text(name).toLowerCase(), has(fields, name) ? fields[name] : null),
    has: (name) => has(fields, text(name).toLowerCase()),
  });
  if (globalThis.__tm_fetch) {
    const ask = globalThis.__tm_fetch;
    delete globalThis.__tm_fetch;
    globalThis.fetch = (url, options = {}) => {
      const found = parse(ask(stringify({
        url: text(url), method: text(options.method ?? "GET"), headers: options.headers ?? {},
        body: options.body === undefined || options.body === null ? null : text(options.body),
      })));
      if (found.error !== undefined) throw new Error(found.error);
      return {
        url: text(url), status: found.status, ok: found.status >= 200 && found.status < 300,
        headers: headersOf(found.headers), text: () => found.body, json: () => parse(found.body),
      };
    };
  }
  const take = () => {
    const found = stringify({results: state.results, console: state.console});
    state.results = []; state.console = [];
    return found;
  };
  const run = (call, values, args) => {
    state.values = values;
    return call(...args);
  };
  globalThis.__tm = (calls, call, slice) => {
    const begun = now();
    for (const [values, args] of parse(calls)) {
      try {
        const value = run(call, values, args);
        if (value && typeof value.then === "function")
          throw new TypeError("it must not be async");
        finished(value);
      } catch (error) { failed(error); }
      if (now() - begun > slice) break;
    }
    return take();
  };
  globalThis.__tm_async = async (calls, call) => {
    try { finished(await run(call, ...parse(calls)[0])); } catch (error) { failed(error); }
    return take();
  };
  globalThis.__tm_take = take;
  globalThis.__tm_open = (constants, limits) => {
    state.constants = parse(constants);
    state.limits = limits;
  };
})();
0
"""


_NESTED = f"it returned more than {_DEEPEST} lists and objects in one another"
_CHANGED = "its results cannot be read; the script changes what JavaScript itself provides"


class ScriptError(Exception):
    """The script cannot be run; the message is for its author."""


class Script:
    """The function of a script; calls that go on after `seconds` are ended.

    Variables outside of the function keep their values from call to call, unless a call has broken
    the engine, as one that is nested too deeply does.
    """

    def __init__(
        self,
        source: str,
        function: str,
        *,
        macros: Sequence[str] = (),
        constants: Mapping[str, Any] | None = None,
        seconds: float,
        fetch: Fetch | None = None,
    ) -> None:
        """Raises ScriptError, as for what is no JavaScript."""
        self._source = with_values(source, [*macros, *(constants or {})])
        self._function = function
        self._constants = json.dumps(dict(constants or {}))
        self._seconds = seconds
        self._fetch = fetch
        self._longest = LONGEST_VALUES if fetch else LONGEST_REQUESTS
        self._console: list[str] = []
        self._context = self._started()

    def run(self, calls: Sequence[Call]) -> list[Result]:
        """Call the function for the first of the `calls`: as often as it is quick enough."""
        results: list[Result] = []
        end = time.monotonic() + SERIES
        while len(results) < len(calls) and time.monotonic() < end:
            results += self._run_some(calls[len(results) :])
        return results

    def take_console(self) -> list[str]:
        """What was written to the console since the last time."""
        found, self._console = self._console, []
        return found

    def _run_some(self, calls: Sequence[Call]) -> list[Result]:
        """The results of the first calls, at least of one."""
        try:
            return self._taken(self._evaluate(calls), least=1, most=len(calls))
        except _BROKEN:
            self._restart()
            if len(calls) > 1:  # it is not known which one it was
                return self._run_some(calls[:1])
            return [(False, "RangeError: it is nested too deeply, or has broken the engine")]
        except (QuickJSError, ValueError) as error:
            return [*self._rest(len(calls) - 1), (False, self._reason(error))]

    def _evaluate(self, calls: Sequence[Call]) -> str:
        argument = json.dumps(json.dumps(calls))
        call = f"(...args) => {self._function}(...args)"
        if self._fetch is None:
            return str(self._context.eval(f"__tm({argument}, {call}, {SLICE * 1000:g})"))
        return str(asyncio.run(self._context.eval_async(f"await __tm_async({argument}, {call})")))

    def _taken(self, text: str, *, least: int = 0, most: int) -> list[Result]:
        """Read what calls have left; raises ValueError for what the prelude leaves never.

        A script shares the engine with the prelude, and can change all that it uses.
        """
        try:
            found = json.loads(text, parse_float=_finite, parse_constant=_finite)
            results = [(bool(is_value), value) for is_value, value in found["results"]]
            console = [str(line)[: _LIMITS["line"]] for line in found["console"]]
        except RecursionError:
            raise ValueError(_NESTED) from None
        except (KeyError, TypeError, ValueError):
            raise ValueError(_CHANGED) from None
        if not least <= len(results) <= most or len(text) > _ROOM + len(results) * self._longest:
            raise ValueError(_CHANGED)
        self._console += console[: _LIMITS["lines"] - len(self._console)]
        return [_plain(*result) for result in results]

    def _rest(self, most: int) -> list[Result]:
        """What had been done before a series was interrupted."""
        try:
            return self._taken(str(self._context.eval("__tm_take()")), most=most)
        except (*_BROKEN, QuickJSError, ValueError):
            self._restart()
            return []

    def _reason(self, error: Exception) -> str:
        if isinstance(error, InterruptError):
            return f"it took longer than {self._seconds:g} s"
        if isinstance(error, MemoryLimitError):
            return f"it needed more than {MEMORY // 1024 // 1024} MiB"
        if isinstance(error, DeadlockError):
            return "it waits for a promise that nothing resolves"
        return str(error).partition("\n")[0][: _LIMITS["message"]]

    def _restart(self) -> None:
        with contextlib.suppress(*_BROKEN, QuickJSError):
            self._runtime.close()
        self._context = self._started()

    def _started(self) -> Context:
        """A new engine with the script; raises ScriptError."""
        self._runtime = Runtime(memory_limit=MEMORY)
        context: Context = self._runtime.new_context(timeout=self._seconds)
        if self._fetch:
            context.register("__tm_fetch", self._fetch)
        context.eval(_PRELUDE)
        limits = json.dumps(_LIMITS | {"value": self._longest})
        context.eval(f"__tm_open({json.dumps(self._constants)}, {limits})")
        try:
            context.eval(f"{self._source}\n;0")
            kind = context.eval(f"typeof {self._function}")
        except _BROKEN:
            raise ScriptError("it is nested too deeply") from None
        except QuickJSError as error:
            raise ScriptError(self._reason(error)) from None
        if kind != "function":
            raise ScriptError(f"it has no function {self._function}")
        return context


def _plain(is_value: bool, value: Any) -> Result:
    """A result that can be written and read as JSON everywhere; messages have a limited length."""
    if not is_value:
        return False, str(value)[: _LIMITS["message"]]
    return (False, _NESTED) if _is_deeper(value, _DEEPEST) else (True, value)


def _is_deeper(value: Any, depth: int) -> bool:
    if not isinstance(value, (list, dict)):
        return False
    items = value if isinstance(value, list) else value.values()
    return not depth or any(_is_deeper(item, depth - 1) for item in items)


def _finite(text: str) -> float:
    if math.isfinite(number := float(text)):
        return number
    raise ValueError(text)
