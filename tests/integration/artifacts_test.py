"""Artifacts up and down: how they are sent, tried again and refused, what an archive keeps, whose token fetches it."""

import base64
import gzip
import io
import zipfile

import pytest

from tests.integration.harness.declare import runs


def uploads(job):
    return [r for r in job.requests("POST") if "/artifacts" in r["path"]]


def zipped(entries: dict) -> str:
    """An archive as a job may find it; a value of bytes is a file, of str a symlink's target."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name)
            link = isinstance(content, str)
            entry.external_attr = (0o120777 if link else 0o100640) << 16
            entry.create_system = 3
            archive.writestr(entry, content)
    return base64.b64encode(out.getvalue()).decode()


class TestUpload:
    @runs(script=["mkdir -p out/tmp; echo a > out/a.csv; echo t > out/tmp/t.csv; ln -s a.csv out/link; chmod 750 out/a.csv"],
          artifacts={"name": "dist-$CI_JOB_ID", "paths": ["out/"], "exclude": ["out/tmp/**"], "expire_in": "1 week"})
    def test_options_go_into_the_query_and_the_file_into_its_part(self, job, no_violations):
        job.succeeds()
        query = job.view["artifacts"][0]["query"]
        assert query == {"artifact_format": "zip", "artifact_type": "archive", "expire_in": "1 week"}
        headers = {k.lower(): v for k, v in uploads(job)[0]["headers"].items()}
        assert headers["job-token"] == job.token
        assert headers["content-type"].startswith("multipart/form-data")
        assert job.view["artifacts"][0]["filename"] == f"dist-{job.id}.zip"

    @runs(script=["mkdir -p out/tmp; echo a > out/a.csv; echo t > out/tmp/t.csv; ln -s a.csv out/link; chmod 750 out/a.csv"],
          artifacts={"paths": ["out/"], "exclude": ["out/tmp/**"]})
    def test_links_modes_and_excludes(self, job):
        job.succeeds()
        entries = {i.filename: (i.external_attr >> 16) for i in job.archive().infolist()}
        assert "out/tmp/t.csv" not in entries
        assert entries["out/a.csv"] & 0o777 == 0o750
        assert entries["out/link"] & 0o170000 == 0o120000
        assert job.archive().read("out/link") == b"a.csv"

    @runs(script=["mkdir -p a/b/c; for f in a/1.csv a/b/2.csv a/b/c/3.csv a/b/c/3.txt; do echo $f > $f; done"],
          artifacts={"paths": ["a/**/*.csv", "README.*"], "exclude": ["a/b/2.csv"]})
    def test_globs(self, job):
        job.succeeds()
        assert set(job.files()) == {"a/1.csv", "a/b/c/3.csv", "README.md"}

    @runs(script=["echo '<testsuite/>' > report.xml; echo x > x.txt"], artifacts=[
        {"paths": ["x.txt"]}, {"name": "junit.xml", "paths": ["report.xml"], "when": "always", "type": "junit", "format": "gzip"}])
    def test_an_archive_and_a_report(self, job):
        job.succeeds()
        kinds = {a["type"]: a for a in job.view["artifacts"]}
        assert set(kinds) == {"archive", "junit"}
        assert kinds["junit"]["query"]["artifact_format"] == "gzip"
        assert gzip.decompress(job.artifact("junit")) == b"<testsuite/>\n"

    @runs(success=dict(script=["echo x > f"], artifacts=[{"paths": ["f"], "when": "on_failure"}]),
          failure=dict(script=["echo x > f; false"], artifacts=[{"paths": ["f"], "when": "on_success"}]),
          always=dict(script=["echo x > f; false"], artifacts=[{"paths": ["f"], "when": "always"}]))
    def test_when(self, jobs):
        jobs["success"].succeeds(), jobs["failure"].fails(), jobs["always"].fails()
        assert uploads(jobs["success"]) == [] and uploads(jobs["failure"]) == []
        assert jobs["always"].files() == {"f": b"x\n"}

    @runs(script=["true"], artifacts={"paths": ["nothing/here"]})
    def test_nothing_to_upload_is_said_and_no_failure(self, job):
        job.succeeds()
        assert uploads(job) == []
        assert "nothing/here" in job.text

    @runs(script=["echo u > untracked.txt"], artifacts={"untracked": True, "paths": []})
    def test_untracked_files(self, job):
        job.succeeds()
        assert set(job.files()) == {"untracked.txt"}

    @runs(script=["head -c 100000 /dev/zero > big; echo built"], artifacts={"paths": ["big"]},
          faults=[dict(path="/jobs/@ID@/artifacts", method="POST", status=413, count=0)])
    def test_413_is_final_and_fails_the_job(self, job):
        job.fails(None)
        assert len(uploads(job)) == 1
        assert "413" in job.text or "large" in job.text.lower()

    @runs(busy=dict(script=["echo x > f"], artifacts={"paths": ["f"]},
                    faults=[dict(path="/jobs/@ID@/artifacts", method="POST", status=503, count=1)]),
          broken=dict(script=["echo x > f"], artifacts={"paths": ["f"]},
                      faults=[dict(path="/jobs/@ID@/artifacts", method="POST", drop=True, count=1)]))
    def test_passing_trouble_is_tried_again(self, jobs):
        for job in jobs.values():
            job.succeeds(90)
            assert job.files() == {"f": b"x\n"}

    @runs(script=["head -c 3000000 /dev/urandom > r; sha256sum r"], artifacts={"paths": ["r"]})
    def test_a_larger_file_arrives_whole(self, job):
        import hashlib
        job.succeeds()
        assert hashlib.sha256(job.files()["r"]).hexdigest() in job.script_output()


class TestRedirectedUpload:
    """A server may send an upload on. What it is told about the job stays where the job's token belongs."""

    @pytest.mark.parametrize("status", [307, 308])
    def test_nothing_secret_follows_to_another_origin(self, site, dataops, status):
        elsewhere = dataops.call("POST", "listeners", {"kind": "tls"})["url"]
        job = site.job(["echo hi > out"], artifacts=[{"name": "a", "paths": ["out"], "when": "always"}],
                       faults=[dict(path="/jobs/@ID@/artifacts", method="POST", status=status,
                                    headers={"Location": f"{elsewhere}/objects/sent-on-{status}?signature=s1"})]).succeeds()
        there = [r for r in dataops.requests("POST") if r["listener"] == "tls"]
        assert not [r["path"] for r in there if job.token in str(r["headers"])]
        sent = [r for r in there if f"/objects/sent-on-{status}" in r["path"]]
        assert [r["path"] for r in sent] == [f"/objects/sent-on-{status}?signature=s1"]
        for request in sent:
            assert job.token not in str(request["headers"])
            assert not {"job-token", "private-token", "authorization", "runner-token"} & {h.lower() for h in request["headers"]}
            assert request["headers"]["Content-Type"].startswith("multipart/form-data")
        assert f"goes on at {elsewhere}, without the job's token" in job.text

    def test_the_same_origin_gets_the_token_again(self, site, dataops):
        job = site.job(["echo hi > out"], artifacts=[{"name": "a", "paths": ["out"]}],
                       faults=[dict(path="/jobs/@ID@/artifacts", method="POST", status=307,
                                    headers={"Location": dataops.info["url"]})]).succeeds()
        assert [dict(r["headers"]).get("Job-Token") for r in uploads(job)] == [job.token] * 2
        assert job.files() == {"out": b"hi\n"}

    def test_https_never_becomes_http(self, site, dataops):
        plain = dataops.call("POST", "listeners", {"kind": "plain"})["url"]
        job = site.job(["echo hi > out"], artifacts=[{"name": "a", "paths": ["out"]}],
                       faults=[dict(path="/jobs/@ID@/artifacts", method="POST", status=307, count=0,
                                    headers={"Location": plain + "/objects/anything"})])
        job.fails(None)
        assert [r for r in dataops.requests("POST", "/objects/anything") if r["listener"] == "plain"] == []
        assert "redirect from https to http refused" in job.text


