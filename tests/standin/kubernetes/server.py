"""One stand-in: its store, API, node, accounts and files, put together and taken apart."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

from aiohttp import web

from .. import tls
from . import auth, errors, mounts
from .api import Api
from .cgroups import ControlGroups
from .control import Control
from .faults import Faults, matches
from .garbage import Collector
from .guardian import Guardian
from .images import Images
from .kubelet import Kubelet
from .log import Watchers
from .objects import delete as delete_object
from .store import RESOURCES, Store

REQUESTS_KEPT = 100_000


class SetupError(Exception):
    """Something that this machine lacks, as a sentence."""


class Server:
    def __init__(self, state, settings):
        self.state = Path(state).resolve()
        self.settings = settings
        self.store = Store()
        self.gate = auth.Gate()
        self.faults = Faults()
        self.images = Images(settings)
        self.requests = deque(maxlen=REQUESTS_KEPT)
        self.open_requests = 0
        self.streams = set()
        self.watchers = Watchers(self.settings)
        self.refusals = []
        self.ca_path = None
        self.address = ("127.0.0.1", 0)
        self.kubelet = self.guardian = self.groups = None
        self._runner = None
        self.store.listeners.append(self._on_event)

    # ---- starting -----------------------------------------------------------------

    @staticmethod
    def check_machine():
        """Raise SetupError when it cannot run here, before anything is made."""
        if os.geteuid() != 0:
            raise SetupError("It must run as root: pods get users, mounts and namespaces "
                             "of their own (try sudo).")
        for program in ("bwrap", "nsenter", "cc"):
            if shutil.which(program) is None:
                package = {"bwrap": "bubblewrap", "nsenter": "util-linux", "cc": "gcc"}
                raise SetupError(f"It needs the program {program} (Debian package "
                                 f"{package[program]}).")

    def prepare_machine(self):
        """Folders, the mount namespace, the launcher. Raises SetupError."""
        self.state.mkdir(parents=True, exist_ok=True)
        self.state.chmod(0o711)
        try:
            mounts.own_mount_namespace()
        except OSError as error:
            raise SetupError("This machine does not let it make a mount namespace "
                             f"({error.strerror}): it needs CAP_SYS_ADMIN.") from None
        self.guardian, self.groups = Guardian(), ControlGroups()
        overlay = self.settings.overlay and mounts.overlay_works(self.state)
        if not overlay and self.settings.overlay:
            overlay = self._overlay_on_tmpfs()
        if not overlay:
            print("kubernetes stand-in: overlayfs is not possible here; containers get "
                  "writable copies of /etc, empty /tmp, /run, /root and /home, and the "
                  "rest of the machine read-only.", file=sys.stderr)
        launcher = self._build_launcher()
        self._check_bubblewrap()
        return launcher, overlay

    def _overlay_on_tmpfs(self):
        """An upper layer needs a file system that takes one; a tmpfs does."""
        pods = self.state / "pods"
        try:
            mounts.mount_tmpfs(pods, mode=0o711)
        except OSError:
            return False
        if mounts.overlay_works(pods):
            return True
        mounts.unmount(pods)
        return False

    def _build_launcher(self):
        source = Path(__file__).with_name("launcher.c")
        target = self.state / "launcher"
        done = subprocess.run(
            ["cc", "-std=gnu17", "-O2", "-static", "-D_GNU_SOURCE", "-o", str(target),
             str(source)], capture_output=True, text=True)
        if done.returncode != 0:
            raise SetupError("The C compiler could not build its launcher: "
                             + done.stderr.strip().splitlines()[-1])
        return os.open(target, os.O_RDONLY | os.O_CLOEXEC)

    @staticmethod
    def _check_bubblewrap():
        done = subprocess.run(
            ["bwrap", "--bind", "/", "/", "--unshare-pid", "--unshare-uts",
             "--unshare-ipc", "--as-pid-1", "--proc", "/proc", "--dev", "/dev", "--",
             "/bin/true"], capture_output=True, text=True)
        if done.returncode != 0:
            raise SetupError("bubblewrap cannot make a container on this machine: "
                             + done.stderr.strip())

    def add_account(self, name, namespace, role=None):
        account = auth.Account(namespace, name)
        if role:
            account.rules = auth.load_rules(role, account)
        return self.gate.add(account)

    def add_namespace(self, name):
        if self.store.find("namespaces", None, name) is None:
            self.store.create("namespaces", None, {
                "kind": "Namespace", "apiVersion": "v1",
                "metadata": {"name": name,
                             "labels": {"kubernetes.io/metadata.name": name}},
                "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})

    def _on_event(self, plural, event):
        """Every namespace gets its default service account."""
        if plural == "namespaces" and event.type == "ADDED":
            self.add_service_account(event.obj["metadata"]["name"], "default")

    def add_service_account(self, namespace, name):
        if self.store.find("serviceaccounts", namespace, name) is None:
            self.store.create("serviceaccounts", namespace, {
                "kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": name}})

    def add_claim(self, namespace, name):
        if self.store.find("persistentvolumeclaims", namespace, name) is None:
            self.store.create("persistentvolumeclaims", namespace, {
                "kind": "PersistentVolumeClaim", "apiVersion": "v1",
                "metadata": {"name": name},
                "spec": {"accessModes": ["ReadWriteMany"],
                         "resources": {"requests": {"storage": "1Gi"}}},
                "status": {"phase": "Bound"}})

    async def start(self, launcher, overlay, host, port, plain, names):
        """Listen. Returns the base URL."""
        self.kubelet = Kubelet(self, launcher, overlay)
        self.collector = Collector(self)
        self.api, self.control = Api(self), Control(self)
        context = None
        if not plain:
            authority = tls.make_authority(self.state / "tls", "kubernetes stand-in")
            self.authority = authority
            self.ca_path = authority.ca_path
            self._names = [host, "localhost", "127.0.0.1", "::1",
                           "kubernetes.default.svc"] + names
            context = self._context = authority.server_context(self._names)
        app = web.Application(client_max_size=64 * 1024 * 1024)
        self.control.add_routes(app.router)
        app.router.add_route("*", "/{path:.*}", self.api.handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5,
                                     keepalive_timeout=90)
        await self._runner.setup()
        self._tls_context = context
        self.address = (host, port)
        await self._listen()
        port = self._site._server.sockets[0].getsockname()[1]
        self.address = (host, port)
        self.kubelet.start()
        shown = f"[{host}]" if ":" in host else host
        return f"{'http' if plain else 'https'}://{shown}:{port}"

    async def _listen(self):
        host, port = self.address
        self._site = web.TCPSite(self._runner, host, port, ssl_context=self._tls_context,
                                 backlog=1024, reuse_address=True)
        await self._site.start()

    def begin_outage(self, seconds):
        """Soon every connection is reset and new ones are refused, for so long."""
        async def outage():
            await asyncio.sleep(0.05)
            await self._site.stop()
            for connection in list(self._runner.server.connections):
                if connection.transport:
                    connection.transport.abort()
            await asyncio.sleep(seconds)
            await self._listen()
        self._outage = asyncio.ensure_future(outage())

    def write_files(self, url, account, admin):
        """kubeconfigs and the in-cluster folder; returns what the ready line says."""
        namespace = self.settings.namespace
        paths = {}
        for who, name in ((account, "kubeconfig"), (admin, "admin-kubeconfig")):
            path = self.state / name
            path.write_text(auth.kubeconfig(url, self.ca_path, who.token, namespace))
            path.chmod(0o600)
            paths[name.replace("-", "_")] = str(path)
        for each in self.gate.accounts:
            folder = self.state / "accounts" / each.namespace / each.name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "namespace").write_text(each.namespace)
            if self.ca_path:
                shutil.copyfile(self.ca_path, folder / "ca.crt")
            each.folder = folder
            auth.write_atomically(folder / "token", each.token)
        paths["service_account"] = str(account.folder)
        return paths

    async def stop(self):
        for stream in list(self.streams):
            stream.orders.put_nowait({"do": "close"})
        await self.kubelet.stop()
        self.collector.stop()
        await self._runner.cleanup()
        self._unmount_rest()
        self.groups.remove()

    def _unmount_rest(self):
        with open("/proc/self/mounts", encoding="utf-8") as file:
            targets = [line.split()[1] for line in file]
        for target in reversed(targets):
            if target.startswith(str(self.state) + "/"):
                try:
                    mounts.unmount(target)
                except OSError:
                    continue

    def use_certificate(self, kind):
        """Serve another certificate to connections made from now on."""
        make = {"good": lambda: self.authority.server_certificate(self._names),
                "expired": lambda: self.authority.expired_certificate(self._names),
                "wrong-name": self.authority.wrong_name_certificate,
                "foreign": lambda: self.authority.foreign_certificate(self._names)}
        certificate, key = make[kind]()
        self._context.load_cert_chain(certificate, key)

    # ---- what parts ask of the whole ------------------------------------------------

    def present(self, plural, obj, info):
        """How an object is shown; only its metadata when the client asked for that."""
        if "as=PartialObjectMetadata" in info.get("accept", "") and \
                obj.get("kind") != "Status":
            return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                    "metadata": obj["metadata"]}
        return obj

    def after_change(self, plural, obj):
        """A finalizer removed from a finished object lets it go."""
        meta = obj["metadata"]
        if meta.get("deletionTimestamp") and not meta.get("finalizers") and \
                meta.get("deletionGracePeriodSeconds", 0) == 0:
            namespace = meta.get("namespace") if RESOURCES[plural].namespaced else None
            worker = self.kubelet.workers.get(meta["uid"])
            if worker is None and self.store.find(plural, namespace, meta["name"]):
                self.store.remove(plural, namespace, meta["name"])

    def check_quota(self, plural, obj, info):
        """Refusals that a test asked for: quota, LimitRange, Pod Security, webhooks."""
        for rule in list(self.refusals):
            if not matches(rule.get("match") or {}, info | {
                    "name": obj["metadata"].get("name", "")}):
                continue
            rule["hits"] = rule.get("hits", 0) + 1
            if rule.get("times", 1) and rule["hits"] > rule.get("times", 1):
                continue
            code = rule.get("code", 403)
            message = rule["message"]
            if code == 403:
                raise errors.forbidden(plural, obj["metadata"].get("name", ""), message)
            raise errors.ApiError(code, rule.get("reason", ""), message)

    def delete(self, plural, obj, options=None):
        return delete_object(self, RESOURCES[plural], obj, options or {})

    def pod_token(self, namespace, name):
        """The token that a pod of this service account mounts."""
        account = self.gate.find(name, namespace)
        if account is None:
            account = self.gate.add(auth.Account(namespace, name, rules=[]))
        return account.token

    def shown_request(self, info):
        return {k: v for k, v in info.items() if k not in ("effects", "parsed")}


def ready_line(server, url, paths, extra):
    return json.dumps({"url": url, "ca": str(server.ca_path) if server.ca_path else None,
                       "ca_path": str(server.ca_path) if server.ca_path else None,
                       "state": str(server.state), "namespace": server.settings.namespace,
                       "control": url + "/_standin/", "pid": os.getpid(),
                       "started": time.time()} | paths | extra)

