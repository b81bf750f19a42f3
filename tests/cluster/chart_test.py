"""What the chart makes of values; no cluster is needed, only helm (tests/cluster/cluster build)."""

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "deploy" / "helm" / "dataops-runner"
CI = sorted((CHART / "ci").glob("*.yaml"))


@pytest.fixture(scope="session", name="helm")
def _helm() -> str:
    done = subprocess.run([REPOSITORY / "tests/cluster/cluster", "build"], capture_output=True, text=True, check=True)
    return f"{done.stdout.strip()}/helm"


class Rendered:
    """The objects of one `helm template`."""

    def __init__(self, text: str):
        self.text = text
        self.objects = [o for o in yaml.safe_load_all(text) if o]

    def of(self, kind: str) -> list[dict]:
        return [o for o in self.objects if o["kind"] == kind]

    @property
    def config(self) -> dict:
        return tomllib.loads(self.of("ConfigMap")[0]["data"]["config.toml"])

    @property
    def runner(self) -> dict:
        (runner,) = self.config["runners"]
        return runner

    @property
    def mounts(self) -> dict[str, tuple[str, dict]]:
        """path -> kind of volume and its entry; twice the same path is an error."""
        found = {}
        for kind, entries in self.runner["kubernetes"].get("volumes", {}).items():
            for entry in entries:
                assert entry["mount_path"] not in found
                found[entry["mount_path"]] = (kind, entry)
        return found

    @property
    def pod(self) -> dict:
        return self.of("Deployment")[0]["spec"]["template"]["spec"]


