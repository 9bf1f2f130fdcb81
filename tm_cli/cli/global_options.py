"""Options of every command, accepted anywhere on the command line, and bundles of options."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from copy import copy
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, get_args, get_type_hints

import typer

from tm_cli.cli.help_page import GLOBAL
from tm_cli.completion.candidates import complete_contexts, complete_servers

GLOBAL_OPTIONS: dict[str, tuple[Any, Any]] = {
    "base_url": (
        Annotated[
            str | None,
            typer.Option(
                help="Server URL; `local` for the embedded server. [TM_BASE_URL]",
                metavar="URL",
                autocompletion=complete_servers,
                rich_help_panel=GLOBAL,
            ),
        ],
        None,
    ),
    "api_key": (
        Annotated[str | None, typer.Option(hidden=True, metavar="KEY", rich_help_panel=GLOBAL)],
        None,
    ),
    "api_key_file": (
        Annotated[
            str | None,
            typer.Option(
                help="File with the API key. [TM_API_KEY_FILE]",
                metavar="FILE",
                rich_help_panel=GLOBAL,
            ),
        ],
        None,
    ),
    "context": (
        Annotated[
            str | None,
            typer.Option(
                help="Context from your settings file: a server and its key. [TM_CONTEXT]",
                metavar="NAME",
                autocompletion=complete_contexts,
                rich_help_panel=GLOBAL,
            ),
        ],
        None,
    ),
    "timeout": (
        Annotated[
            str | None,
            typer.Option(
                help="Request timeout. [TM_TIMEOUT, 30s]",
                metavar="DURATION",
                rich_help_panel=GLOBAL,
            ),
        ],
        None,
    ),
    "json": (
        Annotated[
            bool,
            typer.Option(
                "--json", help="Print one JSON document to standard output.", rich_help_panel=GLOBAL
            ),
        ],
        False,
    ),
    "quiet": (
        Annotated[
            bool,
            typer.Option(
                "--quiet", "-q", help="Print only results and errors.", rich_help_panel=GLOBAL
            ),
        ],
        False,
    ),
    "verbose": (
        Annotated[
            bool,
            typer.Option(
                "--verbose", "-v", help="Print a line per request.", rich_help_panel=GLOBAL
            ),
        ],
        False,
    ),
}
"""Every command and every group takes these, so they are accepted anywhere."""

_REMEMBERED = "tm.global_options"


def with_global_options(
    function: Callable[..., Any],
    run: Callable[[typer.Context, dict[str, Any], dict[str, Any]], int],
) -> Callable[..., int]:
    """Return a command with the options of `function` and the global ones.

    It calls `run` with the context, the global options and the others; global options that the
    command does not have may have been given to its group. A parameter whose type is a dataclass is
    a bundle: its fields are options of the command, and `run` gets one object.
    """
    bundles = _bundles(function)

    @functools.wraps(function)
    def wrapper(ctx: typer.Context, **values: Any) -> int:
        options = {name: values.pop(name) for name in GLOBAL_OPTIONS}
        for name, bundle in bundles.items():
            values[name] = bundle(
                **{field.name: values.pop(field.name) for field in fields(bundle)}
            )
        return run(ctx, {**options, **ctx.meta.get(_REMEMBERED, {}), **_given(options)}, values)

    return _declared(wrapper, function, GLOBAL_OPTIONS)


def group(function: Callable[..., None]) -> Callable[..., None]:
    """Let a group take the global options for its commands, without showing them in its help."""

    @functools.wraps(function)
    def wrapper(ctx: typer.Context, **values: Any) -> None:
        given = _given({name: values.pop(name) for name in GLOBAL_OPTIONS})
        ctx.meta.setdefault(_REMEMBERED, {}).update(given)
        function(**values)

    hidden = {name: (_hidden(kind), default) for name, (kind, default) in GLOBAL_OPTIONS.items()}
    return _declared(wrapper, function, hidden)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that are given; an empty value counts as given."""
    return {name: value for name, value in options.items() if value not in (None, False)}


def _hidden(kind: Any) -> Any:
    value, option = get_args(kind)
    option = copy(option)
    option.hidden = True
    return Annotated[value, option]


def _declared(
    wrapper: Callable[..., Any], function: Callable[..., Any], options: dict[str, tuple[Any, Any]]
) -> Callable[..., Any]:
    """Give `wrapper` the signature that typer reads: context, own parameters, then `options`."""
    signature = inspect.signature(function, eval_str=True)
    named = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
        *(
            own.replace(kind=named)
            for name, parameter in signature.parameters.items()
            if name != "session"
            for own in _unbundled(parameter)
        ),
        *(
            inspect.Parameter(name, named, default=default, annotation=kind)
            for name, (kind, default) in options.items()
        ),
    ]
    wrapper.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapper.__doc__ = _paragraphs(function.__doc__ or "")
    wrapper.__annotations__ = {item.name: item.annotation for item in parameters}
    return wrapper


def _bundles(function: Callable[..., Any]) -> dict[str, Any]:
    """The parameters that are bundles of options, and their dataclasses."""
    parameters = inspect.signature(function, eval_str=True).parameters
    return {name: item.annotation for name, item in parameters.items() if _is_bundle(item)}


def _is_bundle(parameter: inspect.Parameter) -> bool:
    return is_dataclass(parameter.annotation) and parameter.name != "session"


def _unbundled(parameter: inspect.Parameter) -> list[inspect.Parameter]:
    if not _is_bundle(parameter):
        return [parameter]
    kinds = get_type_hints(parameter.annotation, include_extras=True)
    return [
        parameter.replace(name=field.name, default=field.default, annotation=kinds[field.name])
        for field in fields(parameter.annotation)
    ]


def _paragraphs(text: str) -> str:
    """Join the lines of each paragraph, which the help wraps itself; indented text is kept."""
    parts = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(part if part.startswith(" ") else " ".join(part.split()) for part in parts)
