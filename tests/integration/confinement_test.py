"""Courier's container beside a hostile job, on the cluster at hand: what it may write, and that all it does still works."""

import pytest

from tests.integration.harness.declare import runs

ROOT = {"name": "acme/image:1", "executor_opts": {"kubernetes": {"user": "0"}}}
OTHER = {"name": "acme/image:1", "executor_opts": {"kubernetes": {"user": "1000"}}}
RESTRICTED = {"pod_security": "restricted", "run_as_user": 1000, "run_as_group": 1000}

# What a program of the job would do if git, packing or unpacking could be led to start it in courier's container. There, and
# nowhere else, is the plan. What it could do is told in a folder that the script looks at; a job cannot make it look empty.
PLANT = r"""set -e
mkdir -p /builds/told; chmod 777 /builds/told
cat > /builds/evil <<'END'
#!/bin/sh
test -e /.dataops-plan || { touch /builds/armed; exec cat; }
id > /builds/told/ran.$$
cat /.dataops-plan/plan > /builds/told/plan.$$
touch /builds/acme/warehouse/EVIL
for own in /usr/local/bin/dataops-courier /usr/bin/dataops-courier /dataops-courier /etc/passwd; do
  test ! -e $own || { : >> $own; } && echo wrote $own > /builds/told/wrote.$$
done
exec cat
END
chmod 755 /builds/evil
mkdir -p "$CI_PROJECT_DIR"; cd "$CI_PROJECT_DIR"; git init -q . 2>/dev/null
for hook in post-checkout post-merge post-index-change reference-transaction pre-auto-gc fsmonitor-watchman post-rewrite; do
  cp /builds/evil .git/hooks/$hook; done
git config core.fsmonitor /builds/evil; git config core.hooksPath /builds; git config core.sshCommand /builds/evil
git config core.askPass /builds/evil; git config credential.helper /builds/evil; git config core.gitProxy /builds/evil
git config core.alternateRefsCommand /builds/evil; git config diff.external /builds/evil; git config gpg.program /builds/evil
git config uploadpack.packObjectsHook /builds/evil; git config filter.evil.smudge /builds/evil
git config filter.evil.clean /builds/evil; git config filter.evil.process /builds/evil; git config filter.evil.required true
git config filter.lfs.smudge /builds/evil; git config filter.lfs.process /builds/evil; git config alias.status '!/builds/evil'
git config lfs.customtransfer.evil.path /builds/evil; git config lfs.standalonetransferagent evil
mkdir -p .git/info; printf '* filter=evil diff=evil merge=evil\n*.md filter=lfs\n' > .git/info/attributes
cp .git/info/attributes .gitattributes"""
TOLD = "ls -la /builds/told; test -z \"$(ls /builds/told)\""
# The same once more for the children that come after the script: they look for untracked files, and pack them.
# In the job's own container it does start: what was planted is no dud.
ARMED = "timeout 10 git status > /dev/null 2>&1 || true; test -e /builds/armed"
HOSTILE = dict(script=[TOLD, PLANT, ARMED, "rm -f .gitattributes; echo x > new.txt"],
               hooks=[{"name": "pre_get_sources_script", "script": [PLANT]}], variables={"GIT_STRATEGY": "fetch"},
               artifacts={"untracked": True, "paths": []})


def nothing_ran(job):
    assert set(job.files()) == {"new.txt"}
    assert job.token.encode() not in job.trace


class TestPlantedPrograms:
    @pytest.mark.parametrize("uid", ["0", "1000"])
    @runs(**{"0": dict(HOSTILE, image=ROOT), "1000": dict(HOSTILE, image=OTHER)})
    def test_nothing_that_a_job_plants_is_started_in_couriers_container(self, jobs, uid):
        nothing_ran(jobs[uid].succeeds())

    def test_nor_in_the_restricted_shape(self, make_site):
        nothing_ran(make_site(kubernetes=RESTRICTED).job(**HOSTILE).succeeds())


