"""`tm profiles`: list, show, make and exchange profiles."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from tm_cli.cli import options
from tm_cli.cli.app import App
from tm_cli.cli.global_options import group
from tm_cli.cli.session import CommandContext, with_session
from tm_cli.commands.profiles import schedule
from tm_cli.commands.profiles.field_options import FieldOptions
from tm_cli.commands.profiles.files import Paths, Recursive
from tm_cli.commands.profiles.files import app as files_app
from tm_cli.commands.shared.lists import ListOptions, ListView, show_list
from tm_cli.completion.candidates import complete_profiles
from tm_cli.errors import UsageError
from tm_cli.values.durations import format_duration
from tm_cli.values.load.placeholders import placeholders
from tm_cli.values.text import sanitize
from tm_cli.values.thresholds import format_threshold

if TYPE_CHECKING:
    from tm_cli.api.trafficmorph import Profile
    from tm_cli.commands.shared.profile_argument import ProfileRef

app = App()
app.add_typer(schedule.app, name="schedule")


@app.callback()
@group
def profiles() -> None:
    """Make, change, apply and exchange profiles."""


@app.command("list")
@with_session
def list_profiles(session: CommandContext, listing: ListOptions) -> int:
    """List the profiles of the server, the most recently updated first.

    tm profiles list
    """
    from tm_cli.api.trafficmorph import ProfileSummary
    from tm_cli.render.tables import instant

    view = ListView[ProfileSummary](
        noun="profiles",
        columns={
            "ID": lambda profile: profile.id,
            "NAME": lambda profile: profile.name,
            "CREATED": lambda profile: instant(profile.created_at),
        },
        fields=ProfileSummary.field_names(),
        least=("CREATED",),
    )
    return show_list(session, listing, view, session.client.list_profiles)


@app.command("show")
@with_session
def show(session: CommandContext, profile: options.Profile) -> int:
    """Show a profile.

    tm profiles show checkout
    """
    from tm_cli.commands.shared.profile_argument import find_profile

    found = find_profile(session.client, _stored(session, profile))
    return session.emit(_without_secret(found.document()), lambda: _describe(found))


@app.command("get", hidden=True)
@with_session
def get(session: CommandContext, profile: options.Profile) -> int:
    """Print one profile as the server sends it, for scripts of the Go tm."""
    from tm_cli.commands.shared.profile_argument import find_profile
    from tm_cli.render.formats.json_document import to_json

    found = find_profile(session.client, _stored(session, profile))
    session.terminal.write_result(to_json(_without_secret(found.document())))
    return 0


@app.command("export")
@with_session
def export(
    session: CommandContext,
    profile: Annotated[
        str | None,
        typer.Argument(
            metavar="[PROFILE]",
            autocompletion=complete_profiles,
            help="Profile id, name, or path to a profile document.",
        ),
    ] = None,
    all_profiles: Annotated[
        bool, typer.Option("--all", help="Export each profile, to a file of its own.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|DIR",
            help="File to write to, .json or .yaml; with --all, a directory. [standard output]",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="With --all, overwrite files that differ.")
    ] = False,
) -> int:
    """Export a profile as a portable document, or all of them to a directory.

    tm profiles export checkout -o checkout.yaml

    tm profiles export --all -o profiles/
    """
    from tm_cli.commands.profiles import exporting

    if all_profiles:
        if profile is not None or output is None:
            raise UsageError("--all takes no PROFILE, and --output names its directory")
        return exporting.export_all(session, output, force=force)
    if profile is None:
        raise UsageError("export needs a PROFILE, or --all")
    return exporting.export(session, _stored(session, profile).profile_id, output)


@app.command("import")
@with_session
def import_profile(
    session: CommandContext,
    document: Annotated[str, typer.Argument(metavar="FILE", help="Profile document.")],
) -> int:
    """Create a profile from a document, or overwrite the profile of that name.

    tm profiles import checkout.yaml
    """
    from tm_cli.backends.trafficmorph.document_files import uploaded
    from tm_cli.backends.trafficmorph.profile_documents import read_document
    from tm_cli.commands.runs.features import require_support
    from tm_cli.commands.runs.request import ComparisonOptions

    portable = read_document(session.context.cwd / document)
    require_support(
        session, ComparisonOptions(), {}, documents=[portable], ending="; nothing was imported"
    )
    imported = session.client.import_profile(uploaded(portable))
    for warning in imported.warnings:
        session.terminal.write_line(f"tm: the server warns: {sanitize(warning)}")
    return session.emit(
        _without_secret(imported.document()),
        lambda: f"imported profile {imported.id}: {sanitize(imported.name)}",
    )


@app.command("create")
@with_session
def create(
    session: CommandContext,
    subject: Annotated[
        str, typer.Argument(metavar="NAME|FILE", help="Name of the profile, or its document.")
    ],
    fields: FieldOptions,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name instead of that in the document.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a profile that has the name.")
    ] = False,
) -> int:
    """Create a profile from options, from a document, or from both: options win.

    A name that is taken is refused. What a document says, `tm profiles check` checks.

    tm profiles create checkout --target http://localhost:8080/checkout --rate 20 --duration 1m

    tm profiles create checkout.yaml --region eu-west
    """
    from tm_cli.commands.profiles import save

    return save.create(session, subject, fields, name=name, overwrite=overwrite)


@app.command("update")
@with_session
def update(
    session: CommandContext,
    profile: options.Profile,
    document: Annotated[
        str | None,
        typer.Argument(metavar="[FILE]", help="Document with some or all of the keys."),
    ] = None,
    *,
    fields: FieldOptions,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="New name.")] = None,
) -> int:
    """Change values of a profile; all others stay as they are.

    The profile is read, merged and written as a whole, because a write resets what is missing.

    tm profiles update checkout --rate 40

    tm profiles update checkout --header "Accept: application/json" --set warmup=10s
    """
    from tm_cli.commands.profiles import save

    return save.update(session, profile, document, fields, name=name)


@app.command("diff")
@with_session
def diff(
    session: CommandContext,
    document: Annotated[str, typer.Argument(metavar="FILE", help="Profile document.")],
    profile: Annotated[
        str | None,
        typer.Argument(metavar="[PROFILE]", help="Profile to compare with. [that of the name]"),
    ] = None,
) -> int:
    """Show what an import of a document would change; exit with 1 if anything.

    tm profiles diff checkout.yaml
    """
    from tm_cli.commands.profiles import differences

    return differences.diff(session, document, profile)


@app.command("apply")
@with_session
def apply(
    session: CommandContext,
    paths: Paths,
    recursive: Recursive = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete profiles that no file names.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be done, and do nothing.")
    ] = False,
    yes: options.Yes = False,
) -> int:
    """Create and update profiles, so that the server has what the documents say.

    All documents are checked first, and a profile that is equal is not written. If one file fails,
    the others are applied all the same, and the exit code is 1.

    tm profiles apply profiles/ --dry-run

    tm profiles apply profiles/ --prune --yes
    """
    from tm_cli.commands.profiles import apply as applying

    choice = applying.Choice(recursive, prune, dry_run, yes)
    return applying.apply(session, paths, choice)


@app.command("delete")
@with_session
def delete(session: CommandContext, profile: options.Profile, yes: options.Yes = False) -> int:
    """Delete a profile: its current run is stopped, its history is kept.

    tm profiles delete checkout --yes
    """
    from tm_cli.commands.shared.profile_argument import find_profile

    subject = _stored(session, profile)
    name = subject.name
    if session.terminal.live and not yes:  # an id alone does not say which profile it is
        name = sanitize(find_profile(session.client, subject).name)
    options.confirm_deletion(session, f"profile {subject.profile_id} ({name})", yes=yes)
    session.client.delete_profile(subject.profile_id)
    return session.emit(
        {"profile_id": subject.profile_id},
        lambda: f"deleted profile {subject.profile_id}: {subject.name}",
    )


app.registered_commands += files_app.registered_commands


def _stored(session: CommandContext, text: str) -> ProfileRef:
    from tm_cli.commands.shared.profile_argument import resolve_profile

    return resolve_profile(session.client, text, session.context.cwd)


def _without_secret(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out the callback secret, which signs messages in the server's name."""
    return {key: value for key, value in document.items() if key != "callbackSecret"}


