"""The controller as a pod: installed by helm and by plain manifests, with an account that may do little."""

import itertools
import json
import re
import time

import pytest
import yaml

from tests.integration.harness import text
from tests.integration.harness.installed import InstalledSite
from tests.integration.harness.processes import ROOT

_numbers = itertools.count(1)
INSTALL = ROOT / "manifests" / "install.yaml"
VAULT = {"vault.yml": "A: {PASSWORD: vault-password-4c1d}\n", "vault.salt": "salt-0123456789abcdefgh"}


@pytest.fixture(name="make_installed", scope="module")
def _make_installed(place, dataops):
    made = []

    def make(namespace: str = "") -> InstalledSite:
        namespace = namespace or place.make_empty_namespace(f"site-{next(_numbers)}")
        made.append(InstalledSite(place, dataops, namespace))
        return made[-1]

    yield make
    for site in made:
        site.stop()


@pytest.fixture(name="home", scope="module")
def _home(make_installed):
    """A release by helm, with a runner's token and a vault."""
    site = make_installed()
    site.token = site.make_runner()
    site.make_secrets({"runner-token": site.token, "runner-registration-token": ""}, VAULT)  # as the stock chart wants it
    site.install()
    return site


class TestHelm:
    def test_a_job_runs_with_what_the_contract_names(self, home):
        job = home.job(["cat /secrets/vault.yml | wc -l", "touch /agent_cache/seen /local_config/seen && echo both",
                        "cat README.md > /dev/null && echo sources"], artifacts={"paths": ["README.md"]})
        job.succeeds()
        assert job.script_output().split() == ["1", "both", "sources"]
        assert job.files().keys() == {"README.md"}

    def test_it_is_known_as_long_as_it_lives(self, home):
        (pod,) = home.controller.pods()
        (status,) = pod["status"]["containerStatuses"]
        assert status["ready"] and status["restartCount"] == 0, "the probes are answered"

    @pytest.mark.parametrize(("verb", "what"), [
        ("create", "pods:exec"), ("create", "pods:attach"), ("get", "secrets"), ("list", "secrets"), ("watch", "secrets"), ("delete", "secrets"),
        ("get", "secret/dataops-vault"), ("update", "pods"), ("get", "nodes"), ("list", "nodes"), ("get", "namespaces"), ("list", "namespaces"),
        ("create", "namespaces"), ("get", "persistentvolumeclaims"), ("get", "configmaps"), ("*", "*"), ("create", "serviceaccounts:token"),
    ])  # fmt: skip
    def test_it_may_not(self, home, verb, what):
        assert self._may(home, verb, what) == "no"

    @pytest.mark.parametrize(("verb", "what"), [
        ("create", "pods"), ("delete", "pods"), ("patch", "pods"), ("watch", "pods"), ("get", "pods:log"), ("create", "secrets"),
        ("get", "secret/dataops-runner-state"), ("update", "secret/dataops-runner-state"), ("update", "leases"), ("list", "events"),
    ])  # fmt: skip
    def test_it_may(self, home, verb, what):
        assert self._may(home, verb, what) == "yes"

    @staticmethod
    def _may(home, verb, what):
        """what: a resource, resource/name, or resource:subresource."""
        account = f"system:serviceaccount:{home.namespace}:{home.release}"
        resource, _, below = what.partition(":")
        more = [f"--subresource={below}"] if below else []
        return home.place.kubectl("auth", "can-i", verb, resource, *more, f"--as={account}", "-n", home.namespace, check=False).strip()

    def test_the_jobs_account_may_nothing(self, home):
        account = f"system:serviceaccount:{home.namespace}:{home.release}-job"
        for verb, what in (("get", "pods"), ("list", "secrets"), ("get", "secret/dataops-vault")):
            done = home.place.kubectl("auth", "can-i", verb, what, f"--as={account}", "-n", home.namespace, check=False)
            assert done.strip() == "no"

    def test_every_right_is_used_and_no_request_is_refused(self, home):
        refused = [r for r in home.place.requests(home.namespace) if r["code"] == 403]
        assert refused == []


TERMINAL_STRING = re.compile(rb"\x1b_.*?\x1b\\", re.DOTALL)


