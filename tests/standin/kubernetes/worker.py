"""The kubelet's worker of one pod: volumes, the start pass, the end, and what it publishes.

Facts kept here: containers start one after another, a postStart hook delays the next;
nothing is published and no deletion is noticed before the start pass over all
containers is over; a failing hook ends its container and the next one starts anyway.
"""

import asyncio
import copy
import os
import random
import secrets as random_bytes
import shutil
import time

from . import errors, status
from .container import (ConfigError, Process, StartError, bubblewrap_command,
                        either, enter_command, identity_of)
from .crilog import ContainerLog
from .environment import container_command, container_environment
from .images import PullError, Root, registry_credentials
from .podrules import quantity
from .volumes import MountError, PodVolumes

MESSAGE_BYTES = 4096
STATUS_MESSAGE_BYTES = 12288
FALLBACK_BYTES, FALLBACK_LINES = 2048, 80
PULL_BACKOFF_SECONDS, PULL_BACKOFF_MOST = 10, 300


class Instance:
    """One container of a pod and what has become of it."""

    def __init__(self, spec, init):
        self.spec, self.name, self.init = spec, spec["name"], init
        self.process = self.log = self.root = self.identity = None
        self.previous_log = self.group = None
        self.waiting = None
        self.terminated = None
        self.last = None
        self.restarts = 0
        self.container_id = self.image_id = ""
        self.hook_done = False
        self.oom = False
        self.starting = False
        self.retry_at = 0.0
        self.backoff = PULL_BACKOFF_SECONDS
        self.message_path = None
        self.env = {}

    def is_running(self):
        return (self.process is not None and self.process.started_at is not None
                and self.terminated is None and not self.starting)

    def wants_start(self):
        return self.process is None and self.terminated is None

    def begin_again(self):
        """Make room for the next instance; the first comes at once, later ones wait."""
        self.last, self.terminated = self.terminated, None
        self.previous_log, self.process = self.log, None
        if self.root:
            self.root.remove()
        if self.restarts:
            self.waiting = ("CrashLoopBackOff", f"back-off {self.backoff}s restarting "
                            f"failed container={self.name}")
            self.retry_at = time.monotonic() + self.backoff
            self.backoff = min(self.backoff * 2, PULL_BACKOFF_MOST)
        self.restarts += 1
        self.hook_done = self.oom = False


