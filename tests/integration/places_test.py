"""What a job says about folders, projects and names of the runner changes neither where it works nor what it reaches."""

import pytest


def run_as(uid: int) -> dict:
    return {"name": "acme/image:1", "executor_opts": {"kubernetes": {"user": str(uid)}}}


@pytest.fixture
def lasting_site(make_site, place):
    """All jobs find what earlier ones left below /builds."""
    place.create("persistentvolumeclaims", {"metadata": {"name": "builds"}, "spec": {
        "accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}})
    return make_site(kubernetes={"volumes": {"pvc": [{"name": "builds", "mount_path": "/builds"}]}})


def test_a_variable_of_the_job_does_not_choose_the_folder_that_courier_gives_away_or_removes(lasting_site):
    site = lasting_site
    none, claimed = {"GIT_STRATEGY": "none"}, {"CI_PROJECT_DIR": "/builds/victim/app", "CI_BUILDS_DIR": "/builds/victim",
                                               "RUNNER_TEMP_PROJECT_DIR": "/builds/victim/app"}
    look = "cat /builds/victim/app/data || echo locked; pwd; echo at $CI_PROJECT_DIR of $CI_BUILDS_DIR"
    where = "/builds/acme/warehouse"
    site.job(["mkdir -p /builds/victim/app; echo victims-own-text > /builds/victim/app/data; chmod 700 /builds/victim/app"],
             image=run_as(1000), variables=none).succeeds()
    outsider = site.job([look], image=run_as(2000), variables=none).succeeds()
    takes = site.job([look], image=run_as(2000), variables={**none, **claimed}).succeeds()
    clones = site.job([look, "ls README.md"], image=run_as(2000), variables={"GIT_STRATEGY": "clone", **claimed}).succeeds()
    owner = site.job(["cat /builds/victim/app/data; stat -c 'owned by %u' /builds/victim /builds/victim/app"],
                     image=run_as(1000), variables=none).succeeds()
    for job in (outsider, takes, clones):
        assert "victims-own-text" not in job.text
        assert f"locked\n{where}\nat {where} of /builds\n" in job.script_output().replace("\r", "")
    assert "victims-own-text" in owner.script_output()
    assert "owned by 1000\nowned by 1000" in owner.script_output()


def test_a_variable_of_the_job_chooses_no_folder_and_no_label_of_another_project(make_site, place):
    place.create("persistentvolumeclaims", {"metadata": {"name": "tenants"}, "spec": {
        "accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}})
    site = make_site(kubernetes={
        "pod_labels": {"team": "$CI_PROJECT_NAMESPACE"},
        "volumes": {"pvc": [{"name": "tenants", "mount_path": "/tenant", "sub_path": "p-$CI_PROJECT_ID"}]}})
    site.job(["echo tenants-own-text > /tenant/f; echo as project $CI_PROJECT_ID"]).succeeds()
    again = site.job(["cat /tenant/f"]).succeeds()
    other = site.job(["cat /tenant/f || echo not mine; echo claims $CI_PROJECT_ID; sleep 2"],
                     payload={"job_info": {"project_id": 31337}},
                     variables={"CI_PROJECT_ID": "77", "CI_PROJECT_NAMESPACE": "admins"})
    other.wait_trace(b"claims")
    labels = [pod["metadata"]["labels"] for pod in place.pods_of(other.id)]
    other.succeeds()
    assert "tenants-own-text" in again.script_output()
    assert "not mine" in other.script_output() and "tenants-own-text" not in other.text
    assert [each["team"] for each in labels] == ["acme"]
    assert labels[0]["project.runner.gitlab.com/id"] == "31337"
