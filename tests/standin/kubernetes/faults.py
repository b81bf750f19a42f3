"""Faults on demand. A fault matches API requests and says what goes wrong with them.

    {"match": {"verb": "create", "resource": "pods"}, "times": 1, "skip": 0,
     "do": {"status": {"code": 500, "message": "etcdserver: leader changed"}}}

`match` keys: user, verb (get list watch create update patch delete), resource,
subresource, namespace, name (patterns with *), websocket (true or false), container
(of a log request), query (a text that the query string must hold). All must match;
none matches every request. `times` (default 1, 0 = without end), `skip` (let so many
pass first). Seen from outside, `hits` counts the requests that matched, `acted` those
that the fault changed.

`do` keys, for every request:
  delay_s         wait before anything is done
  status          {code, reason, message, retry_after_s, details} instead of the answer
  text            {code, body, content_type, retry_after_s} instead of the answer
  bare            code: an answer with an empty body
  cut             true: the connection ends without an answer, nothing was done
  delay_answer_s  done at once, answered late
  lose_answer     true: done and stored, then the connection ends without an answer
  dribble_s       the answer's body stops half way for so long, then ends cut off
for logs and watches:
  frame_delay_s   wait before every frame
  frame_bytes     at most so many bytes in a frame (logs)
  close_after     {bytes or events: N, code: 1000}: Close after so much
  cut_after       {bytes or events: N}: the TCP connection is reset after so much
  silent_after    {bytes or events: N}: stays open, sends nothing more, answers no ping
for logs:
  body_text       200, this text, the end: as the kubelet does when its log is gone
  end_text        this text after what the log holds
  lose_last       true: the last chunk before the end is lost, the end is clean
  damage          {kind: drop|double|replace, at: offset, bytes: N, with: "text"} or a list
for watches:
  error           {code, reason, message}: an ERROR event, then Close 1000; with
                  "after_events": N after so many events
  no_bookmarks    true
  extra           a JSON object sent as the first event, whatever it is
"""

import fnmatch
import itertools
from dataclasses import dataclass, field

DO_KEYS = {
    "delay_s", "status", "text", "bare", "cut", "delay_answer_s", "lose_answer",
    "dribble_s", "frame_delay_s", "frame_bytes", "close_after", "cut_after",
    "silent_after", "body_text", "end_text", "lose_last", "damage", "error",
    "no_bookmarks", "extra",
}
MATCH_KEYS = {"user", "verb", "resource", "subresource", "namespace", "name",
              "websocket", "container", "query"}


class Damage:
    """Drops, doubles or replaces bytes of a stream at given offsets."""

    def __init__(self, edits):
        edits = edits if isinstance(edits, list) else [edits]
        self._edits = sorted((dict(e) for e in edits), key=lambda e: e.get("at", 0))
        self._offset = 0
        self.done = 0

    def apply(self, data):
        out, start = b"", self._offset
        self._offset += len(data)
        for edit in self._edits:
            at, length = edit.get("at", 0), edit.get("bytes", 1)
            first, last = max(at, start), min(at + length, start + len(data))
            if first >= last:
                continue
            out += data[:first - start]
            out += self._damaged(edit, data[first - start:last - start], first - at)
            data = data[last - start:]
            start = last
            self.done += 1
        return out + data

    @staticmethod
    def _damaged(edit, piece, skipped):
        if edit["kind"] == "drop":
            return b""
        if edit["kind"] == "double":
            return piece + piece
        text = edit.get("with", "#").encode("latin-1")
        repeated = text * (len(piece) // len(text) + 2)
        return repeated[skipped % len(text):][:len(piece)]


class LineFilter:
    """Lets lines of a log file vanish, as a full disk of the node does."""

    def __init__(self, skip, count, every=None):
        self._skip, self._count, self._every = skip, count, every
        self._seen = 0
        self.dropped = 0

    def keeps(self, _line):
        self._seen += 1
        if self._seen <= self._skip or self.dropped >= self._count:
            return True
        if self._every and (self._seen - self._skip) % self._every:
            return True
        self.dropped += 1
        return False


@dataclass
class Effects:
    """What happens to one request: the `do` of every fault that matched it."""

    do: dict = field(default_factory=dict)

    def get(self, key):
        return self.do.get(key)

    @property
    def frame_delay(self):
        return self.do.get("frame_delay_s", 0)

    @property
    def frame_bytes(self):
        return self.do.get("frame_bytes", 0)

    def limit(self, what, unit):
        """The N of `close_after` and its kin for bytes or events; None without one."""
        rule = self.do.get(what)
        return rule.get(unit) if rule else None


def matches(match, info):
    for key, wanted in match.items():
        value = info.get(key)
        if key == "query":
            if wanted not in (value or ""):
                return False
        elif isinstance(wanted, str) and isinstance(value, str):
            if not fnmatch.fnmatchcase(value, wanted):
                return False
        elif value != wanted:
            return False
    return True


class Faults:
    def __init__(self):
        self._ids = itertools.count(1)
        self._faults = {}

    def add(self, fault):
        """Store a fault, return its id; ValueError names what is not known."""
        match, do = fault.get("match") or {}, fault.get("do") or {}
        for keys, known, where in ((match, MATCH_KEYS, "match"), (do, DO_KEYS, "do")):
            unknown = set(keys) - known
            if unknown:
                raise ValueError(f"unknown in {where}: {', '.join(sorted(unknown))}")
        if not do:
            raise ValueError("a fault needs `do`")
        number = next(self._ids)
        self._faults[number] = {
            "id": number, "match": match, "do": do, "skip": fault.get("skip", 0),
            "times": fault.get("times", 1), "hits": 0, "acted": 0,
        }
        return number

    def remove(self, number=None):
        if number is None:
            self._faults.clear()
        else:
            self._faults.pop(number, None)

    def list(self):
        return list(self._faults.values())

    def at_request(self, info):
        effects = Effects()
        for fault in list(self._faults.values()):
            if not matches(fault["match"], info):
                continue
            fault["hits"] += 1
            past = fault["hits"] - fault["skip"]
            if past < 1 or (fault["times"] and past > fault["times"]):
                continue
            fault["acted"] += 1
            effects.do.update(fault["do"])
        return effects