class PodWorker:
    def __init__(self, node, pod):
        meta = pod["metadata"]
        self.node, self.server = node, node.server
        self.uid, self.namespace, self.name = meta["uid"], meta["namespace"], meta["name"]
        self.folder = self.server.state / "pods" / self.uid
        self.started_at = time.time()
        self.instances = {}
        for kind in ("initContainers", "containers"):
            for spec in pod["spec"].get(kind) or []:
                self.instances[spec["name"]] = Instance(spec, kind == "initContainers")
        self.volumes = PodVolumes(self.server, self.folder / "volumes")
        self.entries = self._look()
        self.wake = asyncio.Event()
        self.in_pass = True
        self.ready_to_start = False
        self.forced_phase = self.reason = self.message = ""
        self.reason_now = False
        self.eviction_grace = None
        self.extra_conditions = []
        self.grace = None          # set when the pod is being deleted
        self.gone = False          # its object is no more
        self.done = False
        self.last_pod = pod

    # ---- what others see ---------------------------------------------------------

    @property
    def pod(self):
        """The pod as it is stored now, or as it last was."""
        current = self.server.store.find("pods", self.namespace, self.name)
        if current is not None and current["metadata"]["uid"] == self.uid:
            self.last_pod = current
        return self.last_pod

    def _look(self):
        initial = "PodInitializing" if any(
            i.init for i in self.instances.values()) else "ContainerCreating"
        return {n: status.container_status(i, initial) for n, i in self.instances.items()}

    def relist(self):
        """The kubelet's look at the runtime, once a second."""
        seen = self._look()
        if seen != self.entries:
            self.entries = seen
            self.wake.set()

    def on_pod_changed(self, pod, gone):
        meta = pod["metadata"]
        if gone:
            self.gone, self.grace = True, 0 if self.grace is None else min(self.grace, 1)
        elif meta.get("deletionTimestamp"):
            self.grace = meta.get("deletionGracePeriodSeconds", 0)
        else:
            delay = random.uniform(*self.server.settings.refresh_seconds)
            asyncio.get_running_loop().call_later(delay, self.wake.set)
            return
        self.wake.set()

    def publish(self, terminal=False):
        if self.gone or self.done:
            return
        entries = self.entries

        def edit(pod):
            if pod["metadata"]["uid"] != self.uid:
                raise errors.not_found("pods", self.name)
            pod["status"] = status.pod_status(pod, self, entries, terminal)

        try:
            self.server.store.change("pods", self.namespace, self.name, edit)
        except errors.ApiError:
            self.gone = True

    # ---- life -----------------------------------------------------------------

    async def run(self):
        try:
            self.publish()
            if await self._mount():
                self.ready_to_start = True
                await self._start_pass()
                await self._live()
            await self._terminate()
        except asyncio.CancelledError:
            await self._kill_all(0)
            raise
        finally:
            self._remove()

    async def _mount(self):
        """Make the volumes, trying again; False when the pod is deleted meanwhile."""
        await asyncio.sleep(self.server.settings.mount_seconds)
        wait = 0.5
        while not self._must_end():
            try:
                self.volumes.prepare(self.pod)
                return True
            except MountError as error:
                self.node.event(self.pod, "Warning", "FailedMount", str(error))
            until = time.monotonic() + wait
            while time.monotonic() < until and not self._must_end():
                await self._nap(until - time.monotonic())
            wait = min(wait * 2, 122)
        return False

    async def _nap(self, seconds):
        """Sleep, or until something changed."""
        await either(self.wake.wait(), max(0.0, seconds))
        self.wake.clear()

    def _deadline_passed(self):
        limit = self.pod["spec"].get("activeDeadlineSeconds")
        return limit is not None and time.time() >= self.started_at + limit

    def _must_end(self):
        if self._deadline_passed() and not self.reason:
            self.forced_phase, self.reason = "Failed", "DeadlineExceeded"
            self.message = "Pod was active on the node longer than the specified deadline"
        return self.gone or self.grace is not None or bool(self.reason)

    def evict(self, reason, message, condition=None, grace=None):
        """End the pod for a reason of the node: Failed, with this reason."""
        self.eviction_grace = grace
        self.forced_phase, self.reason, self.message = "Failed", reason, message
        if condition:
            self.extra_conditions.append({
                "type": "DisruptionTarget", "status": "True", "reason": condition,
                "message": message, "lastProbeTime": None,
                "lastTransitionTime": status.timestamp()})
        self.wake.set()

    async def _live(self):
        while not self._must_end():
            self.volumes.refresh(self.pod)
            if self._restart_due():
                await self._start_pass()
                continue
            self.publish()
            if self._all_ended():
                return
            await self._nap(1.0)

    def _all_ended(self):
        return all("terminated" in self.entries[n]["state"] and i.terminated
                   and not self._restarts(i)
                   for n, i in self.instances.items() if not i.init) or any(
            i.init and i.terminated and i.terminated["exitCode"] for i in
            self.instances.values())

    def _restarts(self, instance):
        if "terminated" not in self.entries[instance.name]["state"] or \
                instance.terminated is None:
            return False
        policy = instance.spec.get("restartPolicy") or (
            "" if instance.init else self.pod["spec"]["restartPolicy"])
        return policy == "Always" or (
            policy == "OnFailure" and instance.terminated["exitCode"] != 0)

    def _restart_due(self):
        for instance in self.instances.values():
            if self._restarts(instance):
                instance.begin_again()
            if not instance.wants_start():
                continue
            if instance.waiting and instance.waiting[0] == "ErrImagePull" and \
                    self.entries[instance.name]["state"].get("waiting", {}).get(
                        "reason") == "ErrImagePull":
                self._back_off(instance)
            if time.monotonic() >= instance.retry_at:
                return True
        return False

    def _back_off(self, instance):
        image = instance.spec["image"]
        text = f'Back-off pulling image "{image}": ErrImagePull: {instance.waiting[1]}'
        instance.waiting = ("ImagePullBackOff", text)
        self.publish()
        self.node.event(self.pod, "Normal", "BackOff", f'Back-off pulling image "{image}"',
                        self._path(instance))
        self.node.event(self.pod, "Warning", "Failed", "Error: ImagePullBackOff",
                        self._path(instance))

    # ---- starting ----------------------------------------------------------------

    def _path(self, instance):
        kind = "initContainers" if instance.init else "containers"
        return f"spec.{kind}{{{instance.name}}}"

    async def _start_pass(self):
        self.in_pass = True
        try:
            for instance in self.instances.values():
                if instance.wants_start() and time.monotonic() >= instance.retry_at:
                    await self._start(instance)
                if instance.init and not await self._init_done(instance):
                    break
        finally:
            self.in_pass = False

    async def _init_done(self, instance):
        if instance.process is None:
            return False
        if instance.spec.get("restartPolicy") == "Always":
            return True
        while not instance.process.exited.is_set() and not self._must_end():
            await self._nap(1.0)
            self.publish()
        while not self._must_end() and self.entries[instance.name]["state"].get("terminated") is None:
            await self._nap(1.0)
            self.publish()
        return instance.terminated is not None and instance.terminated["exitCode"] == 0

    async def _start(self, instance):
        spec = instance.spec
        try:
            image = await self._pull(instance)
            await self._create_and_start(instance, image)
        except PullError as error:
            self._pull_failed(instance, error)
            return
        except ConfigError as error:
            instance.waiting = ("CreateContainerConfigError", str(error))
            instance.retry_at = time.monotonic() + 1.0
            self.node.event(self.pod, "Warning", "Failed", f"Error: {error}",
                            self._path(instance))
            return
        except StartError as error:
            self._start_failed(instance, error)
            return
        hook = (spec.get("lifecycle") or {}).get("postStart")
        if hook:
            await self._run_hook(instance, hook)
        instance.hook_done = True

    async def _pull(self, instance):
        name = instance.spec["image"]
        begun = time.monotonic()
        image, pulled = await self.server.images.ensure(
            name, instance.spec["imagePullPolicy"], self._credentials(),
            lambda: self.node.event(self.pod, "Normal", "Pulling",
                                    f'Pulling image "{name}"', self._path(instance)))
        took = f"{(time.monotonic() - begun) * 1000:.0f}ms"
        text = (f'Successfully pulled image "{name}" in {took} ({took} including waiting). '
                "Image size: 1 bytes.") if pulled else (
            f'Container image "{name}" already present on machine')
        self.node.event(self.pod, "Normal", "Pulled", text, self._path(instance))
        instance.image_id = f"docker.io/standin@sha256:{name.encode().hex():0<64.64}"
        return image

    def _credentials(self):
        """registry -> (user, password) of the pull Secrets; a missing one is an event."""
        found = {}
        for reference in self.pod["spec"].get("imagePullSecrets") or []:
            secret = self.server.store.find("secrets", self.namespace, reference["name"])
            if secret is None:
                self.node.event(
                    self.pod, "Warning", "FailedToRetrieveImagePullSecret",
                    f"Unable to retrieve some image pull secrets ({reference['name']}); "
                    "attempting to pull the image may not succeed.")
            else:
                found |= registry_credentials(secret)
        return found

    def _pull_failed(self, instance, error):
        instance.waiting = (error.reason, str(error))
        instance.retry_at = time.monotonic() + instance.backoff
        instance.backoff = min(instance.backoff * 2, PULL_BACKOFF_MOST)
        image = instance.spec["image"]
        if error.reason == "ErrImagePull":
            self.node.event(self.pod, "Warning", "Failed",
                            f'Failed to pull image "{image}": {error}', self._path(instance))
        self.node.event(self.pod, "Warning", "Failed", f"Error: {error.reason}",
                        self._path(instance))

    def _start_failed(self, instance, error):
        if instance.process is None:
            instance.process = Process(None)
        process = instance.process
        process.exit_code, process.finished_at = 128, time.time()
        process.exited.set()
        instance.log.close()
        instance.starting = False
        instance.terminated = status.terminated_state(instance, 128, "StartError", str(error))
        self.node.event(self.pod, "Warning", "Failed", f"Error: {error}",
                        self._path(instance))

    def _container_files(self):
        hosts = ("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"
                 f"::1\tlocalhost ip6-localhost ip6-loopback\n127.0.0.1\t{self.name}\n")
        files = {"/etc/hosts": hosts + self.node.extra_hosts(),
                 "/etc/hostname": self.name[:63] + "\n"}
        try:
            with open("/etc/resolv.conf", encoding="utf-8", errors="replace") as file:
                files["/etc/resolv.conf"] = file.read()
        except OSError:
            files["/etc/resolv.conf"] = ""
        return files

    async def _create_and_start(self, instance, image):
        spec, pod = instance.spec, self.pod
        folder = self.folder / "containers" / instance.name / str(instance.restarts)
        root = Root(folder, image, self.node.overlay, self.node.hidden)
        context = spec.get("securityContext") or {}
        identity = identity_of(pod["spec"].get("securityContext") or {}, context, image, root)
        env = container_environment(self, instance, image, identity)
        argv = container_command(spec, image, env)
        instance.root, instance.identity, instance.env = root, identity, env
        instance.container_id = "containerd://" + random_bytes.token_hex(32)
        instance.log = ContainerLog(
            self.server.state / "logs" / f"{self.namespace}_{self.name}_{self.uid}"
            / instance.name, instance.restarts, self.node.clock)
        self.node.damage_log(self, instance)
        root.make(self._container_files())
        instance.message_path = folder / "termination-log"
        instance.message_path.touch()
        instance.message_path.chmod(0o666)
        self.node.event(pod, "Normal", "Created", f"Created container: {instance.name}",
                        self._path(instance))
        limits = (spec.get("resources") or {}).get("limits") or {}
        instance.group = self.server.groups.make(
            f"{self.uid}-{instance.name}-{instance.restarts}",
            int(quantity(limits.get("memory", 0))), self.server.settings.pids_limit)
        instance.process = Process(self.node.launcher_fd, self.server.guardian)
        instance.process.on_output = instance.log.feed
        instance.starting = True
        workdir = spec.get("workingDir") or image.workdir or "/"
        if not argv:
            raise StartError('failed to create containerd container: no command specified')
        prefix = bubblewrap_command(
            root, self.name, self._binds(instance), instance.group,
            context.get("readOnlyRootFilesystem", False))
        await instance.process.start(prefix, argv, identity, workdir, env, instance.group)
        instance.starting = False
        asyncio.ensure_future(self._watch_exit(instance))
        self.node.event(pod, "Normal", "Started", f"Started container {instance.name}",
                        self._path(instance))

    def _binds(self, instance):
        binds = list(self.node.helper_binds(instance.spec["image"]))
        for mount in instance.spec.get("volumeMounts") or []:
            path, read_only = self.volumes.paths[mount["name"]]
            if mount.get("subPath"):
                path = path / mount["subPath"]
                if not path.exists():
                    path.mkdir(parents=True)
            binds.append((path, mount["mountPath"], read_only or mount.get("readOnly")))
        binds.append((instance.message_path, instance.spec["terminationMessagePath"], False))
        return binds

    async def _run_hook(self, instance, hook):
        if self.node.take_hook_failure(self, instance):
            code, text = 1, "injected"
        else:
            code, text = await self._hook_result(instance, hook)
        if code == 0:
            return
        what = f"PostStartHook failed: {text}"
        self.node.event(self.pod, "Warning", "FailedPostStartHook", what,
                        self._path(instance))
        self.node.event(self.pod, "Normal", "Killing", "FailedPostStartHook",
                        self._path(instance))
        await instance.process.stop(self.pod["spec"]["terminationGracePeriodSeconds"])

    async def _hook_result(self, instance, hook):
        if hook.get("sleep"):
            await asyncio.sleep(hook["sleep"].get("seconds", 0))
            return 0, ""
        if not hook.get("exec"):
            return 0, ""
        command = hook["exec"]["command"]
        if instance.process.pid is None or instance.process.exited.is_set():
            return 137, f"command '{' '.join(command)}' exited with 137: "
        process, output = Process(self.node.launcher_fd), bytearray()
        process.on_output = lambda _stream, data: output.extend(data[:4096])
        identity = copy.copy(instance.identity)
        workdir = instance.spec.get("workingDir") or "/"
        try:
            await process.start(enter_command(instance.process.pid), command, identity,
                                workdir, instance.env, instance.group)
        except StartError as error:
            return 126, str(error)
        await process.exited.wait()
        text = bytes(output[:1024]).decode(errors="replace")
        return process.exit_code, \
            f"command '{' '.join(command)}' exited with {process.exit_code}: {text}"

    async def _watch_exit(self, instance):
        process = instance.process
        await process.exited.wait()
        instance.log.close()
        code = process.exit_code
        if instance.group:
            instance.oom = instance.oom or instance.group.oom_kills() > 0
            instance.group.remove()
        instance.terminated = status.terminated_state(
            instance, code, None, self._termination_message(instance, code))

    def _termination_message(self, instance, code):
        try:
            size = os.path.getsize(instance.message_path)
            with open(instance.message_path, "rb") as file:
                file.seek(max(0, size - MESSAGE_BYTES))
                text = file.read()
        except OSError:
            text = b""
        if not text and code and \
                instance.spec["terminationMessagePolicy"] == "FallbackToLogsOnError":
            text = self.node.log_tail(instance, FALLBACK_LINES, FALLBACK_BYTES)
        share = STATUS_MESSAGE_BYTES // len(self.instances)
        return text[:share].decode("utf-8", errors="replace")

    # ---- the end --------------------------------------------------------------------

    async def _kill_all(self, grace):
        running = [i for i in self.instances.values()
                   if i.process and not i.process.exited.is_set()]
        for instance in running:
            self.node.event(self.pod, "Normal", "Killing",
                            f"Stopping container {instance.name}", self._path(instance))
        await asyncio.gather(*(self._stop(i, grace) for i in running))

    async def _stop(self, instance, grace):
        """TERM, then KILL at the end of the grace, which a later DELETE may shorten."""
        hook = (instance.spec.get("lifecycle") or {}).get("preStop")
        begun = time.monotonic()
        if hook:
            await asyncio.wait([asyncio.ensure_future(self._hook_result(instance, hook))],
                               timeout=grace)
        instance.process.signal(15)
        while not instance.process.exited.is_set():
            limit = grace if self.grace is None else min(grace, self.grace)
            left = begun + limit - time.monotonic()
            if left <= 0:
                instance.process.signal(9)
                await instance.process.exited.wait()
                return
            await either(instance.process.exited.wait(), min(left, 0.5))

    async def _terminate(self):
        grace = self.eviction_grace if self.grace is None else self.grace
        if grace is None:
            grace = self.pod["spec"]["terminationGracePeriodSeconds"]
        await self._kill_all(grace)
        await asyncio.sleep(0)
        if self.grace is None and not self.reason:
            await self.node.next_relist()
        for instance in self.instances.values():
            if instance.process is None and instance.terminated is None and (
                    self.grace is not None):
                instance.waiting = instance.waiting or ("ContainerCreating", "")
        self.entries = self._look()
        self.publish(terminal=True)
        while self.grace is None and not self.gone:
            await self._nap(3600)
        await asyncio.sleep(self.server.settings.teardown_seconds)

    def _remove(self):
        self.done = True
        for instance in self.instances.values():
            if instance.log:
                instance.log.close()
            if instance.group:
                instance.group.remove()
            if instance.root:
                instance.root.remove()
        self.volumes.remove()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.node.forget(self)