class TestUnfriendlyFiles:
    @runs(script=["echo x > ok.txt"], artifacts={"paths": ["../../../etc/passwd", "/etc/hostname", "ok.txt"]})
    def test_paths_outside_the_project_are_refused(self, job):
        job.succeeds()
        assert job.files() == {"ok.txt": b"x\n"}
        assert "/etc/hostname" in job.text

    @runs(script=["ln -s /etc/passwd out-link; echo x > ok.txt; ln -s / root"], artifacts={"paths": ["out-link", "ok.txt", "root"]})
    def test_a_symlink_out_is_kept_as_a_link(self, job):
        job.succeeds()
        names = {i.filename: (i.external_attr >> 16) & 0o170000 for i in job.archive().infolist()}
        assert names.get("out-link", 0o120000) == 0o120000
        assert not any(name.startswith("root/") for name in names)
        assert b"root:x:0" not in job.artifact()

    @runs(script=["mkdir d; (while :; do for i in 1 2 3 4 5 6 7 8; do echo $i > d/$i; rm -f d/$i; done; done) & sleep 0.3; echo x > d/stays"],
          artifacts={"paths": ["d/"]})
    def test_files_that_vanish_while_packing_do_no_harm(self, job):
        job.succeeds(60)
        assert job.files()["d/stays"] == b"x\n"

    @runs(script=["mkfifo pipe; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"sock\")'; echo x > f"],
          artifacts={"paths": ["pipe", "sock", "f"]})
    def test_pipes_and_sockets_are_skipped(self, job):
        job.succeeds()
        assert set(job.files()) == {"f"}


