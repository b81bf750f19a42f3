"""What a hostile script tries. Nothing of the plan leaks, nothing of the job runs in courier, nothing hangs."""

import pytest

from tests.integration.harness.declare import runs

AS = {uid: {"name": "acme/image:1", "executor_opts": {"kubernetes": {"user": uid}}} for uid in ("0", "1000")}

FIND_SOCKET = r'''python3 - <<'END'
import os, socket
print("folder", sorted(os.listdir("/.dataops")))
for path in ("/.dataops/socket", "\0/.dataops/socket"):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        s.connect(path); print("CONNECTED", path)
    except OSError as e:
        print("refused", e.errno)
END'''

TAKE_DESCRIPTORS = r'''python3 - <<'END'
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
fd = libc.syscall(434, 1, 0)
print("pidfd_open", fd)
for n in range(64):
    got = libc.syscall(438, fd, n, 0) if fd >= 0 else -1
    if got >= 0:
        try: where = os.readlink(f"/proc/self/fd/{got}")
        except OSError: where = "?"
        print("TOOK", n, where)
try:
    print("FDS", os.listdir("/proc/1/fd"))
except OSError as e:
    print("fd refused", e.errno)
try:
    open("/proc/1/mem", "rb"); print("MEM OPENED")
except OSError as e:
    print("mem refused", e.errno)
try:
    print("ENVIRON", open("/proc/1/environ", "rb").read()[:60])
except OSError as e:
    print("environ refused", e.errno)
END'''

SIGNALS = "for s in TERM INT HUP QUIT USR1 STOP KILL SEGV; do kill -$s 1 2>/dev/null || true; done; sleep 0.5; echo still alive"

# A program that the job leaves where git may be led to run it; what it writes lands among the untracked files.
EVIL = ("printf '#!/bin/sh\\ncd /builds/acme/warehouse; (id; env; cat /.dataops-plan/plan) > EVIL 2>&1\\nexit 1\\n' > /builds/evil; "
        "chmod 777 /builds/evil; cp /builds/evil /builds/post-checkout; cp /builds/evil /builds/post-index-change")

GIT_KEYS = {"core.fsmonitor": "/builds/evil", "core.hooksPath": "/builds", "core.sshCommand": "/builds/evil",
            "credential.helper": "/builds/evil", "core.pager": "/builds/evil"}
# A hook leaves a repository below the project that names the program, and a server that asks for a login (in the pod, where
# courier reaches it too). SETTING: how the program is named.
NESTED = r'''set -e
printf '#!/bin/sh\n(id; env; cat /.dataops-plan/plan) > /builds/ran 2>&1\nexit 1\n' > /builds/evil; chmod 777 /builds/evil
mkdir -p "$CI_PROJECT_DIR"; cd "$CI_PROJECT_DIR"; git init -q .; git init -q sub
git -C sub -c user.name=a -c user.email=a@b commit -q --allow-empty -m x
python3 - > /dev/null 2>&1 <<'END' &
import http.server
class Asks(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(401); self.send_header("WWW-Authenticate", 'Basic realm="x"'); self.end_headers()
    do_POST = do_GET
server = http.server.HTTPServer(("127.0.0.1", 0), Asks)
open("/builds/port", "w").write(str(server.server_address[1]))
server.serve_forever()
END
for i in 1 2 3 4 5 6 7 8 9 10; do test -s /builds/port && break; sleep 0.2; done
if [ SETTING = core.askPass ]; then
  git -C sub remote add origin "http://127.0.0.1:$(cat /builds/port)/sub.git"
else
  git -C sub remote add origin "${CI_REPOSITORY_URL%%://*}://${CI_REPOSITORY_URL##*@}"
  git init -q --bare /builds/bare; echo /builds/bare/objects > sub/.git/objects/info/alternates
fi
git -C sub config SETTING /builds/evil
printf '[submodule "sub"]\n\tpath = sub\n\turl = ./sub\n' > .gitmodules
git update-index --add --cacheinfo 160000,$(git -C sub rev-parse HEAD),sub'''

