"""The garbage collector: what is owned goes when its owners are gone."""

import asyncio

from . import errors
from .store import RESOURCES


class Collector:
    def __init__(self, server):
        self._server, self._store = server, server.store
        self._tasks = set()
        self._store.listeners.append(self._on_event)

    def _on_event(self, plural, event):
        if event.type == "DELETED":
            uid = event.obj["metadata"]["uid"]
            if self._dependents(uid):
                self._later(self._collect_dependents, uid)
        elif event.type == "ADDED" and event.obj["metadata"].get("ownerReferences"):
            self._later(self._collect_orphan, plural, event.obj)

    def _later(self, work, *arguments):
        async def run():
            await asyncio.sleep(self._server.settings.collect_seconds)
            work(*arguments)
        task = asyncio.ensure_future(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self):
        for task in list(self._tasks):
            task.cancel()

    def _dependents(self, uid):
        return [(plural, obj) for plural in RESOURCES
                for obj in self._store.objects[plural].values()
                if any(o["uid"] == uid for o in
                       obj["metadata"].get("ownerReferences") or [])]

    def _owner_lives(self, obj, owner):
        for plural, resource in RESOURCES.items():
            if resource.kind == owner["kind"]:
                namespace = obj["metadata"].get("namespace") if resource.namespaced else None
                found = self._store.find(plural, namespace, owner["name"])
                return found is not None and found["metadata"]["uid"] == owner["uid"]
        return True  # a kind that is not kept here: nothing is known of its end

    def _collect_dependents(self, uid):
        for plural, obj in self._dependents(uid):
            self._collect_orphan(plural, obj)

    def _collect_orphan(self, plural, obj):
        meta = obj["metadata"]
        namespace = meta.get("namespace") if RESOURCES[plural].namespaced else None
        current = self._store.find(plural, namespace, meta["name"])
        if current is None or current["metadata"]["uid"] != meta["uid"]:
            return
        owners = current["metadata"].get("ownerReferences") or []
        if any(self._owner_lives(current, o) for o in owners):
            return
        try:
            self._server.delete(plural, current)
        except errors.ApiError:
            return
