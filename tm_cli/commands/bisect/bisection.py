"""The steps of `tm bisect`: compare GOOD with BAD, then commit after commit with GOOD."""

from __future__ import annotations

import math
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tm_cli.api.trafficmorph import Profile
from tm_cli.backends.trafficmorph.profile_documents import (
    names_document,
    portable,
    read_document,
)
from tm_cli.backends.trafficmorph.profile_values import LONGEST_NAME
from tm_cli.bisect.repository import Commit, Repository
from tm_cli.bisect.search import Effect
from tm_cli.bisect.services import (
    CommitBuilds,
    Served,
    ServiceCommands,
    Untestable,
    end_leftovers,
    environment,
    remove_directory,
)
from tm_cli.bisect.state import ERRORS, TIMES, State, StateFile, Terms, Trial
from tm_cli.cli.options import StartOptions, confirm_deletion
from tm_cli.cli.session import CommandContext
from tm_cli.commands.bisect.results import as_data, conclusion, describe, percent_of, trial_line
from tm_cli.commands.run import profile_of
from tm_cli.commands.runs.features import AB_RUN, WAITING, require_features
from tm_cli.commands.runs.gate import RunGate
from tm_cli.commands.runs.request import read_request
from tm_cli.commands.shared.ci_platforms import COMMIT_TAG
from tm_cli.commands.shared.follow import open_view
from tm_cli.commands.shared.profile_argument import check_profile_argument, resolve_profile
from tm_cli.errors import Interrupted, TmError, Undecided, UsageError
from tm_cli.exit_codes import ExitCode
from tm_cli.gate.events import Decided, Event
from tm_cli.gate.lifecycle import Follow
from tm_cli.gate.model import Comparison, Result
from tm_cli.gate.policy import Gate
from tm_cli.gate.scheduler import consume, drive
from tm_cli.values.durations import format_duration, parse_duration
from tm_cli.values.text import as_number, sanitize
from tm_cli.values.urls import LOCAL, is_loopback

RESUME = "`tm bisect --continue` goes on, `tm bisect --status` shows what is known"
ATTEMPTS = 3
"""How often a run may end without a verdict before the search stops."""

_DIRECTORY = "tm-bisect-"
_HALF_INTERVAL = 1.96


def read_terms(
    session: CommandContext,
    *,
    confidence: str,
    build_timeout: str,
    start_timeout: str,
    profile: str,
    **further: Any,
) -> Terms:
    """Return what the options ask for; sends nothing. Raises UsageError."""
    profile_of(profile, further["rate"], further["duration"], cwd=session.context.cwd)
    if names_document(profile) and "://" not in profile:
        check_profile_argument(profile, session.context.cwd)
        profile = str((session.context.cwd / profile).resolve())
        read_document(Path(profile))
    for name in ("serve", "build"):
        if further[name] is not None and not further[name].strip():
            raise UsageError(f"--{name} is empty")
    return Terms(
        profile=profile,
        confidence=_read_confidence(confidence),
        build_timeout=_read_time("--build-timeout", build_timeout),
        start_timeout=_read_time("--start-timeout", start_timeout),
        **further,
    )


def _read_confidence(text: str) -> float:
    try:
        found = float(text.strip().removesuffix("%")) / 100
    except ValueError:
        found = math.nan
    if not 0.5 <= found <= 0.999:
        raise UsageError(f"--confidence: {text!r} is not between 50% and 99.9%")
    return found


