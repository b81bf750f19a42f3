"""The API server's own rules for pods: defaults, validation, admission, what may change."""

import re

from . import errors, podsecurity

_DNS_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_ENV_NAME = re.compile(r"^[ -<>-~]+$")
_QUANTITY = re.compile(r"^[+-]?(\d+(\.\d*)?|\.\d+)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?\d+|n|u)?$")
_SCALES = {"": 1, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
           "P": 1e15, "E": 1e18, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
           "Pi": 2**50, "Ei": 2**60}
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or "
    "'-', and must start and end with an alphanumeric character")
VOLUME_SOURCES = {
    "emptyDir", "secret", "configMap", "downwardAPI", "persistentVolumeClaim",
    "hostPath", "projected", "nfs", "csi", "ephemeral", "image", "iscsi",
}
POD_READONLY = "Forbidden: pod updates may not change fields other than " \
    "`spec.containers[*].image`,`spec.initContainers[*].image`," \
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing " \
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it " \
    "was previously negative)"


def quantity(value):
    """The number that a quantity means; None when it is none."""
    text = str(value)
    found = _QUANTITY.match(text)
    if not found:
        return None
    unit = found[3] or ""
    if unit in _SCALES:
        return float(text[:len(text) - len(unit)]) * _SCALES[unit]
    return float(text)


def all_containers(pod):
    spec = pod["spec"]
    return (spec.get("initContainers") or []) + (spec.get("containers") or [])


# ---- defaults ---------------------------------------------------------------------

def _default_container(container):
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    image = container.get("image") or ""
    latest = ":" not in image.rpartition("/")[2] or image.endswith(":latest")
    latest = latest and "@" not in image
    container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")
    resources = container.setdefault("resources", {})
    for name, value in (resources.get("limits") or {}).items():
        resources.setdefault("requests", {}).setdefault(name, value)
    for port in container.get("ports") or []:
        port.setdefault("protocol", "TCP")
    for env in container.get("env") or []:
        ref = (env.get("valueFrom") or {}).get("fieldRef")
        if ref:
            ref.setdefault("apiVersion", "v1")


def _default_volume(volume):
    if not set(volume) & VOLUME_SOURCES:
        volume["emptyDir"] = {}
    for kind in ("secret", "configMap", "downwardAPI", "projected"):
        if isinstance(volume.get(kind), dict):
            volume[kind].setdefault("defaultMode", 0o644)
    if isinstance(volume.get("hostPath"), dict):
        volume["hostPath"].setdefault("type", "")
    for item in (volume.get("downwardAPI") or {}).get("items") or []:
        if item.get("fieldRef"):
            item["fieldRef"].setdefault("apiVersion", "v1")


def default_pod(pod):
    spec = pod.setdefault("spec", {})
    for key, value in (("restartPolicy", "Always"), ("dnsPolicy", "ClusterFirst"),
                       ("terminationGracePeriodSeconds", 30),
                       ("schedulerName", "default-scheduler"), ("securityContext", {}),
                       ("enableServiceLinks", True), ("priority", 0),
                       ("preemptionPolicy", "PreemptLowerPriority"),
                       ("serviceAccountName", "default")):
        spec.setdefault(key, value)
    spec.setdefault("serviceAccount", spec["serviceAccountName"])
    have = {(t.get("key"), t.get("effect")) for t in spec.get("tolerations") or []}
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if (key, "NoExecute") not in have:
            spec.setdefault("tolerations", []).append({
                "key": key, "operator": "Exists", "effect": "NoExecute",
                "tolerationSeconds": 300})
    for container in all_containers(pod):
        _default_container(container)
    for volume in spec.get("volumes") or []:
        _default_volume(volume)
    pod["status"] = {"phase": "Pending", "qosClass": qos_class(pod)}


def qos_class(pod):
    containers = all_containers(pod)
    entries = [c.get("resources") or {} for c in containers]
    if not any(r.get("limits") or r.get("requests") for r in entries):
        return "BestEffort"
    for resources in entries:
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        if set(limits) < {"cpu", "memory"} or limits != requests:
            return "Burstable"
    return "Guaranteed"


# ---- validation ---------------------------------------------------------------------

def _check_name(causes, field, name, seen):
    if not name:
        causes.required(field)
        return
    if not _DNS_LABEL.match(name) or len(name) > 63:
        causes.invalid(field, name, _LABEL_TEXT)
    if name in seen:
        causes.duplicate(field, name)
    seen.add(name)