def all_that_courier_does(site, image):
    """Three jobs: artifacts and a dotenv report up, down again, by a name that the script chose."""
    given = {} if image is None else {"image": image}
    first = site.job(["ls README.md", "mkdir dist; head -c 3000000 /dev/urandom > dist/r; sha256sum dist/r > dist/sum",
                      "echo NAME=chosen >> $GITLAB_ENV; echo A=b > vars.env"],
                     artifacts=[{"name": "out-$NAME", "paths": ["dist/"]},
                                {"name": "vars.env", "paths": ["vars.env"], "type": "dotenv", "format": "gzip"}], **given)
    second = site.job(["sha256sum -c dist/sum; ls README.md; echo on; sleep 2"], needs=[first.id], **given)
    return first, second


def of_courier(pods):
    return pods[0]["spec"]["containers"][0]


class TestReadOnlyRoot:
    @pytest.mark.parametrize("shape", ["root", "other", "restricted"])
    def test_courier_does_all_its_work_without_a_root_file_system_to_write_to(self, site, make_site, place, shape):
        where = make_site(kubernetes=RESTRICTED) if shape == "restricted" else site
        first, second = all_that_courier_does(where, {"root": ROOT, "other": OTHER, "restricted": None}[shape])
        second.wait_trace(b"\non\r?\n", 90)
        courier = of_courier(place.pods_of(second.id))
        assert courier["name"] == "courier"
        security, mounts = courier["securityContext"], {m["mountPath"] for m in courier["volumeMounts"]}
        assert security["readOnlyRootFilesystem"] is True and security["allowPrivilegeEscalation"] is False
        assert security["capabilities"]["drop"] == ["ALL"]
        assert {"/tmp", "/.dataops-scratch"} <= mounts
        assert ("KILL" in security["capabilities"].get("add", [])) == (shape != "restricted")
        volumes = {v["name"]: v for v in place.pods_of(second.id)[0]["spec"]["volumes"]}
        assert volumes["tmp"]["emptyDir"]["sizeLimit"] == "16Gi"
        assert volumes["scratch"]["emptyDir"]["medium"] == "Memory"
        first.succeeds(90), second.succeeds(90)
        assert "dist/r: OK" in second.script_output()
        kinds = {a["type"]: a for a in first.view["artifacts"]}
        assert kinds["archive"]["filename"] == "out-chosen.zip" and "dotenv" in kinds

    def test_the_volume_for_archives_is_as_large_as_the_operator_says(self, make_site, place):
        site = make_site(kubernetes={"artifact_download_limit": "3Mi"})
        first = site.job(["head -c 4000000 /dev/urandom > r"], artifacts={"paths": ["r"]}).succeeds()
        second = site.job(["echo never"], needs=[first.id])
        second.fails(None)
        assert "artifact_download_limit" in second.text
        third = site.job(["echo on; sleep 2"])
        third.wait_trace(b"on")
        volumes = {v["name"]: v for v in place.pods_of(third.id)[0]["spec"]["volumes"]}
        assert volumes["tmp"]["emptyDir"]["sizeLimit"] == "3Mi"
        third.succeeds()

    def test_git_lfs_puts_large_files_in_place(self, site, make_site, dataops):
        content = "a large file\n" * 300000
        dataops.commit("acme/large", {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "data/a.bin": {"lfs": content}})
        given = {"script": [f"test $(stat -c %s data/a.bin) = {len(content)}; head -1 data/a.bin; git status --short"], "repository": "acme/large"}
        jobs = [site.job(image=ROOT, **given), site.job(image=OTHER, **given), make_site(kubernetes=RESTRICTED).job(**given)]
        for job in jobs:
            assert "a large file" in job.succeeds(90).script_output()

    def test_git_over_plain_http_works_as_well(self, make_site, dataops):
        plain = dataops.call("POST", "listeners", {"kind": "plain"})["url"]
        make_site(runner={"clone_url": plain}).job(["ls README.md"]).succeeds()