def as_a_terminal_shows(log: bytes) -> bytes:
    """ESC E begins a new line; strings between ESC _ and ESC \\ are not shown."""
    return TERMINAL_STRING.sub(b"", log).replace(b"\x1bE", b"\n")


class TestWhatOthersSee:
    @pytest.fixture(name="seen", scope="class")
    def _seen(self, home):
        """A job's pod as people see it while it runs, and the job when it ended."""
        job = home.job(["for i in 1 2 3; do echo line $i; done; echo going; sleep 15; echo end of $SECRET $FILE"],
                       variables={"SECRET": {"value": "masked-value-77aa", "masked": True},
                                  "FILE": {"value": "file-content-19fe", "file": True, "masked": True}})
        job.wait_trace(rb"\ngoing")
        (pod,) = job.pods()
        job.pod_yaml = home.place.kubectl("get", "pod", pod["metadata"]["name"], "-n", home.namespace, "-o", "yaml")
        job.described = home.place.kubectl("describe", "pod", pod["metadata"]["name"], "-n", home.namespace)
        job.kubectl_logs = home.place.kubectl("logs", pod["metadata"]["name"], "-n", home.namespace).encode(errors="surrogateescape")
        job.succeeds()
        return job

    def test_kubectl_logs_reads_like_the_jobs_log(self, seen):
        shown, trace = as_a_terminal_shows(seen.kubectl_logs), seen.trace
        so_far = trace[:trace.index(b"\ngoing\n") + len(b"\ngoing\n")]
        assert shown.startswith(so_far), (shown, so_far)
        assert text.plain(shown).count("line 2") == 1

    def test_no_secret_value_is_in_the_pod_or_the_audit_log(self, home, seen, dataops):
        known = dataops.secrets()
        values = [v for group in ("runner_tokens", "job_tokens", "masked") for v in known[group] if len(v) >= 8]
        values += ["vault-password-4c1d", VAULT["vault.salt"], "file-content-19fe", "masked-value-77aa"]
        events = home.place.kubectl("get", "events", "-n", home.namespace, "-o", "json")
        places = {"pod": seen.pod_yaml, "described": seen.described, "events": events, "audit log": home.place.audit.read_text(errors="replace"),
                  "controller's log": home.controller.log, "job's log": seen.trace.decode(), "kubectl logs": seen.kubectl_logs.decode()}
        assert [(where, value) for where, data in places.items() for value in values if value in data] == []
        assert "dataops-runner/sealed" in seen.pod_yaml, "what adoption needs is there, sealed"

    def test_the_pod_has_no_token_and_no_service_links(self, seen):
        pod = yaml.safe_load(seen.pod_yaml)["spec"]
        assert pod["automountServiceAccountToken"] is False and pod["enableServiceLinks"] is False
        assert "kube-api-access" not in seen.pod_yaml


class TestRestart:
    NUMBERS = b"".join(b"%d\n" % n for n in range(1, 400_001))

    @pytest.mark.parametrize("how", ["restart", "kill"])
    def test_a_job_goes_on_over_a_restart(self, home, how):
        job = home.job([text.marked("seq 1 200000; sleep 25; seq 200001 400000")])
        job.wait_trace(rb"\n1000\n")
        getattr(home.controller, how)()
        assert job.state == "running"
        home.controller.wait_log(rf"job_adopted +job={job.id}", 60)
        job.succeeds(120)
        assert job.between() == self.NUMBERS

    def test_the_same_system_id_ever_after(self, home, dataops):
        runner = next(r for r in dataops.runners() if r["token"] == home.token)
        assert len(runner["system_ids"]) == 1
        assert len([r for r in dataops.runners() if r["description"] == home.tag and r["token"] == home.token]) == 1