def _check_volume(causes, field, volume, seen):
    _check_name(causes, f"{field}.name", volume.get("name"), seen)
    kinds = [k for k in volume if k in VOLUME_SOURCES]
    if len(kinds) > 1:
        causes.add("FieldValueForbidden", f"{field}.{kinds[1]}", None,
                   "may not specify more than 1 volume type")
    needed = {"secret": "secretName", "configMap": "name", "hostPath": "path",
              "persistentVolumeClaim": "claimName"}
    for kind in kinds:
        key = needed.get(kind)
        if key and not (volume[kind] or {}).get(key):
            causes.required(f"{field}.{kind}.{key}")
        for i, item in enumerate((volume[kind] or {}).get("items") or []):
            path = item.get("path") or ""
            if not path:
                causes.required(f"{field}.{kind}.items[{i}].path")
            elif path.startswith("/") or ".." in path.split("/"):
                causes.invalid(f"{field}.{kind}.items[{i}].path", path,
                               "must be a relative path and must not contain '..'")
        mode = (volume[kind] or {}).get("defaultMode")
        if mode is not None and not 0 <= mode <= 0o777:
            causes.invalid(f"{field}.{kind}.defaultMode", mode,
                           "must be a number between 0 and 0777 (octal), both inclusive")
    limit = (volume.get("emptyDir") or {}).get("sizeLimit")
    if limit is not None and (quantity(limit) is None or quantity(limit) < 0):
        causes.invalid(f"{field}.emptyDir.sizeLimit", limit,
                       "must be greater than or equal to 0")


def _check_env(causes, field, container):
    for i, env in enumerate(container.get("env") or []):
        name = env.get("name")
        if not name:
            causes.required(f"{field}.env[{i}].name")
        elif not _ENV_NAME.match(name):
            causes.invalid(f"{field}.env[{i}].name", name,
                           "a valid environment variable name must consist only of "
                           "printable ASCII characters other than '='")
        source = env.get("valueFrom")
        if source is not None and env.get("value"):
            causes.invalid(f"{field}.env[{i}].valueFrom", "",
                           "may not be specified when `value` is not empty")
        if source is not None and len(source) != 1:
            causes.invalid(f"{field}.env[{i}].valueFrom", "",
                           "may not have more than one field specified at a time")


def _check_mounts(causes, field, container, volumes):
    paths = set()
    for i, mount in enumerate(container.get("volumeMounts") or []):
        where = f"{field}.volumeMounts[{i}]"
        if not mount.get("name"):
            causes.required(f"{where}.name")
        elif mount["name"] not in volumes:
            causes.add("FieldValueNotFound", f"{where}.name", mount["name"])
        path = mount.get("mountPath")
        if not path:
            causes.required(f"{where}.mountPath")
            continue
        if path in paths:
            causes.invalid(f"{where}.mountPath", path, "must be unique")
        paths.add(path)
        if ":" in path:
            causes.invalid(f"{where}.mountPath", path, "must not contain ':'")
        sub = mount.get("subPath") or ""
        if sub.startswith("/") or ".." in sub.split("/"):
            causes.invalid(f"{where}.subPath", sub, "must not contain '..'")


def _check_resources(causes, field, container):
    resources = container.get("resources") or {}
    for kind in ("limits", "requests"):
        for name, value in (resources.get(kind) or {}).items():
            if quantity(value) is None:
                raise errors.bad_request(
                    'Pod in version "v1" cannot be handled as a Pod: quantities must '
                    "match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?"
                    f"[0-9]*)$' ({field}.resources.{kind}.{name})")
            if quantity(value) < 0:
                causes.invalid(f"{field}.resources.{kind}[{name}]", value,
                               "must be greater than or equal to 0")
    for name, value in (resources.get("requests") or {}).items():
        limit = (resources.get("limits") or {}).get(name)
        if limit is not None and quantity(value) > quantity(limit):
            causes.invalid(f"{field}.resources.requests", value,
                           f"must be less than or equal to {name} limit of {limit}")


def _check_hook(causes, field, hook):
    kinds = [k for k in hook if hook[k] is not None]
    if len(kinds) != 1:
        causes.required(field, "must specify a handler type")
        return
    if kinds[0] == "exec" and not (hook["exec"] or {}).get("command"):
        causes.required(f"{field}.exec.command")


def _check_container(causes, field, container, names, volumes):
    _check_name(causes, f"{field}.name", container.get("name"), names)
    image = container.get("image")
    if not image:
        causes.required(f"{field}.image")
    elif image.strip() != image:
        causes.invalid(f"{field}.image", image, "must not have leading or trailing whitespace")
    _check_env(causes, field, container)
    _check_mounts(causes, field, container, volumes)
    _check_resources(causes, field, container)
    if container["imagePullPolicy"] not in ("Always", "IfNotPresent", "Never"):
        causes.unsupported(f"{field}.imagePullPolicy", container["imagePullPolicy"],
                           ("Always", "IfNotPresent", "Never"))
    if container["terminationMessagePolicy"] not in ("File", "FallbackToLogsOnError"):
        causes.unsupported(f"{field}.terminationMessagePolicy",
                           container["terminationMessagePolicy"],
                           ("FallbackToLogsOnError", "File"))
    for name, hook in (container.get("lifecycle") or {}).items():
        if name in ("postStart", "preStop") and hook is not None:
            _check_hook(causes, f"{field}.lifecycle.{name}", hook)
    _check_security(causes, f"{field}.securityContext",
                    container.get("securityContext") or {})