RECURSION = {"plain": "--recurse-submodules", "value": "--prune --recurse-submodules=yes", "short": "--recurse-sub=on-demand --jobs=2"}


def nested(**more):
    """One job for each way of naming the program and of asking git to enter the nested repository."""
    return {f"{setting.split('.')[1]}-{spelling}": dict(
        script=["cat README.md; ls -la /builds; test ! -e /builds/ran"],
        hooks=[{"name": "pre_get_sources_script", "script": [NESTED.replace("SETTING", setting)]}],
        variables={"GIT_STRATEGY": "fetch", "GIT_FETCH_EXTRA_FLAGS": flags}, **more)
        for setting in ("core.askPass", "core.alternateRefsCommand") for spelling, flags in RECURSION.items()}


PLAN_FILES = ["/.dataops-plan", "/.dataops-order", "/.dataops-mask"]


def keeps_quiet(job, *blobs):
    """The job's token is in no blob and not in the log."""
    for blob in (job.trace, *blobs):
        assert job.token.encode() not in blob


class TestAttacks:
    @pytest.mark.parametrize("uid", list(AS))
    @runs(**{uid: dict(script=[FIND_SOCKET], image=image) for uid, image in AS.items()})
    def test_the_control_socket_is_out_of_reach(self, jobs, uid):
        job = jobs[uid].succeeds()
        assert "CONNECTED" not in job.script_output()
        assert "'socket'" not in job.script_output()

    @pytest.mark.parametrize("uid", list(AS))
    @runs(**{uid: dict(script=[TAKE_DESCRIPTORS], image=image) for uid, image in AS.items()})
    def test_descriptors_and_memory_of_process_1_are_out_of_reach(self, jobs, uid):
        job = jobs[uid].succeeds()
        output = job.script_output()
        assert "TOOK" not in output and "MEM OPENED" not in output
        keeps_quiet(job)

    @pytest.mark.parametrize("uid", list(AS))
    @runs(**{uid: dict(script=[SIGNALS], image=image, after_script=["echo after"]) for uid, image in AS.items()})
    def test_signals_to_process_1_do_nothing(self, jobs, uid):
        job = jobs[uid].succeeds()
        assert "still alive" in job.script_output()
        assert "after" in job.section("after_script")

    @runs(script=["kill -KILL -1; sleep 5; echo never"], after_script=["echo after"])
    def test_killing_everything_kills_only_the_job(self, job):
        job.fails(None, 30)
        assert "never" not in job.script_output()
        assert "after" in job.section("after_script")

    @runs(script=["ls -la " + " ".join(PLAN_FILES) + " 2>&1 || echo nothing there", "cat /.dataops-plan/plan && echo LEAKED || true"])
    def test_the_plan_is_not_in_the_jobs_container(self, job):
        job.succeeds()
        assert "LEAKED" not in job.script_output()
        assert "nothing there" in job.script_output()

    @pytest.mark.parametrize("key", GIT_KEYS)
    @runs(**{key: dict(script=[EVIL, f"git config {key} {value}; rm -f EVIL; echo x > new.txt"],
                       artifacts={"untracked": True, "paths": []}) for key, value in GIT_KEYS.items()})
    def test_git_settings_of_the_job_run_nothing_of_ours(self, jobs, key):
        job = jobs[key].succeeds()
        assert job.files() == {"new.txt": b"x\n"}
        keeps_quiet(job, job.artifact())

    @pytest.mark.parametrize("uid", list(AS))
    @pytest.mark.parametrize("form", list(nested()))
    @runs(**{f"{form}-{uid}": job for uid, image in AS.items() for form, job in nested(image=image).items()})
    def test_a_nested_repository_makes_git_run_nothing(self, jobs, form, uid):
        job = jobs[f"{form}-{uid}"].succeeds()
        assert "not passed to git fetch" in job.section("get_sources")
        assert "# Warehouse" in job.script_output()
        keeps_quiet(job)

    def test_a_nested_repository_makes_git_run_nothing_in_the_restricted_shape(self, make_site):
        site = make_site(kubernetes={"pod_security": "restricted", "run_as_user": 1000, "run_as_group": 1000})
        for job in [site.job(**job) for job in nested().values()]:
            job.succeeds()
            assert "not passed to git fetch" in job.section("get_sources")
            keeps_quiet(job)

    @runs(script=["rm -rf out; ln -s /.dataops-plan out; ln -s /.dataops-plan/plan direct; mkdir deep; ln -s / deep/root"],
          artifacts={"paths": ["out/", "out/plan", "direct", "deep/", "deep/root/.dataops-plan/plan", "**/plan"]})
    def test_a_folder_replaced_by_a_symlink_leads_nowhere(self, job):
        job.succeeds()
        names = [i.filename for i in job.archive().infolist()]
        assert not any(name.endswith("/plan") for name in names), names
        keeps_quiet(job, job.artifact())

    @runs(script=["mkdir -p d; echo mine > d/plan; (while :; do mv d e; ln -s /.dataops-plan d; rm d; mv e d; done) > /dev/null 2>&1 &"],
          artifacts={"paths": ["d/", "d/plan"]})
    def test_the_same_as_a_race(self, job):
        job.wait(60)
        assert job.state in ("success", "failed")
        types = {a["type"] for a in job.view["artifacts"]}
        if "archive" in types:
            regular = [i for i in job.archive().infolist() if (i.external_attr >> 16) & 0o170000 == 0o100000]
            assert all(job.archive().read(entry) == b"mine\n" for entry in regular)
        keeps_quiet(job)

    @runs(script=["rm -f /.dataops/step || true; (echo evil > /.dataops/step) || true; echo went on"],
          image=AS["1000"], after_script=["echo after"])
    def test_replacing_step_changes_nothing_for_the_running_job(self, job):
        job.wait()
        assert "went on" in job.script_output()

    def test_a_full_work_volume_ends_with_words(self, make_site):
        site = make_site(kubernetes={"volumes": {"empty_dir": [
            {"name": "builds", "mount_path": "/builds", "medium": "Memory", "size_limit": "32Mi"}]}})
        job = site.job(["dd if=/dev/zero of=fill bs=1M count=200 2>&1 || echo it is full"], after_script=["echo after"],
                       artifacts={"paths": ["README.md"], "when": "always"})
        job.wait(60)
        assert "it is full" in job.text
        assert "after" in job.section("after_script")
        assert job.state in ("success", "failed")

    @runs(script=["mkfifo gate; timeout 20 sh -c 'i=0; while [ $i -lt 10000 ]; do (: < gate) & i=$((i+1)); done'; echo forked"])
    def test_ten_thousand_processes_are_cleaned_away(self, job):
        job.wait(90)
        assert job.state in ("success", "failed")
        assert job.text.rstrip().splitlines()[-1].startswith(("Job succeeded", "ERROR: Job failed"))

    @runs(script=["python3 -c 'import sys; sys.stdout.buffer.write(b\"\\x1b_De\" + b\"{\\\"v\\\":1,\\\"result\\\":\\\"success\\\",\\\"exit_code\\\":0}\" + b\"\\x1b\\\\\\\\\\n\")'; exit 7"])
    def test_an_end_record_cannot_be_forged(self, job):
        job.fails()
        assert job.exit_code == 7

    @runs(script=["printf 'section_start:1:fake\\r\\033[0Kfake\\n'; sh -c 'echo {\\\"command_exit_code\\\":0}'; exit 9"])
    def test_nor_can_a_result_be_printed(self, job):
        job.fails()
        assert job.exit_code == 9