class TestRegistration:
    def test_it_registers_once_and_a_restart_goes_on(self, make_installed, dataops):
        site = make_installed()
        site.tag = "registered-" + site.namespace
        site.make_secrets({"runner-registration-token": dataops.info["registration_tokens"]["group"], "runner-token": ""})
        site.install(agentName=site.tag)
        mine = self._mine(dataops, site)
        assert len(mine) == 1
        assert mine[0]["tags"] == [site.tag] and mine[0]["run_untagged"] is False
        site.job(["echo first"]).succeeds()
        site.controller.restart()
        site.job(["echo second"]).succeeds()
        site.controller.kill()
        site.controller.wait_ready()
        site.job(["echo third"]).succeeds()
        again = self._mine(dataops, site)
        assert [r["id"] for r in again] == [mine[0]["id"]], "a restart registers nothing"
        assert len(again[0]["system_ids"]) == 1
        state = json.loads(site.place.kubectl("get", "secret", "dataops-runner-state", "-n", site.namespace, "-o", "json"))
        assert {"version", "registrations", "key-k1"} <= state["data"].keys()

    @staticmethod
    def _mine(dataops, site):
        return [r for r in dataops.runners() if r["description"] == site.tag]


class TestNetworkPolicies:
    """The node's network enforces none, so this shows no more than that the API server takes them as they are meant."""

    def test_the_api_server_takes_them_whole(self, home):
        given = list(yaml.safe_load_all((ROOT / "manifests/networkpolicy.yaml").read_text()))
        taken = json.loads(home.place.kubectl("apply", "--dry-run=server", "--validate=strict", "-o", "json", "-f", "manifests/networkpolicy.yaml"))
        specs = {item["metadata"]["name"]: item["spec"] for item in taken["items"]}
        assert specs.keys() == {"dataops-runner", "dataops-runner-jobs"}
        assert specs["dataops-runner"] == {key: value for key, value in given[0]["spec"].items() if value != []}

    def test_the_jobs_policy_finds_every_jobs_pod(self, home):
        _, policy = yaml.safe_load_all((ROOT / "manifests/networkpolicy.yaml").read_text())
        ((key, value),) = policy["spec"]["podSelector"]["matchLabels"].items()
        job = home.job(["echo going; sleep 5"])
        job.wait_trace(rb"\ngoing")
        found = json.loads(home.place.kubectl("get", "pods", "-n", home.namespace, "-l", f"{key}={value}", "-o", "json"))["items"]
        assert {pod["metadata"]["name"] for pod in job.pods()} <= {pod["metadata"]["name"] for pod in found}
        job.succeeds()


class TestManifests:
    """manifests/install.yaml as it stands, in the namespace that it is made for."""

    @pytest.fixture(name="plain", scope="class")
    def _plain(self, make_installed):
        site = make_installed("default")
        site.stop = lambda: site.place.kubectl("delete", "-f", str(INSTALL), "--ignore-not-found", "--wait=false", check=False)
        yield site
        site.stop()
        for name in ("dataops-runner-token", "platform-authority", "dataops-runner-state"):
            site.place.kubectl("delete", "secret", name, "-n", "default", "--ignore-not-found", check=False)

    def test_applied_twice_it_is_unchanged(self, plain):
        plain.place.kubectl("apply", "-f", str(INSTALL))
        again = plain.place.kubectl("apply", "-f", str(INSTALL)).splitlines()
        assert len(again) == 7 and all(line.endswith(" unchanged") for line in again), again

    def test_without_its_token_the_pod_waits_and_an_event_says_why(self, plain):
        deadline = time.monotonic() + 30
        messages = ""
        while "dataops-runner-token" not in messages and time.monotonic() < deadline:
            messages = plain.place.kubectl("get", "events", "-n", "default", "--field-selector=reason=FailedMount", "-o", "jsonpath={.items[*].message}")
            time.sleep(0.5)
        assert 'secret "dataops-runner-token" not found' in messages
        (pod,) = plain.controller.pods()
        assert pod["status"]["phase"] == "Pending"

    def test_with_token_and_address_a_job_runs(self, plain):
        """What an operator edits in the file: the platform's address and its authority."""
        plain.make_secrets({"runner-token": plain.make_runner(), "ca.crt": plain.authority})
        manifest = INSTALL.read_text().replace('url = "https://app.dataops.live"', f'url = "{plain.url}"\n'
                                               '      tls-ca-file = "/etc/dataops-runner/token/ca.crt"')
        plain.place.kubectl("apply", "-f", "-", text=manifest)
        plain.place.kubectl("rollout", "restart", "deployment/dataops-runner", "-n", "default")
        plain.controller.wait_ready()
        job = plain.job(["echo from plain manifests; touch /agent_cache/x"], image=plain.place.image)
        job.succeeds()
        assert "from plain manifests" in job.script_output()
