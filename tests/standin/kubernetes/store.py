"""Everything stored: objects by resource, one counter of versions, and what happened since.

An object is a plain dict as JSON has it. Callers never change an object they got:
they copy it, change the copy and hand that to `update`.
"""

import asyncio
import datetime
import json
import random
import uuid
from collections import deque
from dataclasses import dataclass, field

from . import errors

ETCD_OBJECT_BYTES = 1536 * 1024
HISTORY_EVENTS = 4096


@dataclass(frozen=True)
class Resource:
    plural: str
    kind: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True
    verbs: tuple = ("create", "get", "list", "watch", "update", "patch", "delete",
                    "deletecollection")

    @property
    def api_version(self):
        return f"{self.group}/{self.version}" if self.group else self.version


RESOURCES = {
    r.plural: r
    for r in (
        Resource("pods", "Pod"),
        Resource("secrets", "Secret"),
        Resource("configmaps", "ConfigMap"),
        Resource("persistentvolumeclaims", "PersistentVolumeClaim"),
        Resource("serviceaccounts", "ServiceAccount"),
        Resource("events", "Event"),
        Resource("namespaces", "Namespace", namespaced=False),
        Resource("nodes", "Node", namespaced=False),
        Resource("leases", "Lease", group="coordination.k8s.io"),
    )
}


def timestamp(when=None):
    when = when or datetime.datetime.now(datetime.timezone.utc)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def clone(value):
    """A deep copy of what JSON can hold; several times quicker than copy.deepcopy."""
    if isinstance(value, dict):
        return {k: clone(v) for k, v in value.items()}
    if isinstance(value, list):
        return [clone(v) for v in value]
    return value


def encode(obj):
    return json.dumps(obj, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass")


@dataclass
class Event:
    version: int
    type: str
    obj: dict
    previous: dict | None


@dataclass(eq=False)
class Subscriber:
    """One watcher's buffer. `overflown` is set when it did not read fast enough."""

    plural: str
    namespace: str | None
    most: int = 1000
    events: deque = field(default_factory=deque)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    overflown: bool = False

    def push(self, event):
        if len(self.events) >= self.most:
            self.overflown = True
        elif not self.overflown:
            self.events.append(event)
        self.ready.set()


def labels_of(obj):
    return obj["metadata"].get("labels") or {}


class Store:
    def __init__(self, first_version=None):
        self.version = first_version or random.randint(2000, 9000)
        self.objects = {plural: {} for plural in RESOURCES}
        self.history = {plural: deque(maxlen=HISTORY_EVENTS) for plural in RESOURCES}
        self.oldest = {plural: self.version for plural in RESOURCES}
        self.subscribers = set()
        self.removed = deque(maxlen=5000)
        self.listeners = []

    def next_version(self):
        self.version += 1
        return self.version

    def get(self, plural, namespace, name):
        obj = self.objects[plural].get((namespace, name))
        if obj is None:
            raise errors.not_found(plural, name, RESOURCES[plural].group)
        return obj

    def find(self, plural, namespace, name):
        return self.objects[plural].get((namespace, name))

    def list(self, plural, namespace=None):
        keys = sorted(k for k in self.objects[plural]
                      if namespace is None or k[0] == namespace)
        return [self.objects[plural][k] for k in keys]

    def create(self, plural, namespace, obj, dry_run=False):
        """Store a new object. Fills uid, creationTimestamp, generation and version."""
        resource = RESOURCES[plural]
        obj = clone(obj)
        meta = obj.setdefault("metadata", {})
        if "name" not in meta and meta.get("generateName"):
            suffix = "".join(random.choices("bcdfghjklmnpqrstvwxz2456789", k=5))
            meta["name"] = meta["generateName"][:58] + suffix
        if resource.namespaced:
            meta["namespace"] = namespace
        key = (namespace if resource.namespaced else None, meta["name"])
        if key in self.objects[plural]:
            raise errors.already_exists(plural, meta["name"], resource.group)
        meta["uid"] = str(uuid.uuid4())
        meta["creationTimestamp"] = timestamp()
        meta.pop("resourceVersion", None)
        meta.pop("deletionTimestamp", None)
        if plural == "pods":
            meta["generation"] = 1
        self._check_size(obj)
        if dry_run:
            return obj
        meta["resourceVersion"] = str(self.next_version())
        self.objects[plural][key] = obj
        self._publish(plural, "ADDED", obj, None)
        return obj

    def update(self, plural, obj):
        """Replace an object by a changed copy; the same content changes nothing."""
        meta = obj["metadata"]
        key = (meta.get("namespace") if RESOURCES[plural].namespaced else None,
               meta["name"])
        previous = self.objects[plural].get(key)
        if previous is None:
            raise errors.not_found(plural, meta["name"], RESOURCES[plural].group)
        if meta.get("resourceVersion") not in (
                None, "", previous["metadata"]["resourceVersion"]):
            raise errors.stale(plural, meta["name"], RESOURCES[plural].group)
        meta["resourceVersion"] = previous["metadata"]["resourceVersion"]
        if obj == previous:
            return previous
        self._check_size(obj)
        meta["resourceVersion"] = str(self.next_version())
        self.objects[plural][key] = obj
        self._publish(plural, "MODIFIED", obj, previous)
        return obj

    def change(self, plural, namespace, name, edit):
        """Apply `edit(copy)` to the current object, as a component of the cluster does."""
        obj = clone(self.get(plural, namespace, name))
        obj["metadata"].pop("resourceVersion", None)
        edit(obj)
        return self.update(plural, obj)

    def remove(self, plural, namespace, name):
        previous = self.objects[plural].pop((namespace, name), None)
        if previous is None:
            raise errors.not_found(plural, name, RESOURCES[plural].group)
        obj = clone(previous)
        obj["metadata"]["resourceVersion"] = str(self.next_version())
        self.removed.append((plural, obj))
        self._publish(plural, "DELETED", obj, previous)
        return obj

    def compact(self, plural=None):
        """Forget what happened: every version from before now is expired."""
        for name in [plural] if plural else list(RESOURCES):
            self.history[name].clear()
            self.oldest[name] = self.version

    def since(self, plural, version):
        """The events after this version; raises 410 when they are forgotten."""
        if version < self.oldest[plural]:
            raise errors.too_old(version, self.oldest[plural])
        return [e for e in self.history[plural] if e.version > version]

    def subscribe(self, plural, namespace, most):
        subscriber = Subscriber(plural, namespace, most)
        self.subscribers.add(subscriber)
        return subscriber

    def unsubscribe(self, subscriber):
        self.subscribers.discard(subscriber)

    def _check_size(self, obj):
        if len(encode(obj)) > ETCD_OBJECT_BYTES:
            raise errors.ApiError(500, "", "etcdserver: request is too large")

    def _publish(self, plural, kind, obj, previous):
        version = int(obj["metadata"]["resourceVersion"])
        event = Event(version, kind, obj, previous)
        history = self.history[plural]
        if len(history) == history.maxlen:
            self.oldest[plural] = history[0].version
        history.append(event)
        namespace = obj["metadata"].get("namespace")
        for subscriber in list(self.subscribers):
            if subscriber.plural == plural and subscriber.namespace in (None, namespace):
                subscriber.push(event)
        for listener in self.listeners:
            listener(plural, event)
