"""A controller that goes while jobs run: the next one goes on with them, and no byte is lost or doubled."""

import random
import re

from tests.integration.harness.text import marked

MIB = 1 << 20
NUMBERS = b"".join(b"%d\n" % n for n in range(1, 400_001))
# Some of the output is out before the restart, some comes meanwhile, some after it.
SLOW_SEQ = marked("seq 1 150000; sleep 4; seq 150001 300000; sleep 4; seq 300001 400000")
SLOW_RANDOM = marked("python3 -c 'import random,sys,time; r=random.Random(7); o=sys.stdout.buffer; "
                     "[(o.write(r.randbytes(1<<20)), o.flush(), time.sleep(3)) for _ in range(3)]'")


def in_the_middle(job, bytes_most):
    """The restart is only one in the middle when DataOps has some of the log, and not all of it."""
    assert job.state == "running"
    assert 0 < len(job.trace) < bytes_most


class TestRestart:
    def test_a_restart_in_the_middle_of_many_lines(self, make_site):
        site = make_site()
        job = site.job([SLOW_SEQ])
        job.wait_trace(rb"\n1000\n")
        in_the_middle(job, len(NUMBERS))
        site.controller.restart()
        site.controller.wait_log("job_adopted")
        job.succeeds(120)
        assert job.between() == NUMBERS
        assert site.place.container_log_bytes(job.id) < 10 * MIB

    def test_a_kill_in_the_middle_of_random_bytes(self, make_site):
        site = make_site()
        job = site.job([SLOW_RANDOM])
        job.wait_trace(rb"@@BEGIN@@\n.", 30)
        in_the_middle(job, 3 * MIB)
        site.controller.kill()
        site.controller.start()
        job.succeeds(120)
        assert job.between() == random.Random(7).randbytes(3 * MIB)

    def test_a_job_that_ended_meanwhile_is_reported(self, make_site):
        site = make_site()
        good, bad = site.job(["echo going; sleep 2; echo done"]), site.job(["echo going; sleep 2; exit 7"])
        for job in (good, bad):
            job.wait_trace(rb"\ngoing")
        site.controller.kill()
        for job in (good, bad):
            site.place.wait_over(job.id)
        site.controller.start()
        good.succeeds()
        bad.fails("script_failure")
        assert bad.exit_code == 7
        assert good.script_output().split() == ["going", "done"]

    def test_a_cancel_reaches_an_adopted_job(self, make_site):
        site = make_site()
        job = site.job(["(while sleep 0.3; do echo tick; done) & echo going; sleep 600"], after_script=["echo after $CI_JOB_STATUS"])
        job.wait_trace(rb"\ngoing")
        site.controller.restart()
        site.controller.wait_log("job_adopted")
        job.cancel()
        assert job.wait(60) == "canceled"
        assert "after canceled" in job.text

    def test_a_forged_pod_with_a_later_attempt_takes_no_running_job_away(self, make_site, place):
        """Whoever may create pods can copy all that the API shows of a job's pod, and claim to be a later attempt of it."""
        site = make_site()
        job = site.job(["echo going; sleep 6; echo done"])
        job.wait_trace(rb"\ngoing")
        pod, = place.pods_of(job.id)
        labels, annotations = pod["metadata"]["labels"], pod["metadata"]["annotations"]
        claims = {**labels, "dataops-runner/attempt": "99"}
        seals = {"innocent": {}, "copied": {"dataops-runner/sealed": annotations["dataops-runner/sealed"]}}
        for name, seal in seals.items():
            place.create("pods", {
                "metadata": {"name": name, "labels": claims,
                             "annotations": {"dataops-runner/key": annotations["dataops-runner/key"], **seal}},
                "spec": {"automountServiceAccountToken": False,
                         "containers": [{"name": "build", "image": place.image, "command": ["sleep", "60"]}]}})
        site.controller.kill()
        site.controller.start()
        site.controller.wait_log("job_adopted")
        job.succeeds()
        assert job.script_output().split() == ["going", "done"]
        log = site.controller.log
        assert "pod_left_over" not in log
        assert {name: len(re.findall(f"pod_not_adopted.*{name}", log)) for name in seals} == {"innocent": 1, "copied": 1}
        there = {pod["metadata"]["name"]: pod for pod in place.pods()}
        assert all("deletionTimestamp" not in there[name]["metadata"] for name in seals)
        for name in seals:
            place.delete_pod(name, site.place.namespace)
