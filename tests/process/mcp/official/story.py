"""One story that needs every tool, told to a server and answered by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.process.mcp.official.conversation import Conversation, Failed
from tests.process.mcp.official.internet import Internet

QUICKLY = {"poll_interval_seconds": 0.1}
TARGET = "http://127.0.0.1:9/?mode="
DEPENDS_ON_THE_MOMENT = {"recentBuckets", "responseCodeCounts", "currentRps", "plannedRps"}
CSV = "user,weight\nada,5\ngrace,1\n"


class Story:
    """What every tool has answered, by its name; names of what is made begin with `prefix`."""

    def __init__(
        self, conversation: Conversation, prefix: str, captures: Path, internet: Internet
    ) -> None:
        self._conversation = conversation
        self._prefix = prefix
        self._internet = internet
        self._capture = str(captures / "traffic.jsonl")
        self.answers: dict[str, Any] = {}

    def tell(self) -> dict[str, Any]:
        self.account()
        self.variables()
        self.profiles()
        self.runs()
        self.domains()
        self.captures()
        return self.answers

    def call(self, tool: str, /, **arguments: Any) -> Any:
        found = self._conversation.call(tool, **arguments)
        self.answers.setdefault(tool, found)
        return found

    def refused(self, tool: str, /, **arguments: Any) -> str:
        """Return why a call is an error."""
        try:
            self._conversation.call(tool, **arguments)
        except Failed as error:
            return str(error)
        raise AssertionError(f"{tool} accepts {arguments}")

    def account(self) -> None:
        self.call("tm_get_account")
        assert "local" in [item["regionCode"] for item in self.call("tm_list_regions")]

    def variables(self) -> None:
        name = f"{self._prefix} users"
        made = self.call("tm_create_variables_set", name=name, csv_content=CSV)
        self._set = {"variables_set_id": made["id"]}
        assert made["mode"] == "ROW"
        assert name in self.refused("tm_create_variables_set", name=name, csv_content=CSV)
        renamed = self.call("tm_rename_variables_set", **self._set, name=f"{name} 2")
        assert renamed["name"] == f"{name} 2"
        self.call("tm_change_variables_set_mode", **self._set, mode="SEQUENTIAL")
        assert self.call("tm_get_variables_set", **self._set)["mode"] == "SEQUENTIAL"
        assert made["id"] in [item["id"] for item in self.call("tm_list_variables_sets")]

    def profiles(self) -> None:
        made = self._made("held", "hold")
        self._profile = {"profile_id": made["id"]}
        assert "held" in self.refused("tm_create_profile", **self._body("HELD ", "hold"))
        changed = self.call(
            "tm_update_profile",
            **self._profile,
            request_body="a\n  b",
            http_method=None,
            variables_set_ids=[self._set["variables_set_id"]],
            schedule={
                "mode": "PERIODIC",
                "timezone": "Europe/Berlin",
                "slots": [{"dayOfWeek": 7, "time": "03:00"}],
            },
        )
        assert changed["points"] == made["points"]
        assert "held" in self.refused("tm_delete_variables_set", **self._set)
        got = self.call("tm_get_profile", **self._profile)
        assert got["requestBody"] == "a\n  b"
        assert got["httpMethod"] == "PUT"
        assert made["id"] in [item["id"] for item in self.call("tm_list_profiles")]
        document = self.call("tm_export_profile", **self._profile)
        assert self.refused("tm_import_profile", profile=document)
        copy = self.call("tm_import_profile", profile=document, name=f"{self._prefix} copy")
        again = self.call("tm_import_profile", profile={**document, "name": f"{self._prefix} COPY"},
                          overwrite=True)  # fmt: skip
        assert again["id"] == copy["id"]
        self.call("tm_delete_schedule", **self._profile)
        assert self.call("tm_get_profile", **self._profile).get("schedule") is None
        self.call("tm_update_profile", **self._profile, variables_set_ids=[])
        self.call("tm_delete_variables_set", **self._set)
        self.call("tm_delete_profile", profile_id=copy["id"])
        assert self.refused("tm_delete_profile", profile_id=copy["id"])

    def _body(self, name: str, mode: str) -> dict[str, Any]:
        return {
            "name": f"{self._prefix} {name}",
            "target_url": f"{TARGET}{mode}",
            "duration_seconds": 20,
            "points": [{"x": 0, "y": 10}, {"x": 20, "y": 10.5}],
        }

    def _made(self, name: str, mode: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call(
            "tm_create_profile", **self._body(name, mode), http_method="PUT", request_headers=None
        )
        return found

    def runs(self) -> None:
        started = self.call("tm_start_run", **self._profile, tags=["story"])
        assert started["waited"] is False
        status = self.call("tm_get_run_status", **self._profile)
        assert status["status"] == "RUNNING"
        self.answers["tm_get_run_status"] = {
            name: value for name, value in status.items() if name not in DEPENDS_ON_THE_MOMENT
        }
        assert self.call("tm_pause_run", **self._profile)["status"] == "PAUSED"
        assert self.call("tm_resume_run", **self._profile)["status"] == "RUNNING"
        assert self.call("tm_stop_run", **self._profile)["status"] == "IDLE"
        assert self.refused("tm_resume_run", **self._profile)
        quick = self._made("quick", "quick")["id"]
        gate = {"wait": True, "fail_on_verdict": ["FAIL"], **QUICKLY}
        first, second = (self.call("tm_start_run", profile_id=quick, **gate) for _ in range(2))
        self.answers["a gate"] = first
        assert first["fail_on_match"] is False
        assert first["verdict"] == "NO_BASELINE"
        page = self.call("tm_list_history", profile_id=quick, size=1, from_="2020-01-01T00:00:00")
        assert [row["id"] for row in page["content"]] == [second["run_id"]]
        detail = self.call("tm_get_run", run_id=first["run_id"])
        assert detail["latencyQuantiles"]["p95"] > 0
        assert detail["rpsSeries"]
        runs = {"run_id": first["run_id"], "baseline_run_id": second["run_id"]}
        assert self.call("tm_compare_runs", **runs)["run_id"] == second["run_id"]
        filters = self.call("tm_list_history_filters")
        assert quick in [item["id"] for item in filters["profiles"]]
        self.call("tm_delete_run", run_id=first["run_id"])
        assert self.refused("tm_get_run", run_id=first["run_id"])

    def domains(self) -> None:
        name = f"{self._prefix}.shop.test"
        made = self.call("tm_add_domain", domain=name)
        assert self.call("tm_add_domain", domain=name.upper()) == made
        domain, token = {"domain_id": made["id"]}, made["verificationToken"]
        assert token in self.refused("tm_verify_domain_dns", **domain)
        self._internet.install_record(name, token)
        assert self.call("tm_verify_domain_dns", **domain)["verified"] is True
        assert made["id"] in [item["id"] for item in self.call("tm_list_domains")]
        local = self.call("tm_add_domain", domain="localhost")
        domain, token = {"domain_id": local["id"]}, local["verificationToken"]
        self._internet.install_file("another token")
        assert token in self.refused("tm_verify_domain_http", **domain)
        self._internet.install_file(token)
        assert self.call("tm_verify_domain_http", **domain)["verificationMethod"] == "HTTP"
        self.call("tm_delete_domain", **domain)
        assert self.refused("tm_delete_domain", **domain)

    def captures(self) -> None:
        found = self.call("tm_analyse_capture", capture_path=self._capture)
        groups = [
            {key: group[key] for key in ("method", "urlSkeleton")} for group in found["groups"]
        ]
        assert groups
        made = self.call(
            "tm_import_capture",
            capture_path=self._capture,
            selections={"groups": [{**groups[0], "profileName": f"{self._prefix} users"}]},
        )
        assert made["createdProfiles"][0]["name"] == f"{self._prefix} users"
        sources = self.call("tm_list_capture_sources")
        (source,) = [item for item in sources if item["name"] == self._prefix]
        self.answers["tm_list_capture_sources"] = [source]  # the other one has been listed before
        (file,) = self.call("tm_list_capture_source_files", source_id=source["id"])
        remote = {"source_id": source["id"], "path": file["path"]}
        assert self.call("tm_analyse_remote_capture", **remote)["groups"] == found["groups"]
        imported = self.call("tm_import_remote_capture", **remote, selections={"groups": groups})
        assert imported["createdProfiles"]
