"""The log at DataOps is byte for byte what the script printed, whatever that is, and whatever the way does to it."""

import random
import re

import pytest

from tests.integration.harness.declare import runs, standin_only
from tests.integration.harness.text import marked

MIB = 1 << 20
ALL = bytes(range(256))
RANDOM_SCRIPT = "python3 -c 'import random,sys; sys.stdout.buffer.write(random.Random(7).randbytes(3<<20))'"


def python(expression: str) -> str:
    return f"python3 -c 'import sys; sys.stdout.buffer.write({expression})'"


CASES = {
    "crlf": (r"printf 'one\r\ntwo\r\n\r\nthree\r\n'", b"one\r\ntwo\r\n\r\nthree\r\n"),
    "cr-cr-lf": (r"printf 'a\r\r\nb\r\r\r\n\r'", b"a\r\r\nb\r\r\r\n\r"),
    "all-bytes": (python("bytes(range(256))"), ALL),
    "all-bytes-twice-reversed": (python("bytes(range(255,-1,-1))*2"), ALL[::-1] * 2),
    "no-newline": ("printf 'no newline at the end'", b"no newline at the end"),
    "only-newlines": (r"printf '\n\n\n'", b"\n\n\n"),
    "nothing": ("true", b""),
    "long-line": (python('b"x"*(1<<20)'), b"x" * MIB),
    "long-line-then-short": (python('b"y"*(1<<20)+b"\\n"+b"z"'), b"y" * MIB + b"\nz"),
    "odd-lengths": (python('b"".join(b"q"*n+b"\\n" for n in (4080,4090,4094,4095,4096,4097,16383,16384,16385))'),
                    b"".join(b"q" * n + b"\n" for n in (4080, 4090, 4094, 4095, 4096, 4097, 16383, 16384, 16385))),
    "bad-utf-8": (python('b"\\xff\\xfe\\xc3\\x28\\xe2\\x82\\n\\xf0\\x9f\\x92"'), b"\xff\xfe\xc3\x28\xe2\x82\n\xf0\x9f\x92"),
    "our-records": (python('b"\\x1bE\\x1b_Dm12,00000000\\x1b\\\\\\n\\x1b_De{\\"v\\":1,\\"result\\":\\"success\\"}\\x1b\\\\\\n\\x1b"'),
                    b'\x1bE\x1b_Dm12,00000000\x1b\\\n\x1b_De{"v":1,"result":"success"}\x1b\\\n\x1b'),
    "half-a-record": (python('b"\\x1b_Db"+b"QUJD"*1000+b"\\n\\x1b"'), b"\x1b_Db" + b"QUJD" * 1000 + b"\n\x1b"),
    "colours": (r"printf '\033[31mred\033[0m\033]0;title\007\n'", b"\x1b[31mred\x1b[0m\x1b]0;title\x07\n"),
    "cri-look-alike": ("echo '2026-01-01T00:00:00.000000000Z stdout F fake'", b"2026-01-01T00:00:00.000000000Z stdout F fake\n"),
}


class TestExactly:
    @pytest.mark.parametrize("name", list(CASES))
    @runs(**{name: dict(script=[marked(command)]) for name, (command, _) in CASES.items()})
    def test_small(self, jobs, name):
        job = jobs[name].succeeds()
        assert job.between() == CASES[name][1]

    @runs(script=[marked("seq 1 400000")])
    def test_many_lines_arrive_whole(self, job):
        job.succeeds(120)
        assert job.between() == b"".join(b"%d\n" % n for n in range(1, 400_001))
        assert job.site.place.container_log_bytes(job.id) < 10 * MIB

    @runs(script=[marked(RANDOM_SCRIPT)])
    def test_random_bytes_arrive_whole(self, job):
        job.succeeds(120)
        assert job.between() == random.Random(7).randbytes(3 * MIB)
        assert job.site.place.container_log_bytes(job.id) < 10 * MIB

    @runs(script=[marked(python('b"\\n"*(3<<20)'))])
    def test_bare_newlines_arrive_whole(self, job):
        job.succeeds(120)
        assert job.between() == b"\n" * (3 * MIB)
        assert job.site.place.container_log_bytes(job.id) < 10 * MIB

    @runs(script=["(sleep 20; echo too $LATE) & echo here"], variables={"LATE": "late"})
    def test_a_background_process_that_keeps_the_output_open(self, job):
        job.succeeds(15)
        assert "here" in job.script_output()
        assert "too late" not in job.text

    @runs(script=["(sleep 0.4; echo just in time) & echo here"])
    def test_what_a_background_process_says_within_a_second_is_kept(self, job):
        job.succeeds()
        assert "just in time" in job.script_output()

    @runs(script=[marked("echo out; echo err >&2; echo out again")])
    def test_both_streams_keep_their_order(self, job):
        job.succeeds()
        assert job.between() == b"out\nerr\nout again\n"


LINES = b"".join(b"%d\n" % n for n in range(1, 20_001))
SCRIPT = [marked("seq 1 10000; sleep 1.2; seq 10001 20000")]
FOLLOW = {"resource": "pods", "subresource": "log", "websocket": True}

WAYS = {
    "dropped": {"damage": {"kind": "drop", "at": 20_000, "bytes": 300}},
    "dropped-one": {"damage": {"kind": "drop", "at": 12_345, "bytes": 1}},
    "doubled": {"damage": {"kind": "double", "at": 15_000, "bytes": 500}},
    "replaced": {"damage": {"kind": "replace", "at": 30_000, "bytes": 40, "with": "#"}},
    "replaced-digit": {"damage": {"kind": "replace", "at": 25_001, "bytes": 1, "with": "7"}},
    "lost-last-chunk": {"lose_last": True},
    "kubelet-text": {"body_text": "failed to try resolving symlinks in path \"/var/log/pods/x\": lstat: no such file"},
    "text-at-the-end": {"end_text": "rpc error: code = Unknown desc = the log is gone\n"},
    "closed-early": {"close_after": {"bytes": 9_000, "code": 1000}},
    "cut-early": {"cut_after": {"bytes": 9_000}},
    "tiny-frames": {"frame_bytes": 7},
    "silent": {"silent_after": {"bytes": 9_000}},
}


@standin_only(reason="a real cluster damages logs only by chance")
class TestTheWay:
    """Bytes dropped, doubled or replaced in the log path never reach DataOps: the marks catch them and the log is mended."""

    @pytest.mark.parametrize("way", list(WAYS))
    @runs(**{way: dict(script=SCRIPT, kube_faults=[{"match": FOLLOW, "do": do, "times": 1}]) for way, do in WAYS.items()})
    def test_damage_never_arrives(self, jobs, way, no_violations):
        job = jobs[way].succeeds(120)
        assert job.between() == LINES
        assert "rpc error" not in job.text and "symlinks" not in job.text

    def test_bytes_that_nobody_has_any_more_become_one_line(self, site, place, no_violations):
        """The node's file itself lacks lines, as after a full disk; the result stands."""
        job = site.job(SCRIPT, prepare=lambda job: place.logfile(
            do="drop_lines", pod=f"job-*-{job.id}-*", container="courier", skip=8, count=2))
        job.succeeds(120)
        said = re.findall(r"(?m)^.*\b(\d+) bytes\b.*$", job.text)
        assert said, job.text[-1000:]
        whole = len(job.between()) + int(said[0])
        assert len(LINES) <= whole < len(LINES) + 400, "the gap is named with its exact number"