def _describe(profile: Profile) -> str:
    points = ", ".join(f"{point.x:g}s {point.y:g}/s" for point in (profile.points or [])[:8])
    more = len(profile.points or []) - 8
    steps = list(_steps(profile.steps))
    rows = [
        ("id", profile.id),
        (
            "target",
            f"{'' if steps else profile.http_method or ''} {profile.target_url or ''}".strip(),
        ),
        *(("step", step) for step in steps),
        ("duration", f"{profile.duration:g}s" if profile.duration is not None else None),
        ("curve", points + (f" and {more} more points" if more > 0 else "")),
        ("interpolation", profile.interpolation_mode),
        ("loop", "yes" if profile.loop else None),
        ("region", profile.region),
        ("status", profile.status),
        ("warm-up", format_duration(profile.warmup) if profile.warmup else None),
        ("data", ", ".join(_data(profile.data))),
        ("variables sets", ", ".join(map(str, profile.variables_set_ids or ()))),
        ("scripts", ", ".join(_scripts(profile))),
        ("callback", _host_of(profile.callback_url)),
        ("values", ", ".join(_values(profile))),
        ("HTTP", profile.http_version),
        ("certificate", _text_of(profile.client_certificate, "cert")),
        *_limits(profile.gate),
    ]
    known = [(name, sanitize(value)) for name, value in rows if value not in (None, "")]
    width = max(14, *(len(name) + 1 for name, _ in known))
    lines = [f"  {name:<{width}}{value}" for name, value in known]
    return "\n".join([sanitize(profile.name), *lines])