class TestDownload:
    def test_a_chain_of_two_jobs(self, site, dataops, no_violations):
        first = site.job(["mkdir -p dist; echo built > dist/app; chmod 755 dist/app; ln -s app dist/link"],
                         artifacts={"paths": ["dist/"]})
        second = site.job(["cat dist/app; test -x dist/app; readlink dist/link; test -L dist/link"], needs=[first.id])
        first.succeeds(), second.succeeds()
        assert "built" in second.script_output()
        asked = dataops.requests("GET", f"/jobs/{first.id}/artifacts")
        assert "direct_download=true" in asked[0]["path"]
        headers = {k.lower(): v for k, v in asked[0]["headers"].items()}
        assert headers["job-token"] == second.token, "the token of the dependency entry"
        stored = [r for r in dataops.requests("GET", "/objects/") if r["listener"] == "storage"]
        assert stored and all("Job-Token" not in r["headers"] for r in stored)

    def test_without_object_storage_the_bytes_come_directly(self, site):
        first = site.job(["echo a > a.txt"], artifacts={"paths": ["a.txt"]}).succeeds()
        path = f"/jobs/{first.id}/artifacts"
        second = site.job(["cat a.txt"], dependencies=[first.id],
                          faults=[dict(path=path + ".*direct_download", method="GET", status=500, count=1)])
        second.succeeds()
        asked = [r["path"] for r in site.dataops.requests("GET", path)]
        assert "direct_download=true" in asked[0] and "direct_download" not in asked[-1]

    @pytest.mark.parametrize("status", [403, 404])
    def test_final_answers_fail_the_stage(self, site, status):
        first = site.job(["echo a > a.txt"], artifacts={"paths": ["a.txt"]}).succeeds()
        second = site.job(["echo never"], dependencies=[first.id],
                          faults=[dict(path=f"/jobs/{first.id}/artifacts", method="GET", status=status, count=0)])
        second.fails(None)
        assert len(site.dataops.requests("GET", f"/jobs/{first.id}/artifacts")) == 1
        assert "never" not in second.script_output()

    @pytest.mark.parametrize("name, entries", [
        ("escapes", {"../../escaped.txt": b"x", "fine.txt": b"fine"}),
        ("absolute", {"/tmp/escaped-absolute.txt": b"x", "fine.txt": b"fine"}),
        ("through-a-link", {"link": "/tmp", "link/escaped-through.txt": b"x"}),
    ])
    def test_an_archive_that_escapes_is_refused(self, site, name, entries):
        giver = site.job(["x"], tags=["nobody"])
        site.dataops.call("POST", f"jobs/{giver.id}/artifacts", {"base64": zipped(entries)})
        site.dataops.call("POST", f"jobs/{giver.id}/succeed", {})
        job = site.job(["ls /builds/escaped.txt /builds/acme/escaped.txt /tmp/escaped-absolute.txt /tmp/escaped-through.txt 2>/dev/null "
                        "| grep . && exit 9; echo safe"], dependencies=[giver.id])
        job.wait()
        assert job.exit_code != 9, job.text
        assert "escaped" in job.text or "safe" in job.text

    def test_what_is_no_archive_fails_with_words(self, site):
        giver = site.job(["x"], tags=["nobody"])
        site.dataops.call("POST", f"jobs/{giver.id}/artifacts", {"base64": base64.b64encode(b"<html>no</html>").decode()})
        site.dataops.call("POST", f"jobs/{giver.id}/succeed", {})
        job = site.job(["echo never"], dependencies=[giver.id])
        job.fails(None)
        assert "never" not in job.script_output()

    def test_a_dependency_without_a_file_is_skipped(self, site):
        giver = site.job(["x"], tags=["nobody"])
        site.dataops.call("POST", f"jobs/{giver.id}/succeed", {})
        job = site.job(["echo ran"], dependencies=[giver.id]).succeeds()
        assert site.dataops.requests("GET", f"/jobs/{giver.id}/artifacts") == []
        assert "ran" in job.script_output()