def _read_time(flag: str, text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as problem:
        raise UsageError(f"{flag}: {problem}") from None
    if seconds <= 0:
        raise UsageError(f"{flag} must be longer than zero")
    return seconds


def start(session: CommandContext, good: str, bad: str, terms: Terms) -> int:
    """Begin a search; raises UsageError when one is under way."""
    repository, file = _open(session)
    with file.locked():
        known = file.read()
        if known is not None and known.has_results and not known.is_over:
            raise UsageError(
                f"a search from {known.good.short} to {known.bad.short} is under way here",
                hint=f"{RESUME}, `tm bisect --reset` forgets it",
            )
        first, last = repository.find(good, "GOOD"), repository.find(bad, "BAD")
        commits = repository.between(first, last, first_parent=terms.first_parent)
        _require_local_server(session)
        if known is not None:
            _clean_up(repository, known)
        file.clear()
        state = State(terms, first, commits, mark=session.context.make_token(), directory="")
        return _search(session, repository, file, state)


def resume(session: CommandContext) -> int:
    """Go on with the search."""
    repository, file = _open(session)
    if (found := _require(file)).is_over:
        return _finish(session, found)
    _require_local_server(session)
    with file.locked():
        state = _require(file)  # as the last one at work has left it
        _clean_up(repository, state)
        return _search(session, repository, file, state)


def show_status(session: CommandContext) -> int:
    """Show what is known."""
    state = _require(_open(session)[1])
    return session.emit(as_data(state), lambda: describe(session.terminal, state))


def reset(session: CommandContext, *, yes: bool) -> int:
    """Forget the search; a file that cannot be read is removed as well."""
    repository, file = _open(session)
    try:
        state = file.read()
    except TmError:
        state = None
    if state is not None and not state.is_over:
        confirm_deletion(session, f"the search with {len(state.trials)} runs", yes=yes)
    with file.locked():
        if state is not None:
            _clean_up(repository, state)
        file.clear()
    return session.emit({"reset": True}, lambda: "the search is forgotten")


def _open(session: CommandContext) -> tuple[Repository, StateFile]:
    repository = Repository(session.context.cwd, session.context.environ)
    return repository, StateFile(repository.git_dir / "tm-bisect")


def _require(file: StateFile) -> State:
    state = file.read()
    if state is None:
        raise UsageError(
            "no search is under way in this repository",
            hint="`tm bisect GOOD BAD --serve COMMAND --profile PROFILE` begins one",
        )
    return state


def _clean_up(repository: Repository, state: State) -> None:
    """Remove what a tm that was killed has left behind."""
    end_leftovers(state.mark)
    place = Path(state.directory)
    if place.name.startswith(_DIRECTORY) and place.parent == Path(tempfile.gettempdir()):
        remove_directory(repository, place)


def _require_local_server(session: CommandContext) -> None:
    """Refuse before anything is built what could not be played; starts the embedded server."""
    server = session.settings.server or LOCAL
    if server != LOCAL and not is_loopback(server):
        raise UsageError(
            f"tm bisect serves commits on this machine, which {sanitize(server)} does not reach",
            hint="use the embedded server: --base-url local",
        )
    require_features(session, [AB_RUN, WAITING], ending="; nothing was started")


def _search(session: CommandContext, repository: Repository, file: StateFile, state: State) -> int:
    """Play runs until there is a result; whatever ends this earlier names how to go on."""
    context = session.context
    state.directory = tempfile.mkdtemp(prefix=_DIRECTORY)
    file.write(state)
    terms = state.terms
    builds = CommitBuilds(
        repository,
        ServiceCommands(terms.build, terms.serve, terms.build_timeout, terms.start_timeout),
        Path(state.directory),
        file.logs,
        environment(context.environ, state.mark),
        context.spawn,
        context.serve,
        context.clock,
        session.note,
    )
    try:
        document = _read_document(session, terms)
        _Bisection(session, file, state, builds, document).run()
    except BaseException:
        if state.has_results:
            session.terminal.write_line(f"tm: {_count(state)} kept; {RESUME}")
        else:
            file.forget()
        raise
    finally:
        builds.close()
    return _finish(session, state)


def _count(state: State) -> str:
    count = len(state.trials)
    return "1 run is" if count == 1 else f"{count} runs are"


def _finish(session: CommandContext, state: State) -> int:
    """Print the result; it is an error where no commit was found."""
    error = conclusion(state)
    return session.emit(as_data(state), lambda: describe(session.terminal, state), error=error)


def _read_document(session: CommandContext, terms: Terms) -> dict[str, Any]:
    """Return the profile to play, with a name of its own: the user's history stays as it is."""
    cwd = session.context.cwd
    document = profile_of(terms.profile, terms.rate, terms.duration, cwd=cwd)
    if document is None and names_document(terms.profile):
        document = read_document(Path(terms.profile))
    if document is None:
        ref = resolve_profile(session.client, terms.profile, session.context.cwd)
        document = portable(session.client.export_profile(ref.profile_id))
    if document.get("loop"):
        raise UsageError("the profile loops, so its runs never end", hint="turn `loop` off")
    return {**document, "name": f"bisect {document['name']}"[:LONGEST_NAME]}


@dataclass(slots=True)
class _Bisection:
    session: CommandContext
    file: StateFile
    state: State
    builds: CommitBuilds
    document: dict[str, Any]

    def run(self) -> None:
        """Play runs until a commit is probable enough, or none can be found."""
        state, note = self.state, self.session.note
        seconds = as_number(self.document.get("duration"))
        length = f" of {format_duration(seconds)}" if seconds else ""
        count = len(state.commits)
        note(f"tm: {count} commit{'s' if count > 1 else ''} after GOOD ({state.good})")
        note(f"tm: each is compared with GOOD by A/B runs{length}; Ctrl-C ends the search for now")
        while not state.is_over:
            commit = self._next()
            if commit is None:
                state.is_over = True
            else:
                self._try(commit)
            self.file.write(state)

    def _next(self) -> Commit | None:
        """Return the commit to measure; None when there is a result, or will be none."""
        state = self.state
        search, is_known = state.search(), state.metric is not None
        if is_known and search.candidates().probability >= state.terms.confidence:
            return None
        if len(state.trials) >= state.terms.max_runs:
            return None
        if not is_known:
            return None if state.are_alike or state.are_indistinct else state.bad
        number = search.next_commit()
        return None if number is None else state.commit(number)

    def _try(self, commit: Commit) -> None:
        """Play a run of the commit, or note that it cannot be tested."""
        state = self.state
        try:
            trial = self._measure(commit)
        except Untestable as problem:
            self._show_log(problem)
            if problem.commit.id in (state.good.id, state.bad.id):
                name = "GOOD" if problem.commit.id == state.good.id else "BAD"
                raise TmError(
                    f"{name} cannot be tested: {problem.message}",
                    hint=f"its log: {problem.log}",
                    code="untestable",
                ) from None
            self._skip(commit, problem.what)
            return
        finally:
            end_leftovers(state.mark)  # also those that have left the group of their command
        state.add(trial)
        self.session.note(f"tm: {trial_line(state, trial)}")
        if state.fails_requests(trial):
            self._skip(commit, "has errors that GOOD does not have")
        if state.metric is not None:
            self._note_progress()

    def _skip(self, commit: Commit, reason: str) -> None:
        self.session.terminal.write_line(f"tm: {commit.short} {reason}; it is skipped")
        self.state.untestable[commit.id] = reason

    def _note_progress(self) -> None:
        search, confidence = self.state.search(), self.state.terms.confidence
        left, likely = search.runs_left(confidence), search.likeliest(confidence)
        if left:
            count = f"one of {len(likely)} commits" if len(likely) > 1 else "one commit"
            self.session.note(
                f"tm: {count} with {percent_of(confidence)}, {self.state.commit(likely[0])} with "
                f"{percent_of(search.candidates().probability)}; "
                f"about {left} more run{'s' if left > 1 else ''}"
            )

    def _show_log(self, problem: Untestable) -> None:
        for line in problem.last_lines():
            self.session.terminal.write_line(f"  | {line}")
        self.session.terminal.write_line(f"tm: all of it: {sanitize(problem.log)}")

    def _measure(self, commit: Commit) -> Trial:
        """Serve GOOD and the commit side by side and load both; raises Untestable."""
        keep, builds = self.state.good.id, self.builds
        for served in (self.state.good, commit):
            builds.build(served, keep=keep)  # nothing is built next to a service under load
        with (
            builds.serve(self.state.good, keep=keep) as good,
            builds.serve(commit, keep=keep) as candidate,
        ):
            self.session.note(f"tm: comparing {commit} with GOOD")
            for _ in range(ATTEMPTS):
                decided = self._play(candidate, good)
                result = decided.result
                if result is not None and result.verdict is not None and result.comparisons:
                    return _as_trial(commit, result)
                candidate.require_running()
                good.require_running()
                why = (result and result.note) or decided.decision.message
                self.session.terminal.write_line(f"tm: {sanitize(why)}")
        if commit.id != self.state.bad.id:
            raise Untestable(commit, f"had no verdict in {ATTEMPTS} runs", candidate.log)
        raise Undecided(
            f"{ATTEMPTS} runs of {commit.short} ended without a verdict",
            hint=f"the logs of the services: {self.file.logs}",
        )

    def _play(self, candidate: Served, good: Served) -> Decided:
        session, url = self.session, str(self.document["endpointUrl"])
        document = {**self.document, "endpointUrl": _moved(url, candidate.origin)}
        if probe := document.get("readinessUrl"):
            document["readinessUrl"] = _moved(str(probe), candidate.origin)
        chosen = StartOptions(
            against=_moved(url, good.origin),
            wait_for_target=f"{self.state.terms.start_timeout:g}s",
            tag=["bisect", f"{COMMIT_TAG}{candidate.commit.id[:40]}"],
        )
        request = read_request(session, [document["name"]], chosen, document=document)
        gate = Gate(
            wait_timeout=session.setting("wait_timeout", None),
            verdict_timeout=session.setting("verdict_timeout", None),
        )
        runs = _AbGate(session).plan(request, gate)[0].runs
        return self._follow(Follow(runs, gate, session.context.clock), gate)

    def _follow(self, follow: Follow, gate: Gate) -> Decided:
        """Return how the run ended; a signal stops it. Raises what makes another run useless."""
        clock, found = self.session.context.clock, list[Decided]()
        events = drive([follow], gate, clock, stop_on_interrupt=True)
        with open_view(self.session.terminal, clock, quiet=self.session.quiet) as view:

            def handle(position: int, event: Event) -> None:
                found.extend([event] if isinstance(event, Decided) else [])
                view.show(event, position)

            consume(events, handle)
        decision = found[-1].decision
        if decision.exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED, ExitCode.HANGUP):
            raise Interrupted(decision.exit_code - 128, decision.message, hint=decision.hint)
        if decision.exit_code not in (ExitCode.OK, ExitCode.UNDECIDED):
            error = TmError(decision.message, hint=decision.hint, code=decision.code)
            error.exit_code = decision.exit_code
            raise error
        return found[-1]