def _data(data: Any) -> Iterator[str]:
    for source in data if isinstance(data, list) else ():
        mode = _text_of(source, "mode")
        yield (_text_of(source, "name") or "?") + (f" ({mode})" if mode else "")


def _scripts(profile: Profile) -> Iterator[str]:
    for key in ("initScript", "responseScript", "cleanupScript"):
        if profile.document().get(key):
            yield key


def _host_of(url: str | None) -> str | None:
    """The path of a callback's URL can hold a token."""
    try:
        return url and urlsplit(url).hostname
    except ValueError:
        return None


def _values(profile: Profile) -> list[str]:
    """The placeholders that a start fills in."""
    names = [each.name for each in placeholders(profile.document()) if each.name]
    return [f"${{{name}}}" for name in dict.fromkeys(names)]


def _text_of(value: Any, key: str) -> str | None:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) else None


def _steps(steps: Any) -> Iterator[str]:
    for step in steps if isinstance(steps, list) else ():
        match step:
            case {"think": think}:
                yield f"think {_range(think)}"
            case {"name": name, "request": request}:
                yield f"{name}: {request}"
            case {"request": request}:
                yield str(request)


def _range(think: Any) -> str:
    bounds = dict.fromkeys(think if isinstance(think, list) else [think])
    return "..".join(f"{bound:g}s" if isinstance(bound, float | int) else "?" for bound in bounds)


def _limits(gate: Any) -> Iterator[tuple[str, str]]:
    for name, value in gate.items() if isinstance(gate, dict) else ():
        try:
            shown = format_threshold(name, value)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):  # of other servers
            shown = jsonlib.dumps(value)
        yield f"gate.{sanitize(name)}", shown
