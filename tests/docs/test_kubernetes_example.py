"""The Kubernetes example is what a cluster takes, and its command is one of tm."""

import pytest
import yaml

from checks.pages import ROOT
from tm_cli.exit_codes import ExitCode

PATH = ROOT / "examples" / "kubernetes-agents.yml"
DEPLOYMENT, POLICY = yaml.safe_load_all(PATH.read_text(encoding="utf-8"))
POD = DEPLOYMENT["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]

KNOWN = {
    "pod": {
        "automountServiceAccountToken": bool,
        "enableServiceLinks": bool,
        "terminationGracePeriodSeconds": int,
        "securityContext": dict,
        "topologySpreadConstraints": list,
        "containers": list,
        "volumes": list,
    },
    "container": {
        "name": str,
        "image": str,
        "args": list,
        "env": list,
        "resources": dict,
        "securityContext": dict,
        "volumeMounts": list,
    },
}
"""The fields of the API that the example uses, with their types."""


@pytest.mark.parametrize(
    ("document", "version", "kind"),
    [(DEPLOYMENT, "apps/v1", "Deployment"), (POLICY, "networking.k8s.io/v1", "NetworkPolicy")],
)
def test_the_kinds_are_those_of_the_cluster(document, version, kind):
    assert (document["apiVersion"], document["kind"]) == (version, kind)
    assert set(document) == {"apiVersion", "kind", "metadata", "spec"}
    assert document["metadata"]["name"] == "tm-agent"


@pytest.mark.parametrize(("part", "fields"), [(POD, KNOWN["pod"]), (CONTAINER, KNOWN["container"])])
def test_fields_have_names_and_types_of_the_api(part, fields):
    assert {name: type(value) for name, value in part.items()} == fields
    for item in CONTAINER["args"]:
        assert isinstance(item, str)


def test_selectors_choose_the_pods():
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    (spread,) = POD["topologySpreadConstraints"]
    assert DEPLOYMENT["spec"]["selector"]["matchLabels"] == labels
    assert POLICY["spec"]["podSelector"]["matchLabels"] == labels
    assert spread["labelSelector"]["matchLabels"] == labels
    assert POLICY["spec"]["policyTypes"] == ["Ingress"]  # and no rule that permits any


def test_the_pods_need_no_privilege_and_no_writable_disk():
    assert POD["automountServiceAccountToken"] is False
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["runAsUser"] > 0
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "cpu" not in CONTAINER["resources"]["limits"]


def test_the_key_comes_from_a_secret_by_way_of_a_file():
    (volume,), (mount,) = POD["volumes"], CONTAINER["volumeMounts"]
    assert mount["name"] == volume["name"]
    assert volume["secret"] == {"secretName": "tm-agent", "defaultMode": 0o440}
    environ = {item["name"]: item.get("value") for item in CONTAINER["env"]}
    assert environ["TM_API_KEY_FILE"] == f"{mount['mountPath']}/api-key"
    assert "TM_API_KEY" not in environ


@pytest.mark.process
def test_the_command_is_one_of_tm(tm, tmp_path):
    key = tmp_path / "api-key"
    key.write_text("tm_k")
    words = [word.replace("$(POD_NAME)", "tm-agent-7d9c5b6f4-x2x7q") for word in CONTAINER["args"]]
    environ = {"TM_API_KEY_FILE": str(key), "TM_CA_FILE": "missing.pem"}
    result = tm(*words, environ=environ)
    assert result.exit_code == ExitCode.CONFIGURATION
    assert "certificates in missing.pem" in result.stderr  # which is looked at last
