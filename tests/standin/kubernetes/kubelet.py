"""The node: scheduling, one worker per pod, the look at the runtime once a second, events.

Everything a real control plane does beside the API lives here in small: the scheduler,
the kubelet's relist, log rotation, and the events that explain why a pod waits.
"""

import asyncio
import datetime
import fnmatch
import os
import random
import time
from pathlib import Path

from . import errors, log, status
from .crilog import Clock
from .faults import Damage, LineFilter
from .podrules import all_containers, quantity
from .store import timestamp
from .worker import PodWorker

EVENT_BURST = 25


class Kubelet:
    def __init__(self, server, launcher_fd, overlay):
        self.server, self.store = server, server.store
        self.settings = server.settings
        self.launcher_fd, self.overlay = launcher_fd, overlay
        self.name = self.settings.node_name
        self.address = "127.0.0.1"
        self.labels = {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                       "kubernetes.io/hostname": self.name} | self.settings.node_labels
        self.clock = Clock(self.settings.zone_minutes)
        self.hidden = [str(server.state)] + [
            str(Path(p).resolve()) for p in self.settings.hide]
        self.workers = {}
        self.past = {}
        self.hook_failures = []
        self.log_rules = []
        self._events = {}
        self._tasks = set()
        self._relisted = asyncio.Event()
        self._helpers = self._find_helpers()
        self.store.listeners.append(self._on_event)

    def _find_helpers(self):
        folder = self.settings.helper_bin
        if not folder:
            return []
        return [(p.resolve(), f"/usr/local/bin/{p.name}", True)
                for p in sorted(Path(folder).iterdir())
                if p.name.startswith("dataops-") and p.is_file() and os.access(p, os.X_OK)]

    def helper_binds(self, image):
        name = image.rpartition("@")[0] or image
        return self._helpers if any(
            fnmatch.fnmatchcase(name, p) for p in self.settings.helper_image) else []

    def extra_hosts(self):
        return "".join(f"{a}\t{n}\n" for n, a in self.settings.hosts.items())

    def start(self):
        for work in (self._relist_forever(), self._rotate_forever(),
                     self._measure_forever()):
            self._spawn(work)

    def _spawn(self, work):
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_tell_failure)
        return task

    async def stop(self):
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ---- the scheduler --------------------------------------------------------------

    def _on_event(self, plural, event):
        if plural == "pods":
            self._on_pod(event)
        elif plural == "persistentvolumeclaims" and event.type == "ADDED":
            for pod in self.store.list("pods"):
                if not pod["spec"].get("nodeName"):
                    self._spawn(self._schedule(pod))

    def _on_pod(self, event):
        pod = event.obj
        uid = pod["metadata"]["uid"]
        worker = self.workers.get(uid)
        if worker:
            worker.on_pod_changed(pod, event.type == "DELETED")
        elif event.type == "ADDED" and not pod["spec"].get("nodeName"):
            self._spawn(self._schedule(pod))
        elif event.type == "ADDED" or (
                event.type == "MODIFIED" and not event.previous["spec"].get("nodeName")
                and pod["spec"].get("nodeName")):
            self._accept(pod)

    def _unfit(self, pod):
        """Why this pod fits no node; empty when it fits."""
        for key, value in (pod["spec"].get("nodeSelector") or {}).items():
            if self.labels.get(key) != value:
                return "0/1 nodes are available: 1 node(s) didn't match Pod's node " \
                    "affinity/selector. preemption: 0/1 nodes are available: 1 " \
                    "Preemption is not helpful for scheduling."
        for volume in pod["spec"].get("volumes") or []:
            claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            if claim and self.store.find("persistentvolumeclaims",
                                         pod["metadata"]["namespace"], claim) is None:
                return "0/1 nodes are available: persistentvolumeclaim " \
                    f'"{claim}" not found. preemption: 0/1 nodes are available: 1 ' \
                    "Preemption is not helpful for scheduling."
        for resource, limit in (("cpu", self.settings.node_cpu),
                                ("memory", self.settings.node_memory)):
            if self._requested(pod, resource) + sum(
                    self._requested(w.pod, resource) for w in self.workers.values()
                    if not w.done) > quantity(limit):
                return f"0/1 nodes are available: 1 Insufficient {resource}. preemption: " \
                    "0/1 nodes are available: 1 No preemption victims found for incoming pod."
        return ""

    @staticmethod
    def _requested(pod, resource):
        total = 0
        for container in all_containers(pod):
            requests = (container.get("resources") or {}).get("requests") or {}
            total += quantity(requests.get(resource, 0)) or 0
        return total

    async def _schedule(self, pod):
        await asyncio.sleep(self.settings.schedule_seconds)
        meta = pod["metadata"]
        current = self.store.find("pods", meta["namespace"], meta["name"])
        if current is None or current["metadata"]["uid"] != meta["uid"] or \
                current["spec"].get("nodeName"):
            return
        why = "no node takes pods now" if self.settings.cordoned else self._unfit(current)

        def edit(copied):
            condition = status.scheduled_condition(not why, why)
            copied["status"]["conditions"] = status.merge_conditions(
                copied["status"].get("conditions"), [condition])
            if not why:
                copied["spec"]["nodeName"] = self.name

        try:
            self.store.change("pods", meta["namespace"], meta["name"], edit)
        except errors.ApiError:
            return
        if why:
            self.event(pod, "Warning", "FailedScheduling", why, source="default-scheduler")
            self._spawn(self._later(5.0, pod))
        else:
            self.event(pod, "Normal", "Scheduled", "Successfully assigned "
                       f"{meta['namespace']}/{meta['name']} to {self.name}",
                       source="default-scheduler")

    async def _later(self, seconds, pod):
        await asyncio.sleep(seconds)
        await self._schedule(pod)

    # ---- workers --------------------------------------------------------------------

    def _accept(self, pod):
        uid = pod["metadata"]["uid"]
        refusal = self.settings.refuse_pods
        if refusal:
            self.settings.refuse_pods = None
            self._spawn(self._refuse(pod, refusal))
            return
        worker = PodWorker(self, pod)
        self.workers[uid] = worker
        self._spawn(worker.run())

    async def _refuse(self, pod, refusal):
        """The kubelet refuses a bound pod: Failed, no container statuses."""
        meta = pod["metadata"]

        def edit(copied):
            copied["status"] |= {
                "phase": "Failed", "reason": refusal.get("reason", "OutOfcpu"),
                "message": refusal.get("message", "Pod was rejected: Node didn't have "
                                       "enough resource: cpu"),
                "startTime": timestamp()}
        await asyncio.sleep(0.05)
        self.store.change("pods", meta["namespace"], meta["name"], edit)

    def forget(self, worker):
        """A worker's end: the object goes when its deletion was asked for."""
        self.workers.pop(worker.uid, None)
        self.past[worker.uid] = worker
        while len(self.past) > 1000:
            self.past.pop(next(iter(self.past)))
        current = self.store.find("pods", worker.namespace, worker.name)
        if current is None or current["metadata"]["uid"] != worker.uid:
            return
        meta = current["metadata"]
        if not meta.get("deletionTimestamp"):
            return
        if meta.get("finalizers"):
            def edit(copied):
                copied["metadata"]["deletionGracePeriodSeconds"] = 0
            self.store.change("pods", worker.namespace, worker.name, edit)
        else:
            self.store.remove("pods", worker.namespace, worker.name)

    def find_worker(self, uid):
        return self.workers.get(uid) or self.past.get(uid)

    def container_log(self, uid, container, previous=False):
        """The log of the newest instance of a container, or of the one before."""
        worker = self.find_worker(uid)
        instance = worker.instances.get(container) if worker else None
        found = instance and (instance.previous_log if previous else instance.log)
        if not found:
            raise errors.bad_request(f'container "{container}" is not available')
        return found

    def log_tail(self, instance, lines, size):
        """The last lines of a log as the fallback termination message takes them."""
        class Query(dict):
            follow = timestamps = previous = False
            tail, limit, since = lines, None, None
        writer = log.LineWriter(Query())
        try:
            content = instance.log.path.read_bytes().splitlines(keepends=True)[-lines:]
        except OSError:
            return b""
        return b"".join(writer.take(line) for line in content)[-size:]

    def take_hook_failure(self, worker, instance):
        for rule in self.hook_failures:
            if fnmatch.fnmatchcase(worker.name, rule.get("pod", "*")) and \
                    fnmatch.fnmatchcase(instance.name, rule.get("container", "*")):
                rule["times"] = rule.get("times", 1) - 1
                if rule["times"] <= 0:
                    self.hook_failures.remove(rule)
                return True
        return False

    def damage_log(self, worker, instance):
        """Apply the rules of the control endpoint to a container's log."""
        for rule in list(self.log_rules):
            if not fnmatch.fnmatchcase(worker.name, rule["pod"]) or \
                    not fnmatch.fnmatchcase(instance.name, rule["container"]):
                continue
            body = rule["body"]
            if body["do"] == "damage":
                instance.log.damage = Damage(body["edits"])
            else:
                instance.log.line_filter = LineFilter(
                    body.get("skip", 0), body.get("count", 1), body.get("every"))
            rule["times"] -= 1
            if rule["times"] == 0:
                self.log_rules.remove(rule)

    # ---- clocks ---------------------------------------------------------------------

    async def _relist_forever(self):
        while True:
            await asyncio.sleep(self.settings.relist_seconds)
            for worker in list(self.workers.values()):
                worker.relist()
            relisted, self._relisted = self._relisted, asyncio.Event()
            relisted.set()

    async def next_relist(self):
        await self._relisted.wait()

    async def _rotate_forever(self):
        while True:
            await asyncio.sleep(self.settings.rotate_check_seconds)
            for worker in list(self.workers.values()):
                for instance in worker.instances.values():
                    if instance.is_running() and \
                            instance.log.size() > self.settings.log_bytes:
                        instance.log.rename_away()
                        await asyncio.sleep(0.002)
                        instance.log.reopen()

    async def _measure_forever(self):
        """Evict pods whose emptyDir grew over its limit; it is no ENOSPC."""
        while True:
            await asyncio.sleep(self.settings.usage_check_seconds)
            for worker in list(self.workers.values()):
                over = await asyncio.to_thread(worker.volumes.over_limit, worker.pod)
                if over and not worker.reason:
                    text = f'Usage of EmptyDir volume "{over[0]}" exceeds the limit ' \
                           f'"{over[1]}". '
                    self.event(worker.pod, "Warning", "Evicted", text)
                    worker.evict("Evicted", text, grace=1)

    # ---- events ---------------------------------------------------------------------

    def event(self, pod, kind, reason, message, path="", source="kubelet"):
        """Record an event of a pod; the same one again only counts up."""
        meta = pod["metadata"]
        key = (meta["uid"], reason, message, path)
        known = self._events.get(key)
        if known and self.store.find("events", meta["namespace"], known):
            def edit(copied):
                copied["count"] += 1
                copied["lastTimestamp"] = timestamp()
            self.store.change("events", meta["namespace"], known, edit)
            return
        now = timestamp()
        involved = {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"],
                    "uid": meta["uid"], "apiVersion": "v1",
                    "resourceVersion": meta.get("resourceVersion", "")}
        if path:
            involved["fieldPath"] = path
        stored = self.store.create("events", meta["namespace"], {
            "kind": "Event", "apiVersion": "v1",
            "metadata": {"name": f"{meta['name']}.{time.time_ns():x}"
                                 f"{random.randint(0, 4095):03x}"},
            "involvedObject": involved, "reason": reason, "message": message,
            "source": {"component": source} | (
                {"host": self.name} if source == "kubelet" else {}),
            "firstTimestamp": now, "lastTimestamp": now, "count": 1, "type": kind,
            "eventTime": None, "reportingComponent": source, "reportingInstance": self.name})
        self._events[key] = stored["metadata"]["name"]

    def expire_events(self):
        limit = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
        for old in self.store.list("events"):
            if old["lastTimestamp"] < timestamp(limit):
                self.store.remove("events", old["metadata"]["namespace"],
                                  old["metadata"]["name"])


def _tell_failure(task):
    if not task.cancelled() and task.exception() is not None:
        import sys
        import traceback
        error = task.exception()
        print("kubernetes stand-in: internal error:", file=sys.stderr)
        traceback.print_exception(type(error), error, error.__traceback__)