@pytest.fixture(name="render")
def _render(helm, tmp_path):
    def render(values: dict | None = None, release: str = "site", *more: str) -> Rendered:
        path = tmp_path / "values.yaml"
        path.write_text(yaml.safe_dump(values or {}))
        command = [helm, "template", release, CHART, "--namespace", "ns", "--values", path, *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(done.stderr)
        return Rendered(done.stdout)

    return render


@pytest.fixture(name="notes")
def _notes(helm, tmp_path):
    """What helm prints after an install; `helm template` renders no notes, so a copy of the chart has them as an object."""
    chart = tmp_path / "chart"
    shutil.copytree(CHART, chart)
    text = (chart / "templates" / "NOTES.txt").read_text()
    wrapped = '{{ define "notes" }}' + text + '{{ end }}\nkind: Notes\nmetadata: {name: notes}\ntext: {{ include "notes" . | toJson }}\n'
    (chart / "templates" / "notes.yaml").write_text(wrapped)

    def notes(*settings: str) -> str:
        command = [helm, "template", "site", chart, "--namespace", "ns", *(f"--set={setting}" for setting in settings)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        (found,) = Rendered(done.stdout).of("Notes")
        return found["text"]

    return notes


def _config(text: str) -> dict:
    return {"runners": {"config": text}}


def test_defaults_give_the_job_what_the_contract_names(render):
    mounts = render().mounts
    assert mounts["/secrets"][1]["name"] == "dataops-vault" and mounts["/secrets"][1]["read_only"]
    assert mounts["/agent_cache"] == ("pvc", {"name": "site-agent-cache", "mount_path": "/agent_cache"})
    assert mounts["/local_config"][0] == "empty_dir"


@pytest.mark.parametrize("path", CI, ids=lambda path: path.name)
def test_every_documented_file_renders_valid_toml(render, path):
    assert render(yaml.safe_load(path.read_text())).runner["token_file"]


def test_the_example_of_the_readme_gives_what_it_says(render):
    text = (REPOSITORY / "README.md").read_text()
    values = yaml.safe_load(text.split("cat > dataops-values.yml <<'END'\n")[1].split("END\n")[0])
    out = render(values | {"strictValues": True}, "dataops-runner")
    assert out.pod["containers"][0]["image"] == out.runner["kubernetes"]["helper_image"] == "registry.example.com/dataops-runner:0.1.0"
    assert out.config["concurrent"] == 20 and out.runner["kubernetes"]["memory_request"] == "2Gi"
    assert out.of("PersistentVolumeClaim")[0]["spec"]["storageClassName"] == "shared"
    assert {"name": "RUNNER_TAG_LIST", "value": "my-company-production"} in out.pod["containers"][0]["env"]


def test_two_renders_are_the_same_bytes(render):
    assert render().text == render().text


def test_rights_are_exactly_those_of_the_design(render):
    (role,) = render().of("Role")
    rights = {
        (resource, verb, *rule.get("resourceNames", []))
        for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]
    }  # fmt: skip
    assert rights == {
        *(("pods", verb) for verb in ("create", "get", "list", "watch", "delete", "patch")),
        ("pods/log", "get"),
        ("secrets", "create"),
        ("secrets", "get", "site-state"),
        ("secrets", "update", "site-state"),
        *(("leases", verb) for verb in ("get", "create", "update")),
        ("events", "list"),
    }
    assert not render().of("ClusterRole")


def test_jobs_in_a_namespace_of_their_own_leave_the_state_secret_at_home(render):
    out = render({"jobs": {"namespace": "jobs"}})
    roles = {role["metadata"].get("namespace"): role for role in out.of("Role")}
    apart, home = roles["jobs"], roles[None]
    assert not any("resourceNames" in rule for rule in apart["rules"])
    assert {resource for rule in home["rules"] for resource in rule["resources"]} == {"secrets"}
    assert out.runner["kubernetes"]["namespace"] == "jobs"


def test_namespace_in_runners_config_takes_the_role_with_it(render):
    out = render(_config('[[runners]]\n  [runners.kubernetes]\n    namespace = "jobs-x"\n'))
    for kind in ("Role", "RoleBinding"):
        assert {o["metadata"].get("namespace") for o in out.of(kind)} == {"jobs-x", None}


def test_an_account_of_ones_own_makes_no_rbac(render):
    out = render({"rbac": {"create": False, "serviceAccountName": "x"}})
    assert not out.of("Role") + out.of("RoleBinding") + out.of("ServiceAccount")
    assert out.pod["serviceAccountName"] == "x"


def test_no_account_at_all_is_refused_in_words(render):
    with pytest.raises(ValueError, match="no account for the controller"):
        render({"rbac": {"create": False}})
    with pytest.raises(ValueError, match="every pod's account"):
        render({"rbac": {"serviceAccountName": "default"}})


@pytest.mark.parametrize("text", ["concurrent = 3\n[[runners]]\n", "[[runners]]\n  concurrent = 3\n  [runners.kubernetes]\n"])
def test_concurrent_inside_runners_config_wins(render, text):
    out = render(_config(text) | {"concurrent": 20})
    assert out.config["concurrent"] == 3 and "concurrent" not in out.runner


def test_what_runners_config_sets_wins_over_values(render):
    text = '[[runners]]\n  name = "mine"\n  [runners.kubernetes]\n    image = "other"\n    cpu_request = "2"\n'
    out = render(_config(text) | {"agentName": "values"})
    assert out.runner["name"] == "mine"
    assert out.runner["kubernetes"]["image"] == "other" and out.runner["kubernetes"]["cpu_request"] == "2"


@pytest.mark.parametrize("text", ["", "[[runners]]\n", "[[runners]]\n  [runners.kubernetes.pod_labels]\n    a = 'b'\n"])
def test_a_short_runners_config_is_completed(render, text):
    out = render(_config(text))
    assert out.runner["url"] == "https://app.dataops.live"
    assert out.runner["kubernetes"]["helper_image"] == "docker.io/dataops-runner:0.1.0"


def test_a_claim_in_runners_config_is_the_only_cache(render):
    text = '[[runners]]\n  [runners.kubernetes]\n  [[runners.kubernetes.volumes.pvc]]\n    name = "efs"\n    mount_path = "/agent_cache"\n'
    out = render(_config(text))
    assert out.mounts["/agent_cache"][1]["name"] == "efs"
    assert not out.of("PersistentVolumeClaim")


def test_docker_volumes_count_as_mounts(render):
    text = '[[runners]]\n  [runners.docker]\n    volumes = ["/app:/local_config:rw", "/secrets:/secrets:ro", "/agent_cache:/agent_cache"]\n'
    assert not render(_config(text)).mounts


def test_a_second_runner_is_refused(render):
    with pytest.raises(ValueError, match="more than one"):
        render(_config("[[runners]]\n[[runners]]\n"))


def test_vault_and_vault_secret_exclude_each_other(render):
    with pytest.raises(ValueError, match="vaultSecret"):
        render({"vault": {"a": 1}, "vaultSecret": "v"})


def test_vault_as_text_is_an_error(render):
    with pytest.raises(ValueError, match="vault"):
        render({"vault": "a: 1"})


def test_a_named_vault_must_exist(render):
    assert "optional" not in render({"vaultSecret": "v"}).mounts["/secrets"][1]


def test_misspelt_keys(render):
    with pytest.raises(ValueError, match="creat"):
        render({"rbac": {"creat": True}})
    assert render({"unknownKey": 1}).of("Deployment")
    with pytest.raises(ValueError, match="unknownKey"):
        render({"unknownKey": 1, "strictValues": True})


def test_every_value_of_the_chart_is_known(render):
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert render(values | {"strictValues": True}).of("Deployment")


def test_the_token_is_only_in_its_secret(render):
    out = render({"runnerToken": "glrt-secret-value"})
    (secret,) = out.of("Secret")
    assert secret["data"].keys() == {"runner-token"}
    assert "glrt-secret-value" not in out.text


@pytest.mark.parametrize(
    ("value", "key"), [("GR1348941-x\r\n", "runner-registration-token"), ("glrt-x\n", "runner-token")]
)
def test_a_registration_token_is_trimmed_and_seen_through(render, value, key):
    assert render({"runnerRegistrationToken": value}).of("Secret")[0]["data"].keys() == {key}


def test_the_platforms_authority_is_named_by_its_host(render):
    runner = render({"gitlabUrl": "https://platform.example:8443/", "certsSecretName": "authority"}).runner
    assert runner["tls-ca-file"] == "/etc/dataops-runner/certs/platform.example.crt"


def test_two_sources_for_the_token_are_refused(render):
    with pytest.raises(ValueError, match="not both"):
        render({"runnerToken": "a", "runners": {"secret": "b"}})


@pytest.mark.parametrize(("value", "start", "longest"), [(360, 360, None), ("7200", 600, "7200"), ("", 600, None)])
def test_maximum_timeout_is_a_start_limit_below_ten_minutes(render, value, start, longest):
    out = render({"maximumTimeout": value})
    (container,) = out.pod["containers"]
    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert out.runner["kubernetes"]["poll_timeout"] == start
    assert environment.get("REGISTER_MAXIMUM_TIMEOUT") == longest


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("a.example/b:1", "a.example/b:1"),
        ({"tag": "latest-next"}, "docker.io/dataops-runner:latest-next"),
        ({"image": "x/y"}, "docker.io/x/y:0.1.0"),
        ({"digest": "sha256:00"}, "docker.io/dataops-runner@sha256:00"),
    ],
)
def test_image_in_every_spelling(render, image, name):
    out = render({"image": image})
    assert out.pod["containers"][0]["image"] == name == out.runner["kubernetes"]["helper_image"]


