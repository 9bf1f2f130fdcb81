"""`tm mcp` publishes what TrafficMorph's own MCP server does; `differences.json` says where not."""

import json
import re
from pathlib import Path

import pytest

from tests.process.mcp.official.conversation import PUBLISHED, Failed, published, without_texts
from tests.process.mcp.official.story import Story
from tm_cli.mcp.tools import TOOLS

pytestmark = pytest.mark.process

GOLDEN = json.loads(PUBLISHED.read_text(encoding="utf-8"))
DIFFERENCES = json.loads(Path(__file__).with_name("differences.json").read_text(encoding="utf-8"))
LIMITS = {
    "minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum", "exclusiveMinimum",
    "maxProperties", "pattern",
}  # fmt: skip


def test_the_golden_file_is_what_the_official_server_publishes(official):
    assert published(official.listed()) == GOLDEN


def test_prompts_and_resources_are_the_published_ones(ours):
    listed = published(ours.listed())
    assert listed["prompts"] == GOLDEN["prompts"]
    assert listed["resources"] == GOLDEN["resources"]


def test_all_published_tools_are_offered_in_addition_to_our_own(ours):
    names = {tool["name"] for tool in ours.listed()["tools"]}
    assert len(GOLDEN["tools"]) == 37
    assert names >= GOLDEN["tools"].keys()
    assert names == {tool.name for tool in TOOLS}


@pytest.fixture(scope="module")
def listed(ours):
    return published(ours.listed())["tools"]


def marks(annotations):
    if annotations.get("readOnlyHint"):
        return "read-only"
    assert annotations["destructiveHint"]
    return "idempotent" if annotations["idempotentHint"] else "destructive"


@pytest.mark.parametrize("name", GOLDEN["tools"])
def test_a_tool_takes_the_published_arguments_and_is_marked_alike(name, listed):
    golden, ours = GOLDEN["tools"][name], listed[name]
    assert marks(ours["annotations"]) == marks(golden["annotations"])
    theirs, own = plain(golden["arguments"]), plain(ours["arguments"])
    assert sorted(own["required"]) == sorted(theirs["required"])
    explained = {key.partition(".")[2] for key in DIFFERENCES if key.startswith(f"{name}.")}
    assert set(differing(theirs["properties"], own["properties"])) == explained
    assert set(limits(ours["arguments"])) >= set(limits(golden["arguments"]))


def test_every_difference_is_explained_and_none_is_left_over():
    for key, reason in DIFFERENCES.items():
        assert reason, key
        assert key == "*" or key.split(".")[0] in GOLDEN["tools"], key


def plain(schema):
    """A schema as both servers can write it.

    The official one allows null where an argument may be left out; ours refuses what the server
    would refuse (limits), and names that it does not know.
    """
    if isinstance(schema, list):
        return [plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "anyOf" in schema:
        (schema,) = [item for item in schema["anyOf"] if item != {"type": "null"}]
    found = {
        key: plain(value)
        for key, value in without_texts(schema).items()
        if key not in LIMITS | {"additionalProperties"}
    }
    if found.get("default", True) is None:
        del found["default"]
    return {"required": [], **found} if found.get("type") == "object" else found


def limits(schema, path=""):
    """Yield every limit of a schema with its place."""
    if isinstance(schema, list):
        for item in schema:
            yield from limits(item, path)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key in LIMITS and not isinstance(value, dict):
                yield path, key, value
            else:
                yield from limits(value, path if key == "anyOf" else f"{path}.{key}")


def differing(theirs, own):
    """Yield the names of arguments that only one of both has, or that differ."""
    for name in theirs.keys() | own.keys():
        if theirs.get(name) != own.get(name):
            yield name


@pytest.fixture(scope="module")
def answers(official, ours, captures, internet):
    """What both servers have answered to the same story."""
    return [
        Story(server, name, captures, internet).tell()
        for name, server in (("a", official), ("b", ours))
    ]


def test_the_story_needs_every_published_tool(answers):
    assert answers[0].keys() >= GOLDEN["tools"].keys()


@pytest.mark.parametrize("name", [*GOLDEN["tools"], "a gate"])
def test_a_tool_answers_in_the_published_shape(name, answers):
    theirs, own = (set(paths(found[name])) for found in answers)
    assert own >= theirs
    assert own == theirs or name in ("tm_start_run", "a gate")  # gates say more


def test_resources_hold_what_the_official_ones_do(official, ours, answers):
    profile, run = (answers[1][name]["id"] for name in ("tm_create_profile", "tm_get_run"))
    for uri in GOLDEN["resources"]:
        address = uri.format(profile_id=profile, run_id=run)
        if uri.startswith("tm://history/{"):
            assert "not in the history" in refused(ours, address)  # the story has deleted it
        else:
            assert ours.read(address) == without_secret(official.read(address))
    assert "tm://profiles/{profile_id}" in refused(ours, "tm://profiles/0")


def without_secret(profile):
    """Ours shows asterisks for the secret of a profile."""
    has_secret = isinstance(profile, dict) and profile.get("callbackSecret")
    return {**profile, "callbackSecret": "***"} if has_secret else profile


def refused(server, uri):
    with pytest.raises(Failed) as error:
        server.read(uri)
    return str(error.value)


ARGUMENTS = {
    "profile_id": "42",
    "target_url": "https://shop.example/a",
    "rps": "50",
    "duration_seconds": "60",
    "capture_path": "traffic.jsonl",
}


@pytest.mark.parametrize("name", GOLDEN["prompts"])
def test_prompts_name_their_arguments_and_tools_that_are_there(name, official, ours):
    given = {word: ARGUMENTS[word] for word, _required in GOLDEN["prompts"][name]}
    text = ours.prompt(name, **given)
    assert all(value in text for value in given.values())
    assert all(value in official.prompt(name, **given) for value in given.values())
    named = set(re.findall(r"\btm_\w+", text))
    assert named
    assert named <= GOLDEN["tools"].keys()


def paths(value, path=""):
    """Yield the keys of an answer at every depth; of a list, those of its first item."""
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from paths(item, f"{path}.{key}")
    elif isinstance(value, list) and value:
        yield from paths(value[0], f"{path}[]")
