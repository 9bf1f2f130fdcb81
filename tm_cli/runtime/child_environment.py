"""How tm starts Python programs of its own: their command line and their environment.

With `python -m` the working directory comes first on the import path, so that a `queue.py` of the
project would be run. Children therefore get `-P`, an import path without relative entries, and only
the variables that they need: no key or token of the caller.
"""

# Nothing but `os` and `sys`, which Python has imported already, is imported here, not even
# `__future__`: the working directory may still be on the import path.
# ruff: noqa: PTH100, PTH109, PTH117, PTH120, SIM905

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
"""The directory (or archive) that tm itself is imported from."""

_STANDARD_LIBRARY = os.path.dirname(os.path.abspath(os.__file__))

_NAMES = frozenset(
    # the system and the user's directories
    "PATH HOME LANG LANGUAGE LOCPATH LOCALE_ARCHIVE TZ TZDIR TEMP TMP TMPDIR SQLITE_TMPDIR "
    "LD_LIBRARY_PATH LD_PRELOAD DYLD_LIBRARY_PATH DYLD_FALLBACK_LIBRARY_PATH DYLD_FRAMEWORK_PATH "
    # Windows
    "SYSTEMROOT SYSTEMDRIVE WINDIR COMSPEC PATHEXT USERPROFILE HOMEDRIVE HOMEPATH APPDATA "
    "LOCALAPPDATA PROGRAMDATA NUMBER_OF_PROCESSORS PROCESSOR_ARCHITECTURE "
    # name resolution and certificates
    "RES_OPTIONS LOCALDOMAIN HOSTALIASES SSL_CERT_FILE SSL_CERT_DIR OPENSSL_CONF OPENSSL_MODULES "
    # Python
    "PYTHONHOME PYTHONPATH PYTHONUSERBASE PYTHONNOUSERSITE PYTHONPYCACHEPREFIX PYTHONTZPATH "
    "PYTHONDONTWRITEBYTECODE PYTHONUTF8 PYTHONIOENCODING PYTHONCOERCECLOCALE PYTHONUNBUFFERED "
    "PYTHONHASHSEED PYTHONWARNINGS PYTHONDEVMODE PYTHONFAULTHANDLER PYTHONTRACEMALLOC PYTHONMALLOC "
    "PYTHONOPTIMIZE PYTHONLEGACYWINDOWSFSENCODING PYTHONLEGACYWINDOWSSTDIO".split()
)
_PREFIXES = ("LC_", "XDG_", "GEVENT_", "GEVENTARES_", "COVERAGE_", "COV_CORE_")

_LISTS = frozenset(
    "PATH PYTHONPATH PYTHONTZPATH LD_LIBRARY_PATH DYLD_LIBRARY_PATH DYLD_FALLBACK_LIBRARY_PATH "
    "DYLD_FRAMEWORK_PATH".split()
)
"""Lists of directories; an empty or relative one means the working directory or one in it."""

_PATHS = frozenset(
    "PYTHONHOME PYTHONUSERBASE PYTHONPYCACHEPREFIX OPENSSL_CONF OPENSSL_MODULES".split()
)
"""What code is loaded from; passed on only if absolute."""

TERMINAL = ("TERM", "COLUMNS", "NO_COLOR", "FORCE_COLOR")
"""What decides how tm writes."""

OWNERS = ("TM_TRUSTED_OWNERS", "SUDO_UID")
"""What decides whose files are read."""

RUNNER_CLASS = "TM_RUNNER_CLASS"
RUNNER = (
    RUNNER_CLASS,
    "ImageOS",  # of GitHub's hosted runners, such as `ubuntu24`
    "CI_RUNNER_TAGS",  # GitLab
    "BUILDKITE_AGENT_META_DATA_QUEUE",
    "NODE_LABELS",  # Jenkins
)
"""What names the class of the machine; the first that is set counts."""

SERVER = (
    *("TM_CONFIG_DIR", "TM_CONTEXT", "TM_ALLOW_PUBLIC_TARGETS", "TM_CA_FILE"),
    *("TM_REQUIRE_VERIFIED_DOMAINS", "TM_CAPTURE_SOURCES"),
    *("TM_MAX_RPS", "TM_MAX_PROFILE_RPS", "TM_MAX_CONCURRENT_RUNS", "TM_MAX_PROFILES"),
    *("TM_MAX_VARIABLES_SETS", "TM_MAX_REQUEST_BYTES", "TM_HISTORY_RETENTION_DAYS"),
    *("TM_MONTHLY_REQUESTS", "TM_REQUESTS_PER_MINUTE"),
    *(*OWNERS, *RUNNER),
)
"""The settings that a local server reads; its directory is an argument."""

CREATION_FLAGS = 0x00000200 if sys.platform == "win32" else 0  # CREATE_NEW_PROCESS_GROUP
"""With `start_new_session`, for children that Ctrl-C at the terminal must not reach."""

_dropped: set[str] = set()
"""What `clean_import_path` has taken out of `sys.path`."""


def command(module: str) -> list[str]:
    """Return the start of a command line that runs a module in this Python."""
    options = ["-P"]
    if sys.flags.ignore_environment:
        options.append("-E")
    if sys.flags.no_user_site:
        options.append("-s")
    return [sys.executable, *options, "-m", module]


def environment(environ: "Mapping[str, str]", also: "Iterable[str]" = ()) -> dict[str, str]:
    """Return what a child gets of `environ`: what Python and the system need, and `also`."""
    wanted = _NAMES.union(also)
    found = {
        name: kept
        for name, value in environ.items()
        if (name in wanted or name.startswith(_PREFIXES)) and (kept := _kept(name, value))
    }
    search = [entry for entry in found.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if _ROOT not in search and (_ROOT in _dropped or _ROOT not in sys.path[1:]):
        search.append(_ROOT)  # such as an archive, or a checkout that is not installed
    if search:
        found["PYTHONPATH"] = os.pathsep.join(search)
    return found | {"PYTHONSAFEPATH": "1"}  # for the children of the child


def _kept(name: str, value: str) -> str:
    """Return the value without what would be looked up in the working directory."""
    if name in _LISTS:
        return os.pathsep.join(filter(os.path.isabs, value.split(os.pathsep)))
    if name in _PATHS and not os.path.isabs(value):
        return ""
    return value


def clean_import_path(*, started_as_module: bool = False) -> None:
    """Take the working directory and relative entries of PYTHONPATH out of `sys.path`.

    `started_as_module` says that `python -m` has put the working directory there. The place that tm
    itself comes from stays, at the end.
    """
    try:
        relative = {os.path.abspath(entry) for entry in _relative_entries()}
        if started_as_module and not sys.flags.safe_path and sys.path[:1] == [os.getcwd()]:
            relative.add(sys.path[0])
    except OSError:  # there is no working directory, so nothing can be imported from it
        return
    if not relative:
        return
    _dropped.update(relative)
    kept = [entry for entry in sys.path if entry and entry not in relative]
    needed = [entry for entry in (_STANDARD_LIBRARY, _ROOT) if entry in relative]
    sys.path[:] = kept + needed


def _relative_entries() -> list[str]:
    if sys.flags.ignore_environment or not (value := os.environ.get("PYTHONPATH")):
        return []
    return [entry for entry in value.split(os.pathsep) if not os.path.isabs(entry)]