class _AbGate(RunGate):
    """Starts A/B runs without a word on each of them."""

    def _note_start(self, profile: Profile) -> None:
        pass


_BEFORE_THE_PATH = re.compile(r"^\$\{[^}]*\}")  # such as ${BASE_URL}


def _moved(url: str, origin: str) -> str:
    """Return the address with the place where a commit is served."""
    place, parts = urlsplit(origin), urlsplit(_BEFORE_THE_PATH.sub("http://any", url))
    return urlunsplit((place.scheme, place.netloc, parts.path, parts.query, ""))


def _as_trial(commit: Commit, result: Result) -> Trial:
    found = {item.metric: item for item in result.comparisons if item.metric in (*TIMES, ERRORS)}
    effects = {name: effect for name in TIMES if name in found and (effect := _effect(found[name]))}
    errors = found[ERRORS].verdict if ERRORS in found else None
    return Trial(commit.id, result.run_id or "", str(result.verdict), effects, errors)


def _effect(item: Comparison) -> Effect | None:
    """Return the change on a logarithmic scale; its error comes from the interval."""
    known = (item.change, item.ci_low, item.ci_high)
    if any(value is None or value <= -100 for value in known):
        return None
    middle, low, high = (math.log1p((value or 0.0) / 100) for value in known)
    return Effect(middle, max((high - low) / (2 * _HALF_INTERVAL), 1e-6))
