"""Pod status by the rules of the kubelet: container states, conditions, phase."""

import time

from .store import timestamp
import datetime

EPOCH = "1970-01-01T00:00:00Z"


def time_text(seconds):
    if seconds is None:
        return EPOCH
    return timestamp(datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc))


def container_status(instance, with_waiting_reason="ContainerCreating"):
    """The status entry of one container as the kubelet would see it now."""
    running = instance.is_running()
    state = {}
    if instance.terminated is not None:
        state["terminated"] = dict(instance.terminated)
    elif running:
        state["running"] = {"startedAt": time_text(instance.process.started_at)}
    else:
        reason, message = instance.waiting or (with_waiting_reason, "")
        state["waiting"] = {"reason": reason}
        if message:
            state["waiting"]["message"] = message
    entry = {
        "name": instance.name, "state": state,
        "lastState": {"terminated": instance.last} if instance.last else {},
        "ready": running and instance.hook_done, "restartCount": instance.restarts,
        "image": instance.spec["image"],
        "imageID": instance.image_id if instance.container_id else "",
        "started": running and instance.hook_done,
    }
    if instance.container_id:
        entry["containerID"] = instance.container_id
    return entry


def _is_sidecar(container):
    return container.get("restartPolicy") == "Always"


def phase(pod, entries, terminal):
    """The phase of these container entries (name -> entry)."""
    spec = pod["spec"]
    waiting = running = stopped = failed = 0
    for container in spec["containers"]:
        state = entries[container["name"]]["state"]
        if "running" in state:
            running += 1
        elif "terminated" in state:
            stopped += 1
            failed += state["terminated"]["exitCode"] != 0
        elif entries[container["name"]]["lastState"]:
            stopped += 1
        else:
            waiting += 1
    for container in spec.get("initContainers") or []:
        state = entries[container["name"]]["state"]
        if _is_sidecar(container):
            running += "running" in state and not waiting
        elif "terminated" not in state:
            waiting += 1
        elif state["terminated"]["exitCode"] != 0 and spec["restartPolicy"] == "Never":
            return "Failed"
    if waiting:
        return "Pending"
    if running:
        return "Running"
    if not terminal:
        return "Running"
    return "Failed" if failed else "Succeeded"


def _condition(kind, true, reason="", message=""):
    condition = {"type": kind, "status": "True" if true else "False",
                 "lastProbeTime": None, "lastTransitionTime": timestamp()}
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition


def merge_conditions(old, new):
    """The new conditions; a condition that did not change keeps its transition time."""
    before = {c["type"]: c for c in old or []}
    merged = []
    for condition in new:
        was = before.pop(condition["type"], None)
        if was and was["status"] == condition["status"]:
            condition = condition | {"lastTransitionTime": was["lastTransitionTime"]}
        merged.append(condition)
    return merged + list(before.values())


def scheduled_condition(true=True, message=""):
    if true:
        return _condition("PodScheduled", True)
    return _condition("PodScheduled", False, "Unschedulable", message)


def conditions(pod, entries, ready_to_start, now_phase):
    regular = [entries[c["name"]] for c in pod["spec"]["containers"]]
    not_ready = [e["name"] for e in regular if not e["ready"]]
    done = now_phase in ("Succeeded", "Failed")
    initialized = True
    for container in pod["spec"].get("initContainers") or []:
        state = entries[container["name"]]["state"]
        initialized = initialized and (
            "terminated" in state or (_is_sidecar(container) and "running" in state))
    ready = not not_ready and bool(regular)
    reason = "PodCompleted" if done else "ContainersNotReady"
    message = f"containers with unready status: [{' '.join(not_ready)}]"
    extra = ("", "") if ready else (reason, "" if done else message)
    return [
        _condition("PodReadyToStartContainers", ready_to_start),
        _condition("Initialized", initialized,
                   "" if initialized else "ContainersNotInitialized"),
        _condition("Ready", ready, *extra),
        _condition("ContainersReady", ready, *extra),
    ]


def pod_status(pod, worker, entries, terminal):
    """The whole status as it is published. `entries` is name -> container entry."""
    spec, old = pod["spec"], pod.get("status") or {}
    now = worker.forced_phase if terminal and worker.forced_phase else phase(
        pod, entries, terminal)
    status = {
        "phase": now,
        "conditions": merge_conditions(
            old.get("conditions"),
            conditions(pod, entries, worker.ready_to_start and not terminal, now)
            + worker.extra_conditions),
        "hostIP": worker.node.address, "hostIPs": [{"ip": worker.node.address}],
        "startTime": time_text(worker.started_at),
        "containerStatuses": sorted(
            (entries[c["name"]] for c in spec["containers"]), key=lambda e: e["name"]),
        "qosClass": old.get("qosClass", "BestEffort"),
    }
    if spec.get("initContainers"):
        status["initContainerStatuses"] = [
            entries[c["name"]] for c in spec["initContainers"]]
    if worker.ready_to_start:
        status |= {"podIP": worker.node.address, "podIPs": [{"ip": worker.node.address}]}
    if worker.reason and (terminal or worker.reason_now):
        status["reason"] = worker.reason
        if worker.message:
            status["message"] = worker.message
    return status


def terminated_state(instance, code, reason=None, message=""):
    process = instance.process
    if reason is None:
        reason = "Completed" if code == 0 else "Error"
    if instance.oom:
        reason = "OOMKilled"
    state = {
        "exitCode": code, "reason": reason,
        "startedAt": time_text(process.started_at if reason != "StartError" else None),
        "finishedAt": time_text(process.finished_at or time.time()),
    }
    if message:
        state["message"] = message
    if instance.container_id:
        state["containerID"] = instance.container_id
    return state
