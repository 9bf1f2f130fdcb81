"""`tm profiles create` and `update`: what is written, and that nothing else is changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tm_cli.api.errors import ConnectionFailed
from tm_cli.api.trafficmorph import Profile, ProfileSummary
from tm_cli.backends.trafficmorph import locustfiles
from tm_cli.backends.trafficmorph.document_files import LOCAL_KEYS
from tm_cli.backends.trafficmorph.profile_documents import (
    ALIASES,
    REQUIRED,
    names_document,
    portable,
    read_changes,
)
from tm_cli.backends.trafficmorph.profile_fields import (
    API_NAMES,
    ONLY_IN_API,
    Difference,
    body_of,
    body_of_change,
    field_differences,
)
from tm_cli.backends.trafficmorph.profile_rules import contradictions
from tm_cli.backends.trafficmorph.profile_values import LONGEST_NAME
from tm_cli.cli.session import CommandContext
from tm_cli.commands.profiles.differences import difference_table, differences_data
from tm_cli.commands.profiles.field_options import FieldOptions, merged_headers
from tm_cli.commands.runs.features import require_support
from tm_cli.commands.runs.request import ComparisonOptions
from tm_cli.commands.shared.profile_argument import (
    check_profile_argument,
    find_profile_fields,
    resolve_profile,
)
from tm_cli.commands.shared.refusals import not_accepted
from tm_cli.commands.shared.variables_set_argument import set_named
from tm_cli.errors import Refused, UsageError
from tm_cli.values.documents import InvalidDocument
from tm_cli.values.text import folded_name, sanitize, trimmed_name

_FLAGS = {"endpointUrl": "--target", "duration": "--duration", "points": "--rate or --points"}


def create(
    session: CommandContext,
    subject: str,
    options: FieldOptions,
    *,
    name: str | None,
    overwrite: bool,
) -> int:
    """Create the profile that a document and options describe."""
    given, further = options.read(session)
    document = _whole(session, subject, given, options, name)
    ending = "; nothing was created"
    require_support(session, ComparisonOptions(), {}, documents=[document], ending=ending)
    known = session.client.list_profiles()
    same = [each for each in known if folded_name(each.name) == folded_name(document["name"])]
    _check_taken(same, ending, overwrite=overwrite)
    before = find_profile_fields(session.client, same[0].id) if same else None
    body = body_of(document) | further | _sets(session, options)
    if before is not None:  # no document has them, and a missing one may be reset
        body = {key: before[key] for key in ONLY_IN_API if key in before} | body
    with refusal("the profile"):
        saved = session.client.create_profile(body)
    if before is None and saved.id in {each.id for each in known}:
        session.terminal.write_line(
            f"tm: profile {saved.id} got this name in the meantime, and was overwritten"
        )
    action = "overwritten" if before is not None else "created"
    changed = [] if before is None else _told(field_differences(before, saved.document()))
    return _print(session, saved, action, changed)


def _check_taken(same: Sequence[ProfileSummary], ending: str, *, overwrite: bool) -> None:
    """Refuse a name that profiles have, unless it is that of the one to overwrite."""
    if same and not overwrite:
        raise Refused(
            f"profile {same[0].id} is already named {sanitize(same[0].name)!r}{ending}",
            hint="--overwrite replaces it; `tm profiles update` changes a part of it",
            code="name_taken",
        )
    if len(same) > 1:
        ids = ", ".join(str(each.id) for each in same)
        raise Refused(
            f"{len(same)} profiles are named {sanitize(same[0].name)!r}{ending}",
            hint=f"`tm profiles update ID` changes one of them: {ids}",
            code="ambiguous_profile",
        )


def _whole(
    session: CommandContext,
    subject: str,
    given: Mapping[str, Any],
    options: FieldOptions,
    name: str | None,
) -> dict[str, Any]:
    """Return the complete document; raises an error that names the option or the key."""
    title = {} if name is None else {"name": name}
    if names_document(subject):
        check_profile_argument(subject, session.context.cwd)
        base = read_changes(session.context.cwd / subject)
    else:
        base = {"name": subject}
        if locustfiles.names_locustfile(subject):
            raise UsageError(f"{subject} is a locustfile; a profile document names it")
    wanted = {**base, **title, **given}
    found = {key: each for key, each in wanted.items() if each is not None}
    _add_derived(found, options)
    if missing := [key for key in REQUIRED if found.get(key) is None]:
        flags = [_FLAGS.get(key, f"--set {key}=VALUE") for key in missing]
        raise UsageError(f"a profile needs {' and '.join(flags)}, or a document that has it")
    try:
        whole = portable({key: each for key, each in found.items() if key not in LOCAL_KEYS})
    except InvalidDocument as problem:
        raise UsageError(f"the profile cannot be created: {problem}") from None
    return whole


def _add_derived(found: dict[str, Any], options: FieldOptions) -> None:
    """Add what the options say about values that the profile has."""
    if options.rate is not None:
        from tm_cli.setup.answers import read_rate

        try:
            rate = read_rate(options.rate)
        except ValueError as problem:
            raise UsageError(f"--rate: {problem}") from None
        if found.get("duration") is None:
            raise UsageError("--rate needs --duration")
        seconds = found["duration"]
        found["points"] = [{"x": 0, "y": rate}, {"x": seconds, "y": rate}]
    if options.header:
        found["requestHeaders"] = merged_headers(found.get("requestHeaders"), options.header)


def _sets(session: CommandContext, options: FieldOptions) -> dict[str, Any]:
    """Return the ids of the variables sets to attach, if any are named."""
    names = options.variables_set
    return {} if names is None else {"variablesSetIds": _set_ids(session, names)}


def _set_ids(session: CommandContext, texts: Sequence[str]) -> list[int]:
    if [text.strip().lower() for text in texts] in (["none"], [""]):
        return []
    sets = session.client.list_variables_sets()
    ids = {str(each.id): each.id for each in sets}
    return [ids.get(text.strip()) or set_named(sets, text).id for text in texts]


def update(
    session: CommandContext,
    profile: str,
    document: str | None,
    options: FieldOptions,
    *,
    name: str | None,
) -> int:
    """Change the given values of a stored profile, and nothing else."""
    cwd = session.context.cwd
    if document is None and names_document(profile):
        document = profile
    given, further = options.read(session)
    changes = _part(session, document, name) | given
    if not changes and options.is_empty():
        raise UsageError("nothing to change: name a document or options")
    ref = resolve_profile(session.client, profile, cwd)
    stored = find_profile_fields(session.client, ref.profile_id)
    needs = {key: each for key, each in changes.items() if each is not None}
    document_of = {"endpointUrl": stored.get("targetUrl"), **needs}
    ending = "; nothing was changed"
    require_support(session, ComparisonOptions(), {}, documents=[document_of], ending=ending)
    further |= _sets(session, options)
    _check_rename(session, ref.profile_id, stored, changes)
    fields, body = _merged(stored, changes, further, options)
    if not field_differences(stored, stored | fields):
        return _print(session, Profile.model_validate(stored), "unchanged", [])
    newest = find_profile_fields(session.client, ref.profile_id)
    if others := _told(field_differences(stored, newest)):
        fields, body = _merged(newest, changes, further, options)
        _say_changed(session, others, fields)
    with refusal(f"the change of profile {ref.profile_id}"):
        saved = session.client.update_profile(ref.profile_id, body)
    answer = saved.document()
    if ignored := {each.top for each in field_differences(answer, answer | fields)}:
        names = sanitize(", ".join(sorted(ignored)))
        session.terminal.write_line(f"tm: the server has not taken {names} as it was sent")
    return _print(session, saved, "updated", _told(field_differences(newest, answer)))


def _part(session: CommandContext, document: str | None, name: str | None) -> dict[str, Any]:
    """Return what a document sets; null is the same as no key."""
    found: dict[str, Any] = {}
    if document is not None:
        check_profile_argument(document, session.context.cwd)
        found = read_changes(session.context.cwd / document)
    left_out = ("_format", *LOCAL_KEYS)
    found = {key: each for key, each in found.items() if key not in left_out and each is not None}
    if name is not None:
        if not name.strip() or len(name) > LONGEST_NAME:
            raise UsageError(f"--name: a name has 1 to {LONGEST_NAME} characters")
        found["name"] = name
    return found | {key: trimmed_name(each) for key, each in found.items() if key == "name"}


def _merged(
    stored: Mapping[str, Any],
    changes: Mapping[str, Any],
    further: Mapping[str, Any],
    options: FieldOptions,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields that are to change, and the whole profile with them, as a write needs it.

    What is missing in a write is reset, and what this program does not know is sent back.
    """
    base = {"duration": stored.get("duration"), "requestHeaders": stored.get("requestHeaders")}
    wanted: dict[str, Any] = {**base, **changes}
    _add_derived(wanted, options)
    derived = [key for key in wanted if key not in base or wanted[key] != base[key]]
    fields = {API_NAMES.get(key, key): _cleared(key, wanted[key]) for key in derived}
    fields |= further
    _check_whole({**stored, **fields})
    return fields, body_of_change(stored, fields)