def test_the_controller_is_locked_down(render):
    pod = render().pod
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 65532
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_an_update_never_has_two_controllers(render):
    """The new one looks for running jobs once: what the old one took after that would be found by nobody."""
    assert render().of("Deployment")[0]["spec"]["strategy"] == {"type": "Recreate"}


def test_numbers_arrive_as_they_were_written(render):
    """helm reads them as floats; written out by printf, a million becomes 1e+06."""
    number = 12345678
    out = render({"jobs": {"env": {"A": number, "B": 1.5}, "resources": {"requests": {"memory": number, "cpu": 0.5}}}, "extraEnv": {"C": number}})
    assert out.runner["environment"] == ["A=12345678", "B=1.5"]
    assert out.runner["kubernetes"]["memory_request"] == "12345678" and out.runner["kubernetes"]["cpu_request"] == "0.5"
    assert {"name": "C", "value": "12345678"} in out.pod["containers"][0]["env"]


@pytest.mark.parametrize("value", ["IfNotPresent", "if-not-present"])
def test_a_pull_policy_in_either_spelling_is_one_that_the_program_knows(render, value):
    assert render({"jobs": {"pullPolicy": value}}).runner["kubernetes"]["pull_policy"] == "if-not-present"


@pytest.mark.parametrize("values", [{}, {"jobs": {"namespace": "jobs"}}, {"networkPolicy": {"enabled": True, "denyIngressToJobs": True}}])
def test_no_line_ends_with_a_blank(render, values):
    assert [line for line in render(values).text.splitlines() if line.endswith(" ")] == []


