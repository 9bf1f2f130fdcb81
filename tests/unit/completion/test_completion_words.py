"""What may follow at the cursor, whatever the shell."""

import pytest

from tests.services.trafficmorph import KEY
from tm_cli.completion.candidates import list_files
from tm_cli.completion.shells import read_line, read_words, unquote


@pytest.fixture
def after(tm, httpserver):
    """Return the candidates after a line, as zsh gets them."""

    def run(line, profiles=(), files=(), contexts=()):
        for name in files:
            (tm.cwd / name).write_text("", encoding="utf-8")
        tables = [f'[contexts.{name}]\nregion = "eu"\n' for name in contexts]
        (tm.home / "config.toml").write_text("".join(tables), encoding="utf-8")
        listed = [{"id": 7, "name": name} for name in profiles]
        httpserver.expect_request("/api/v1/profiles").respond_with_json(listed)
        environ = {"TM_BASE_URL": httpserver.url_for("/"), "TM_API_KEY": KEY}
        words = read_line("tm " + line).words
        result = tm("completion", "zsh", "--", *words, environ=environ)
        return [item.split("\t")[0] for item in result.stdout.splitlines()[1:]]

    return run


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ru", ["run", "runs"]),
        ("runs st", ["start", "status", "stop"]),
        ("runs nope ", []),
        ("nope ", []),
        ("--timeout 3s runs sta", ["start", "status"]),
        ("runs start --wai", ["--wait", "--wait-timeout", "--wait-for-target"]),
        ("runs start x --fail-on ", ["FAIL", "WARN", "NO_BASELINE"]),
        ("runs start x --fail-on FAIL,", ["FAIL,WARN", "FAIL,NO_BASELINE"]),
        ("runs start x --fail-on FAIL,W", ["FAIL,WARN"]),
        ("runs start x --fail-on=NO", ["--fail-on=NO_BASELINE"]),
        ("runs start x --report j", ["json=", "junit="]),
        ("runs start x --wait-timeout ", []),
        ("runs start x --wait=", []),
        ("completion ", ["bash", "zsh", "fish", "powershell"]),
        ("doctor --system s", ["strait"]),
        ("help ex", ["exit-codes"]),
        ("help runs sto", ["stop"]),
        ("help nope ", []),
        ("history show ", []),
        ("history compare 1 2 --format ", ["table", "json", "markdown"]),
        ("history list --verdict NO", ["NO_BASELINE"]),
        ("runs start x --on-interrupt ", ["detach", "stop"]),
        ("runs start x --no-g", ["--no-github", "--no-gitlab"]),
        ("profiles get", []),
        ("jobs wait x --canceled-as ", ["FAIL", "WARN"]),
        ("jobs list --execution-mode w", ["worker"]),
        ("init --ci ", ["github", "gitlab", "make", "none"]),
        ("--base-url l", ["local"]),
    ],
)
def test_what_may_follow(after, line, expected):
    assert after(line) == expected


def test_profiles_and_documents_stand_together(after):
    found = after("runs start ch", profiles=["checkout", "search"], files=["checkout.yaml"])
    assert found == ["checkout", "checkout.yaml"]


def test_several_profiles_may_follow_each_other(after):
    assert after("runs start checkout --wait se", profiles=["search"]) == ["search"]


def test_one_profile_is_enough_for_a_command_that_takes_one(after):
    assert after("profiles show checkout se", profiles=["search"]) == []


def test_an_option_that_is_given_is_not_offered_again_unless_it_may_be_repeated(after):
    assert "--region" not in after("runs start x --region eu --")
    assert "--tag" in after("runs start x --tag a --")


def test_after_two_dashes_everything_is_an_argument(after):
    assert after("runs start -- ", profiles=["checkout"]) == ["checkout"]


def test_hidden_options_are_not_offered(after):
    assert "--api-key" not in after("runs start --")


def test_contexts_are_offered_everywhere(after):
    assert after("--context st", contexts=["staging"]) == ["staging"]
    assert after("runs start --context=st", contexts=["staging"]) == ["--context=staging"]


def test_a_report_goes_on_with_a_file(after):
    assert after("runs start x --report json=g", files=["gate.json"]) == ["json=gate.json"]


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("plain", "plain"),
        ("'a b'", "a b"),
        ('"a b', "a b"),
        (r"a\ b", "a b"),
        (r'"a \"b"', 'a "b'),
        (r"'a\b'", r"a\b"),
        ('a"b c"d', "ab cd"),
        ("a\\", "a"),
        ("$(rm)", "$(rm)"),
    ],
)
def test_quotes_are_taken_off_and_nothing_is_expanded(typed, plain):
    assert unquote(typed) == plain


def test_a_line_is_split_at_blanks_outside_of_quotes():
    typed = read_line('tm  runs start "check out" a\\ b "open qu')
    assert typed.before == ("runs", "start", "check out", "a b")
    assert (typed.current, typed.raw) == ("open qu", '"open qu')
    assert read_line("tm").words == ("",)
    assert read_line("tm runs ").words == ("runs", "")
    assert read_words([]).current == ""


def test_files_of_a_directory_are_listed_with_their_folder(tmp_path):
    (tmp_path / "load").mkdir()
    for name in ("a.yaml", "b.json", "c.txt", ".hidden.yaml", "load/d.yml"):
        (tmp_path / name).write_text("", encoding="utf-8")

    def values(current, endings=(".yaml", ".yml", ".json")):
        return [item.value for item in list_files(tmp_path, current, endings)]

    assert values("") == ["a.yaml", "b.json", "load/"]
    assert values("load/") == ["load/d.yml"]
    assert values("./a") == ["./a.yaml"]
    assert values(".h") == [".hidden.yaml"]
    assert values("c", ()) == ["c.txt"]
    assert values(f"{tmp_path.as_posix()}/a") == [f"{tmp_path.as_posix()}/a.yaml"]
    assert values("nowhere/") == values("~/") == values("\0/") == []
