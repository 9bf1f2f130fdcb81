"""What is used of Locust, read from its source: a new release that has moved any of it is found.

Locust itself is not imported, because that replaces the sockets of the process.
"""

import ast
import importlib.util
from pathlib import Path

import pytest

LOCUST = Path(importlib.util.find_spec("locust").submodule_search_locations[0])


def tree_of(module):
    return ast.parse((LOCUST / module).read_text(encoding="utf-8"))


def functions(module, owner):
    """The parameters of each method of a class, without `self`."""
    (found,) = (
        node
        for node in tree_of(module).body
        if isinstance(node, ast.ClassDef) and node.name == owner
    )
    return {
        node.name: [argument.arg for argument in node.args.args[1:]]
        for node in found.body
        if isinstance(node, ast.FunctionDef)
    }


@pytest.mark.parametrize(
    ("module", "owner", "method", "parameters"),
    [
        ("runners.py", "MasterRunner", "__init__",
         ["environment", "master_bind_host", "master_bind_port"]),
        ("runners.py", "MasterRunner", "reset_connection", []),
        ("runners.py", "MasterRunner", "handle_message", ["client_id", "msg"]),
        ("runners.py", "MasterRunner", "send_message", ["msg_type", "data", "client_id"]),
        ("runners.py", "MasterRunner", "start",
         ["user_count", "spawn_rate", "wait", "user_classes"]),
        ("runners.py", "MasterRunner", "quit", []),
        ("runners.py", "MasterRunner", "rebalancing_enabled", []),
        ("runners.py", "WorkerRunner", "__init__", ["environment", "master_host", "master_port"]),
        ("runners.py", "WorkerRunner", "connect_to_master", []),
        ("runners.py", "WorkerRunner", "reset_connection", []),
        ("runners.py", "WorkerRunner", "handle_message", ["msg"]),
        ("runners.py", "WorkerRunner", "spawning_complete", ["user_count"]),
        ("runners.py", "WorkerRunner", "start_worker", ["user_classes_count"]),
        ("runners.py", "WorkerRunner", "send_message", ["msg_type", "data", "client_id"]),
        ("runners.py", "Runner", "register_message", ["msg_type", "listener", "concurrent"]),
        ("runners.py", "WorkerNodes", "__delitem__", ["k"]),
        ("runners.py", "WorkerNode", "__init__", ["id", "state", "heartbeat_liveness"]),
        ("dispatch.py", "UsersDispatcher", "__init__", ["worker_nodes", "user_classes"]),
        ("dispatch.py", "UsersDispatcher", "remove_worker", ["worker_node"]),
        ("rpc/zmqrpc.py", "BaseSocket", "__init__", ["sock_type", "ipv4_only"]),
        ("rpc/zmqrpc.py", "BaseSocket", "send", ["msg"]),
        ("rpc/zmqrpc.py", "BaseSocket", "send_to_client", ["msg"]),
        ("rpc/zmqrpc.py", "BaseSocket", "recv_from_client", []),
        ("rpc/zmqrpc.py", "Server", "__init__", ["host", "port"]),
        ("rpc/zmqrpc.py", "Client", "__init__", ["host", "port", "identity"]),
        ("rpc/protocol.py", "Message", "__init__", ["message_type", "data", "node_id"]),
    ],
)  # fmt: skip
def test_a_method_that_is_used_or_replaced_has_its_parameters(module, owner, method, parameters):
    assert functions(module, owner)[method] == parameters


@pytest.mark.parametrize(
    "name",
    [
        "HEARTBEAT_INTERVAL",
        "HEARTBEAT_LIVENESS",
        "MASTER_HEARTBEAT_TIMEOUT",
        "WORKER_REPORT_INTERVAL",
        "WORKER_LOG_REPORT_INTERVAL",
        "CONNECT_TIMEOUT",
    ],
)
def test_an_interval_is_a_name_of_the_module_that_functions_read(name):
    tree = tree_of("runners.py")
    assigned = [
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    assert name in assigned
    read = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name]
    assert any(isinstance(node.ctx, ast.Load) for node in read)


@pytest.mark.parametrize(
    ("event", "arguments"),
    [
        ("worker_report", {"client_id", "data"}),
        ("heartbeat_sent", {"client_id", "timestamp"}),
        ("heartbeat_received", {"client_id", "timestamp"}),
        ("report_to_master", {"client_id", "data"}),
    ],
)
def test_an_event_is_fired_with_its_arguments(event, arguments):
    fired = [
        {keyword.arg for keyword in node.keywords}
        for node in ast.walk(tree_of("runners.py"))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(f"events.{event}.fire")
    ]
    assert fired == [arguments]


def test_the_sockets_of_the_runners_come_from_names_that_can_be_replaced():
    calls = [
        ast.unparse(node.func)
        for node in ast.walk(tree_of("runners.py"))
        if isinstance(node, ast.Call)
    ]
    assert calls.count("rpc.Server") == calls.count("rpc.Client") == 2  # constructor and reset
    made = ast.unparse(tree_of("rpc/__init__.py"))
    assert "from . import zmqrpc as rpc" in made


def test_pickle_is_not_used_between_master_and_workers():
    names = {
        alias.name
        for module in ("rpc/protocol.py", "rpc/zmqrpc.py", "runners.py")
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert "pickle" not in names
    assert "msgpack" in names