def test_the_notes_name_the_next_step(notes):
    text = notes("concurrent=5")
    assert "1 x 5 = 5 at once" in text and "WARNING" not in text
    assert "create secret generic site-token --from-literal=runner-token=glrt-..." in text
    assert "rollout status deployment/site" in text and "registered here: site" in text
    assert "create secret" not in notes("runners.secret=mine", "vaultSecret=vault")


def test_the_notes_warn(notes):
    assert "WARNING: 2 replicas" in notes("replicas=2")
    assert "values without effect here: unheard" in notes("unheard=1")


def _policy(render, runners: str = "", **keys) -> dict:
    values = {"networkPolicy": {"enabled": True, **keys}} | (_config(runners) if runners else {})
    (policy,) = render(values).of("NetworkPolicy")
    return policy


def _ports(rule: dict) -> list[int]:
    return [entry["port"] for entry in rule["ports"]]


def test_no_policy_unless_asked_for(render):
    assert not render().of("NetworkPolicy")
    assert not render({"networkPolicy": {"metricsFrom": [{"podSelector": {}}]}}).of("NetworkPolicy")


def test_a_policy_lets_nobody_in_unless_named(render):
    """An empty list of peers in a rule means everybody, so there must be no rule."""
    spec = _policy(render)["spec"]
    assert spec["ingress"] == [] and sorted(spec["policyTypes"]) == ["Egress", "Ingress"]


def test_a_policy_holds_for_the_controller_only(render):
    out = render({"networkPolicy": {"enabled": True}})
    (policy,) = out.of("NetworkPolicy")
    labels = policy["spec"]["podSelector"]["matchLabels"]
    assert labels and labels == out.of("Deployment")[0]["spec"]["selector"]["matchLabels"]


def test_metrics_are_read_by_those_named_and_probed_from_the_nodes(render):
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}, "podSelector": {"matchLabels": {"app": "prometheus"}}}
    (rule,) = _policy(render, metricsFrom=[peer], probeCidrs=["10.0.0.0/16", "fd00::/8"])["spec"]["ingress"]
    assert rule["from"] == [peer, {"ipBlock": {"cidr": "10.0.0.0/16"}}, {"ipBlock": {"cidr": "fd00::/8"}}]
    assert _ports(rule) == [9252]
    (rule,) = _policy(render, probeCidrs=["10.0.0.0/16"])["spec"]["ingress"]
    assert rule["from"] == [{"ipBlock": {"cidr": "10.0.0.0/16"}}]


