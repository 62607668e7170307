"""Whatever is changed, deleted and killed in whatever order, no fetch removes what a replica loads."""

import json
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from llmendpoint.api.endpoint import Endpoint
from llmendpoint.manifests import ManifestDefaults, children
from llmendpoint.reconcile.observation import ChildKey, observe
from llmendpoint.reconcile.plan import make_plan
from llmendpoint.reconcile.prefetch import paths_in_use
from support.builders import endpoint, pod
from support.stored import stored

pytestmark = pytest.mark.no_cover
COMPLETE = {"conditions": [{"type": "Complete", "status": "True"}]}
LABELS = {"llmendpoint.dev/endpoint": "llama", "llmendpoint.dev/component": "prefetch"}


def folder_of(body: dict[str, Any]) -> str:
    path = (body["metadata"].get("annotations") or {}).get("llmendpoint.dev/model-path", "")
    return str(path).rpartition("/")[2]


class Fetches(RuleBasedStateMachine):
    """The operator's plans, a Job controller and a garbage collector that take their time, and a volume."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Endpoint = endpoint()
        self.children: dict[ChildKey, dict[str, Any]] = {}
        self.replicas: list[dict[str, Any]] = []
        self.fetches: list[dict[str, Any]] = []
        self.whole: set[str] = set()
        self.made = 0

    @rule(source=st.sampled_from("ABC"), prefetch=st.sampled_from([True, True, True, False]))
    def ask(self, source: str, prefetch: bool) -> None:
        cache = {"size": "60Gi", "prefetch": prefetch}
        self.asked = endpoint(model={"source": f"hf://acme/{source}", "cache": cache})
        self.reconcile(is_cut_off=False)

    @rule(is_cut_off=st.booleans())
    def reconcile(self, is_cut_off: bool) -> None:
        seen = observe(self.asked, self.children.values(), [*self.replicas, *self.fetches])
        desired = children(self.asked, ManifestDefaults(), in_use=paths_in_use(seen))
        plan = make_plan(seen, desired=desired, replicas=None, load={})
        for body in plan.applies:
            one = stored(dict(body))
            self.made += 1
            one["metadata"]["uid"] = f"uid-{self.made}"
            self.children[one["kind"], one["metadata"]["name"]] = one
            if one["kind"] == "Deployment" and folder_of(one):
                assert folder_of(one) in self.whole, "replicas are to load what is not there"
        for key in () if is_cut_off else plan.deletes:
            del self.children[key]

    @precondition(lambda self: any(kind == "Job" for kind, _ in self.children))
    @rule()
    def make_pods(self) -> None:
        busy = {one["metadata"]["ownerReferences"][0]["uid"] for one in self.phase("Pending", "Running")}
        for (kind, _), job in self.children.items():
            if kind == "Job" and not job["status"] and job["metadata"]["uid"] not in busy:
                self.made += 1
                meta = {"name": f"fetch-{self.made}", "uid": f"uid-{self.made}", "labels": LABELS, "namespace": "team"}
                meta |= {"creationTimestamp": "2025-06-15T16:00:00Z", "ownerReferences": [job["metadata"]]}
                (container,) = job["spec"]["template"]["spec"]["containers"]
                said = {"kind": "Pod", "metadata": meta, "spec": container, "status": {"phase": "Pending"}}
                self.fetches.append(said)

    @precondition(lambda self: self.phase("Pending"))
    @rule()
    def start(self) -> None:
        for one in self.phase("Pending")[:1]:
            assert not self.phase("Running"), "two fetch at the same time"
            one["status"]["phase"] = "Running"
            kept = {arg.partition("=")[2] for arg in one["spec"]["args"] if arg.startswith("--keep=")}
            gone = self.whole - kept - {self.download(one)}
            engines = [body for (kind, _), body in self.children.items() if kind == "Deployment"]
            assert gone.isdisjoint(map(folder_of, (*engines, *self.replicas))), "removed what a replica loads"
            self.whole -= gone

    @precondition(lambda self: self.phase("Running"))
    @rule(is_well=st.booleans())
    def end(self, is_well: bool) -> None:
        for one in self.phase("Running"):
            one["status"]["phase"] = "Succeeded" if is_well else "Failed"
            job = self.children.get(("Job", one["metadata"]["ownerReferences"][0]["name"]))
            if is_well:
                self.whole.add(self.download(one))
            if is_well and job and job["metadata"]["uid"] == one["metadata"]["ownerReferences"][0]["uid"]:
                job["status"] = COMPLETE

    @precondition(lambda self: self.fetches)
    @rule()
    def collect(self) -> None:
        there = {body["metadata"]["uid"] for body in self.children.values()}
        left = [one for one in self.fetches if one["metadata"]["ownerReferences"][0]["uid"] in there]
        self.fetches = left

    @rule()
    def delete_jobs_by_hand(self) -> None:
        self.children = {key: body for key, body in self.children.items() if key[0] != "Job"}

    @precondition(lambda self: ("Deployment", "llama-engine") in self.children)
    @rule()
    def add_replica(self) -> None:
        self.made += 1
        template = self.children["Deployment", "llama-engine"]["spec"]["template"]
        one = pod(f"llama-engine-{self.made}")
        one["metadata"]["annotations"] = template["metadata"].get("annotations", {})
        self.replicas.append(one)

    @precondition(lambda self: self.replicas)
    @rule()
    def drain_replica(self) -> None:
        self.replicas = self.replicas[1:]

    def phase(self, *phases: str) -> list[dict[str, Any]]:
        return [one for one in self.fetches if one["status"]["phase"] in phases]

    @staticmethod
    def download(one: dict[str, Any]) -> str:
        said = next(arg.partition("=")[2] for arg in one["spec"]["args"] if arg.startswith("--download="))
        return str(json.loads(said)["folder"])


TestFetches = Fetches.TestCase
TestFetches.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
