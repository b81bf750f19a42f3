"""Namespaces as operators make them: jobs apart from the controller, and Pod Security enforced."""

import itertools

import pytest

from tests.integration.harness.installed import InstalledSite, secret

_numbers = itertools.count(1)
VAULT = {"vault.yml": "A: {B: vault-password-8e2f}\n", "vault.salt": "salt-0123456789abcdefgh"}


def enforce(place, namespace: str, level: str) -> None:
    place.kubectl("label", "namespace", namespace, f"pod-security.kubernetes.io/enforce={level}")


class TestJobsApart:
    @pytest.fixture(name="apart", scope="class")
    def _apart(self, place, dataops):
        home, jobs = (place.make_empty_namespace(f"{name}-{next(_numbers)}") for name in ("home", "jobs-of"))
        # The controller needs nothing that "restricted" forbids; nor does anything of the jobs need more than "baseline".
        enforce(place, home, "restricted")
        enforce(place, jobs, "baseline")
        site = InstalledSite(place, dataops, home)
        site.jobs = jobs
        site.make_secrets({"runner-token": site.make_runner()})
        place.create("secrets", secret("dataops-vault", VAULT), jobs)
        values = site.values()["jobs"] | {"namespace": jobs}
        site.install(jobs=values)
        yield site
        site.stop()

    def test_a_job_runs_there_with_its_vault_and_cache(self, apart):
        job = apart.job(["wc -l < /secrets/vault.yml; touch /agent_cache/x && echo cache; sleep 2"])
        job.wait_trace(rb"\ncache\n")
        assert {pod["metadata"]["namespace"] for pod in job.pods()} == {apart.jobs}
        job.succeeds()
        assert job.script_output().split() == ["1", "cache"]

    def test_the_state_secret_stays_at_home(self, apart):
        def names(namespace):
            return apart.place.kubectl("get", "secrets", "-n", namespace, "-o", "name")

        assert "dataops-runner-state" in names(apart.namespace)
        assert "dataops-runner-state" not in names(apart.jobs)

    def test_a_restart_goes_on_with_its_jobs(self, apart):
        job = apart.job(["echo going; sleep 8; echo gone on"])
        job.wait_trace(rb"\ngoing")
        apart.controller.kill()
        job.succeeds(90)
        assert "gone on" in job.script_output()
        apart.controller.wait_log(rf"job_adopted +job={job.id}")

    @pytest.mark.parametrize(("verb", "what"), [("get", "pods"), ("list", "events"), ("get", "leases.coordination.k8s.io"), ("get", "secret/x")])
    def test_at_home_it_may_nothing_of_the_jobs(self, apart, verb, what):
        account = f"system:serviceaccount:{apart.namespace}:{apart.release}"
        assert apart.place.kubectl("auth", "can-i", verb, what, f"--as={account}", "-n", apart.namespace, check=False).strip() == "no"


class TestRestricted:
    @pytest.fixture(name="strict", scope="class")
    def _strict(self, place):
        namespace = place.make_namespace(f"strict-{next(_numbers)}")
        enforce(place, namespace, "restricted")
        return namespace

    def test_a_job_runs_as_one_uid_without_any_right(self, make_site, strict):
        site = make_site(kubernetes={"namespace": strict, "pod_security": "restricted", "run_as_user": 1234})
        job = site.job(["id -u; touch new && cat README.md > /dev/null && echo wrote; grep CapEff /proc/self/status",
                        "stat -c %u README.md"], artifacts={"paths": ["new"]})
        job.succeeds()
        assert job.script_output().split() == ["1234", "wrote", "CapEff:", "0000000000000000", "1234"]
        assert job.files() == {"new": b""}

    def test_the_default_is_refused_there_with_the_servers_words(self, make_site, strict):
        site = make_site(kubernetes={"namespace": strict})
        job = site.job(["echo never"])
        job.fails(None, 60)
        assert "PodSecurity" in job.text
        assert "never" not in job.script_output()