def test_a_policy_lets_out_to_dns_the_platform_and_the_api_server(render):
    dns, platform, server = _policy(render)["spec"]["egress"]
    assert _ports(dns) == [53, 53, 5353, 5353] and {entry["protocol"] for entry in dns["ports"]} == {"UDP", "TCP"}
    assert _ports(platform) == [443] and _ports(server) == [443, 6443]
    assert not any("to" in rule for rule in (dns, platform, server))
    peer, extra = {"namespaceSelector": {}}, {"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}
    rules = _policy(render, dnsTo=[peer], dataopsCidrs=["203.0.113.0/24"], apiServerCidrs=["10.0.0.1/32"], apiServerPorts=[443], extraEgress=[extra])
    dns, platform, server, more = rules["spec"]["egress"]
    assert dns["to"] == [peer] and platform["to"] == [{"ipBlock": {"cidr": "203.0.113.0/24"}}]
    assert server["to"] == [{"ipBlock": {"cidr": "10.0.0.1/32"}}] and _ports(server) == [443] and more == extra


@pytest.mark.parametrize(
    ("url", "port"),
    [("https://a.example", 443), ("http://a.example/", 80), ("https://a.example:8443/sub", 8443), ("https://[fd00::1]:8443", 8443), ("https://[fd00::1]", 443)],
)
def test_the_platforms_port_is_that_of_its_address(render, url, port):
    (policy,) = render({"gitlabUrl": url, "networkPolicy": {"enabled": True}}).of("NetworkPolicy")
    assert _ports(policy["spec"]["egress"][1]) == [port]
    policy = _policy(render, f'[[runners]]\n  url = "{url}"\n  [runners.kubernetes]\n')
    assert _ports(policy["spec"]["egress"][1]) == [port], "what runners.config sets wins"


@pytest.mark.parametrize("values", [{}, {"jobs": {"namespace": "jobs"}}])
def test_nobody_may_connect_to_a_jobs_pod_when_that_is_asked_for(render, values):
    (policy,) = render(values | {"networkPolicy": {"denyIngressToJobs": True}}).of("NetworkPolicy")
    assert policy["metadata"].get("namespace") == values.get("jobs", {}).get("namespace")
    assert policy["spec"] == {"podSelector": {"matchLabels": {"dataops-runner/release": "site"}}, "policyTypes": ["Ingress"], "ingress": []}


@pytest.mark.parametrize("keys", [{"probeCidrs": ["10.0.0.0"]}, {"metricsFrom": [{}]}, {"dnsPorts": []}, {"metricsform": []}])
def test_a_policy_that_would_mean_something_else_is_refused(render, keys):
    with pytest.raises(ValueError, match="networkPolicy"):
        render({"networkPolicy": {"enabled": True, **keys}})


def test_the_notes_say_what_a_policy_does_or_that_it_is_off(notes):
    text = notes("networkPolicy.enabled=true", "gitlabUrl=https://a.example:8443")
    assert "any address at port 8443" in text and "nobody may read its metrics" in text and "WARNING" not in text
    assert "WARNING: networkPolicy.enabled is false, so these do nothing: probeCidrs" in notes("networkPolicy.probeCidrs={10.0.0.0/16}")


def test_pull_secrets_reach_controller_and_jobs(render):
    out = render({"imagePullSecrets": ["a", {"name": "b"}], "global": {"imagePullSecrets": ["a"]}})
    assert [entry["name"] for entry in out.pod["imagePullSecrets"]] == ["a", "b"]
    assert out.runner["kubernetes"]["image_pull_secrets"] == ["a", "b"]


def test_quotes_and_dollars_arrive_as_they_are(render):
    value = "a\"b\\c$1 ${x} 'd' \n e"
    assert render({"jobs": {"env": {"A": value}}, "agentName": value}).runner["environment"] == [f"A={value}"]


def test_the_manifests_are_the_chart_with_defaults():
    subprocess.run([REPOSITORY / "deploy/check-manifests"], check=True)
