"""No secret of a run is anywhere: controller logs at debug, API objects, process titles, container logs, job logs."""

import base64
import json
import threading
import time
from pathlib import Path

import pytest

VAULT = """# comment
SNOWFLAKE:
  ACCOUNT: "acct-8fd2a1c0"
  PASSWORD: vault-password-9d1c
  ROLES: [role-one-aaaa, 12345678901]
short: abc
"""
SALT = "salt-0123456789abcdef"
VAULT_VALUES = ["acct-8fd2a1c0", "vault-password-9d1c", "role-one-aaaa", "12345678901", SALT]


class Titles(threading.Thread):
    """Collects command lines of all processes while it runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[bytes] = set()
        self._end = threading.Event()

    def run(self) -> None:
        while not self._end.wait(0.02):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(path.read_bytes())
                except OSError:
                    pass

    def stop(self) -> set[bytes]:
        self._end.set()
        self.join()
        return self.seen


@pytest.fixture
def vault_site(make_site, place):
    """A site whose jobs have the vault at /secrets, a claim at /agent_cache and a volume at /local_config."""
    place.create("secrets", {"metadata": {"name": "dataops-vault"}, "type": "Opaque", "data": {
        "vault.yml": base64.b64encode(VAULT.encode()).decode(), "vault.salt": base64.b64encode(SALT.encode()).decode()}})
    place.create("persistentvolumeclaims", {"metadata": {"name": "agent-cache"}, "spec": {
        "accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}})
    return make_site(kubernetes={"volumes": {
        "secret": [{"name": "dataops-vault", "mount_path": "/secrets", "read_only": True}],
        "pvc": [{"name": "agent-cache", "mount_path": "/agent_cache"}],
        "empty_dir": [{"name": "local-config", "mount_path": "/local_config"}]}})


def hiding_forms(value: str) -> list[bytes]:
    """A value as it is, and as base64 hides it."""
    return [value.encode(), base64.b64encode(value.encode())]


def test_no_secret_is_anywhere(vault_site, site, dataops, place):
    masked = "masked-value-7f3b2c"
    titles = Titles()
    titles.start()
    try:
        job = vault_site.job(
            ["cat /secrets/vault.yml; cat /secrets/vault.salt; echo; echo $PW; echo $CI_JOB_TOKEN",
             "echo [$(sed -n 's/short: //p' /secrets/vault.yml)]; touch /agent_cache/x /local_config/y", "cp $CONF keep.txt", "sleep 1"],
            variables={"PW": {"value": masked, "masked": True}, "CONF": {"value": "file-secret-5e6f7a", "file": True, "masked": True}},
            artifacts={"paths": ["keep.txt"]})
        again = vault_site.job(["ls /agent_cache"], needs=[job.id])
        job.succeeds()
        again.succeeds()
    finally:
        seen = titles.stop()
    assert "x" in again.script_output().split(), "the claim is shared between jobs"
    for word in VAULT_VALUES[:3] + [masked]:
        assert word.encode() not in job.trace
    assert "[MASKED]" in job.script_output()
    assert "[abc]" in job.script_output(), "values under 8 bytes are not masked"

    known = dataops.secrets()
    values = [v for group in ("runner_tokens", "job_tokens", "masked") for v in known[group] if len(v) >= 8]
    values += [*VAULT_VALUES, "file-secret-5e6f7a"]
    places = {"controller log": vault_site.controller.log.encode() + site.controller.log.encode(),
              "API objects": json.dumps(place.objects()).encode(),
              "process titles": b"\n".join(seen)}
    for path in place.container_log_files():
        places[f"container log {path.name}"] = path.read_bytes()
    for job_view in dataops.call("GET", "jobs"):
        places[f"job log {job_view['id']}"] = dataops.trace(job_view["id"])[0]
    found = [(where, value) for value in values for where, data in places.items()
             for form in hiding_forms(value) if form in data]
    assert found == []


@pytest.mark.slow(reason="an image that cannot be pulled gets half a minute")
def test_the_controllers_own_lines_mask_what_an_image_name_holds(make_site):
    site, value = make_site(), "s3cr3tvalue42"
    job = site.job(["echo never"], image="absent/$TOP:1", variables={"TOP": {"value": value, "masked": True}})
    job.wait_trace(rb"Waiting for pod .*absent/\[MASKED\]:1", 40)
    site.controller.kill()
    before = len(site.controller.log)
    site.controller.start()
    site.controller.wait_log("job_adopted")
    job.fails("runner_system_failure", 60)
    assert "ERROR: Job failed (system failure): " in job.text
    assert "absent/[MASKED]:1" in job.text.split("ERROR: Job failed")[1]
    assert "absent/[MASKED]:1" in site.controller.log[before:]
    assert value not in job.text
    assert value not in site.controller.log


def test_a_masked_value_is_masked_in_a_url_and_in_json(site):
    job = site.job(["printf '%s\\n' 'https://u:p%2Fss%2Bw%22rd-1@h' 'https://u:p%2fss%2bw%22rd-1@h' '{\"k\":\"p/ss+w\\\"rd-1\"}'"],
                   variables={"PW": {"value": 'p/ss+w"rd-1', "masked": True, "raw": True}})
    job.succeeds()
    assert job.script_output().split() == ["https://u:[MASKED]@h"] * 2 + ['{"k":"[MASKED]"}']


def test_mounted_secrets_are_masked_by_line_and_scalar(vault_site):
    job = vault_site.job(["sed -n 3p /secrets/vault.yml", "printf 'is %s.\\n' vault-password-9d1c acct-8fd2a1c0",
                          "head -c 10 /secrets/vault.salt; sleep 0.3; tail -c +11 /secrets/vault.salt"])
    job.succeeds()
    output = job.script_output()
    assert output.count("[MASKED]") >= 4
    assert "vault-password-9d1c" not in output and "acct-8fd2a1c0" not in output and SALT not in output


def test_masking_of_mounts_can_be_switched_off(make_site, place):
    place.create("secrets", {"metadata": {"name": "open-secret"}, "type": "Opaque",
                             "data": {"word": base64.b64encode(b"not-so-secret-word").decode()}})
    site = make_site(kubernetes={"mask_mounted_secrets": False, "volumes": {
        "secret": [{"name": "open-secret", "mount_path": "/open", "read_only": True}]}})
    job = site.job(["cat /open/word"]).succeeds()
    assert "not-so-secret-word" in job.script_output()


def test_wait_for_quiet_processes():
    """The collector itself works: it sees this interpreter."""
    titles = Titles()
    titles.start()
    time.sleep(0.1)
    assert any(b"pytest" in line for line in titles.stop())