def _check_security(causes, field, context):
    for key in ("runAsUser", "runAsGroup", "fsGroup"):
        value = context.get(key)
        if value is not None and not 0 <= value <= 2147483647:
            causes.invalid(f"{field}.{key}", value,
                           "must be between 0 and 2147483647, inclusive")
    kind = (context.get("seccompProfile") or {}).get("type")
    if context.get("seccompProfile") is not None and \
            kind not in ("RuntimeDefault", "Unconfined", "Localhost"):
        causes.unsupported(f"{field}.seccompProfile.type", kind or "",
                           ("Localhost", "RuntimeDefault", "Unconfined"))
    if context.get("allowPrivilegeEscalation") is False and context.get("privileged"):
        causes.invalid(field, "", "cannot set `allowPrivilegeEscalation` to false and "
                       "`privileged` to true")


def check_pod(causes, pod):
    spec = pod["spec"]
    names, volumes = set(), set()
    for i, volume in enumerate(spec.get("volumes") or []):
        _check_volume(causes, f"spec.volumes[{i}]", volume, volumes)
    if not spec.get("containers"):
        causes.required("spec.containers")
    for kind in ("containers", "initContainers"):
        for i, container in enumerate(spec.get(kind) or []):
            _check_container(causes, f"spec.{kind}[{i}]", container, names, volumes)
    if spec["restartPolicy"] not in ("Always", "OnFailure", "Never"):
        causes.unsupported("spec.restartPolicy", spec["restartPolicy"],
                           ("Always", "OnFailure", "Never"))
    if spec["terminationGracePeriodSeconds"] < 0:
        causes.invalid("spec.terminationGracePeriodSeconds",
                       spec["terminationGracePeriodSeconds"],
                       "must be greater than or equal to 0")
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= 2147483647:
        causes.invalid("spec.activeDeadlineSeconds", deadline,
                       "must be between 1 and 2147483647, inclusive")
    system = (spec.get("os") or {}).get("name")
    if spec.get("os") is not None and system not in ("linux", "windows"):
        causes.unsupported("spec.os.name", system, ("linux", "windows"))
    _check_security(causes, "spec.securityContext", spec.get("securityContext") or {})


def check_pod_change(causes, old, new):
    """Only metadata, images, a lower deadline and more tolerations may change."""
    before, after = dict(old["spec"]), dict(new.get("spec") or {})
    first, second = before.pop("activeDeadlineSeconds", None), \
        after.pop("activeDeadlineSeconds", None)
    if first != second:
        if second is None:
            causes.invalid("spec.activeDeadlineSeconds", "null",
                           "must not update from a positive integer to nil value")
        elif first is not None and second > first:
            causes.invalid("spec.activeDeadlineSeconds", second,
                           f"must be less than or equal to previous value ({first})")
        elif second < 1:
            causes.invalid("spec.activeDeadlineSeconds", second,
                           "must be between 1 and 2147483647, inclusive")
    added = after.pop("tolerations", None) or []
    if any(t not in added for t in before.pop("tolerations", None) or []):
        causes.add("FieldValueForbidden", "spec.tolerations", None,
                   "existing toleration can not be modified except its tolerationSeconds")
    for spec in (before, after):
        for kind in ("containers", "initContainers"):
            if spec.get(kind):
                spec[kind] = [{k: v for k, v in c.items() if k != "image"}
                              for c in spec[kind]]
    if before != after:
        causes.add("FieldValueForbidden", "spec", None, POD_READONLY[11:])


# ---- admission ----------------------------------------------------------------------

def admit_pod(server, pod, info):
    """Service account, priority and runtime class must exist; the token is mounted."""
    spec, name = pod["spec"], pod["metadata"].get("name", "")
    namespace = info["namespace"]
    account = server.store.find("serviceaccounts", namespace, spec["serviceAccountName"])
    if account is None:
        raise errors.forbidden(
            "pods", name, f"error looking up service account {namespace}/"
            f"{spec['serviceAccountName']}: serviceaccount "
            f'"{spec["serviceAccountName"]}" not found')
    if spec.get("priorityClassName") and spec["priorityClassName"] not in (
            "system-cluster-critical", "system-node-critical"):
        raise errors.forbidden(
            "pods", name, "no PriorityClass with name "
            f"{spec['priorityClassName']} was found")
    if spec.get("runtimeClassName"):
        raise errors.forbidden(
            "pods", name, "pod rejected: RuntimeClass "
            f'"{spec["runtimeClassName"]}" not found')
    refusal = podsecurity.violation(pod, server.store.get("namespaces", None, namespace))
    if refusal:
        raise errors.forbidden("pods", name, refusal)
    if spec.get("automountServiceAccountToken",
                account.get("automountServiceAccountToken", True)):
        _mount_token(pod)


def _mount_token(pod):
    path = "/var/run/secrets/kubernetes.io/serviceaccount"
    volume = "kube-api-access-standin"
    for container in all_containers(pod):
        mounts = container.setdefault("volumeMounts", [])
        if not any(m.get("mountPath") == path for m in mounts):
            mounts.append({"name": volume, "readOnly": True, "mountPath": path})
    volumes = pod["spec"].setdefault("volumes", [])
    if not any(v.get("name") == volume for v in volumes):
        volumes.append({"name": volume, "projected": {"defaultMode": 0o644, "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt",
                           "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {
                "apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}}]}})