def _cleared(key: str, value: Any) -> Any:
    """Return what a write has to say so that a value is reset: without these, it is kept."""
    return {"readinessUrl": "", "interpolationMode": "SPLINE"}.get(key) if value is None else value


def _check_whole(whole: Mapping[str, Any]) -> None:
    """Refuse values that contradict each other, as far as they are of a known form."""
    document = {ALIASES.get(key, key): each for key, each in whole.items()}
    try:
        found = list(contradictions(document | {"_format": ""}, gate={}))
    except (TypeError, KeyError, ValueError, AttributeError):  # the server will tell
        return
    if found:
        hint = "--points or --rate gives the curve" if found[0].path[:1] == ("points",) else None
        raise UsageError(f"{found[0]}; nothing was changed", hint=hint)


def _check_rename(
    session: CommandContext, own: int, stored: Mapping[str, Any], changes: Mapping[str, Any]
) -> None:
    name = changes.get("name")
    if name is None or folded_name(name) == folded_name(str(stored.get("name"))):
        return
    for each in session.client.list_profiles():
        if each.id != own and folded_name(each.name) == folded_name(name):
            raise Refused(
                f"profile {each.id} is already named {sanitize(each.name)!r}; nothing was changed",
                hint="two profiles of one name cannot be told apart by it",
                code="name_taken",
            )


_OF_THE_SERVER = frozenset({"id", "status", "createdAt", "updatedAt", "callbackSecret"})


def _told(found: Sequence[Difference]) -> list[Difference]:
    """Leave out what the server alone sets."""
    return [each for each in found if each.top not in _OF_THE_SERVER]


def _say_changed(
    session: CommandContext, others: Sequence[Difference], fields: Mapping[str, Any]
) -> None:
    """Say what another client has written since the profile was read."""
    names = {ALIASES.get(key, key) for key in fields}
    for did, own in (("overwrites", True), ("keeps", False)):
        if tops := sorted({each.top for each in others if (each.top in names) == own}):
            session.terminal.write_line(
                f"tm: the profile was changed since it was read; this {did} the new value of "
                f"{sanitize(', '.join(tops))}"
            )


def _print(
    session: CommandContext, saved: Profile, action: str, changed: Sequence[Difference]
) -> int:
    document = {key: each for key, each in saved.document().items() if key != "callbackSecret"}
    data = {
        "action": action,
        "profile": document,
        "changes": differences_data(changed, "before", "after"),
    }

    def show() -> str:
        line = f"{action} profile {saved.id}: {sanitize(saved.name)}"
        if not changed:
            return line
        table = difference_table(session, ("KEY", "BEFORE", "AFTER"), changed)
        return f"{line}\n{table}"

    return session.emit(data, show)


@contextmanager
def refusal(what: str) -> Iterator[None]:
    """Turn an answer that refuses a write into the error of it.

    Without an answer the error says that the write may have happened.
    """
    try:
        with not_accepted(what):
            yield
    except ConnectionFailed as error:
        if error.maybe_sent:
            error.hint = (
                "it may have been written; `tm profiles show` tells, and to repeat it is safe"
            )
        raise
