"""The fields that objects may have. Unknown ones are refused as fieldValidation=Strict does.

A schema is a dict of field -> type: "s" text, "i" integer, "b" true or false, "q"
quantity, "x" integer or text, "m" map of texts, "*" anything, [T] list of T, {T} map
of T, or a dict for an object. Null is allowed everywhere, as in Go.
"""

from . import errors

_META = {
    "name": "s", "generateName": "s", "namespace": "s", "selfLink": "s", "uid": "s",
    "resourceVersion": "s", "generation": "i", "creationTimestamp": "s",
    "deletionTimestamp": "s", "deletionGracePeriodSeconds": "i", "labels": "m",
    "annotations": "m", "finalizers": ["s"], "managedFields": ["*"],
    "ownerReferences": [{"apiVersion": "s", "kind": "s", "name": "s", "uid": "s",
                         "controller": "b", "blockOwnerDeletion": "b"}],
}
_KEY_PATH = [{"key": "s", "path": "s", "mode": "i"}]
_FIELD_REF = {"apiVersion": "s", "fieldPath": "s"}
_RESOURCE_REF = {"containerName": "s", "resource": "s", "divisor": "q"}
_DOWNWARD_ITEMS = [{"path": "s", "fieldRef": _FIELD_REF, "mode": "i",
                    "resourceFieldRef": _RESOURCE_REF}]
_NAMED = {"name": "s"}
_SELECTOR = {"matchLabels": "m", "matchExpressions": [
    {"key": "s", "operator": "s", "values": ["s"]}]}
_CLAIM_SPEC = {
    "accessModes": ["s"], "selector": _SELECTOR, "volumeName": "s", "volumeMode": "s",
    "storageClassName": "s", "dataSource": "*", "dataSourceRef": "*",
    "volumeAttributesClassName": "s",
    "resources": {"limits": {"q"}, "requests": {"q"}},
}
_PROJECTED_SOURCE = {
    "secret": {"name": "s", "items": _KEY_PATH, "optional": "b"},
    "configMap": {"name": "s", "items": _KEY_PATH, "optional": "b"},
    "downwardAPI": {"items": _DOWNWARD_ITEMS},
    "serviceAccountToken": {"audience": "s", "expirationSeconds": "i", "path": "s"},
    "clusterTrustBundle": "*", "podCertificate": "*",
}
_VOLUME = {
    "name": "s",
    "emptyDir": {"medium": "s", "sizeLimit": "q"},
    "secret": {"secretName": "s", "items": _KEY_PATH, "defaultMode": "i", "optional": "b"},
    "configMap": {"name": "s", "items": _KEY_PATH, "defaultMode": "i", "optional": "b"},
    "downwardAPI": {"items": _DOWNWARD_ITEMS, "defaultMode": "i"},
    "persistentVolumeClaim": {"claimName": "s", "readOnly": "b"},
    "hostPath": {"path": "s", "type": "s"},
    "projected": {"sources": [_PROJECTED_SOURCE], "defaultMode": "i"},
    "nfs": {"server": "s", "path": "s", "readOnly": "b"},
    "csi": {"driver": "s", "readOnly": "b", "fsType": "s", "volumeAttributes": "m",
            "nodePublishSecretRef": _NAMED},
    "ephemeral": {"volumeClaimTemplate": {"metadata": _META, "spec": _CLAIM_SPEC}},
    "image": {"reference": "s", "pullPolicy": "s"},
    "iscsi": "*",
}
_SECCOMP = {"type": "s", "localhostProfile": "s"}
_SELINUX = {"user": "s", "role": "s", "type": "s", "level": "s"}
_HTTP_GET = {"path": "s", "port": "x", "host": "s", "scheme": "s",
             "httpHeaders": [{"name": "s", "value": "s"}]}
_HANDLER = {"exec": {"command": ["s"]}, "httpGet": _HTTP_GET,
            "tcpSocket": {"port": "x", "host": "s"}, "sleep": {"seconds": "i"}}
_PROBE = {
    "exec": {"command": ["s"]}, "httpGet": _HTTP_GET,
    "tcpSocket": {"port": "x", "host": "s"}, "grpc": {"port": "i", "service": "s"},
    "initialDelaySeconds": "i", "timeoutSeconds": "i", "periodSeconds": "i",
    "successThreshold": "i", "failureThreshold": "i", "terminationGracePeriodSeconds": "i",
}
_RESOURCES = {"limits": {"q"}, "requests": {"q"},
              "claims": [{"name": "s", "request": "s"}]}
_CONTAINER = {
    "name": "s", "image": "s", "command": ["s"], "args": ["s"], "workingDir": "s",
    "ports": [{"name": "s", "hostPort": "i", "containerPort": "i", "protocol": "s",
               "hostIP": "s"}],
    "envFrom": [{"prefix": "s", "configMapRef": {"name": "s", "optional": "b"},
                 "secretRef": {"name": "s", "optional": "b"}}],
    "env": [{"name": "s", "value": "s", "valueFrom": {
        "fieldRef": _FIELD_REF, "resourceFieldRef": _RESOURCE_REF,
        "configMapKeyRef": {"name": "s", "key": "s", "optional": "b"},
        "secretKeyRef": {"name": "s", "key": "s", "optional": "b"}, "fileKeyRef": "*"}}],
    "resources": _RESOURCES,
    "resizePolicy": [{"resourceName": "s", "restartPolicy": "s"}],
    "restartPolicy": "s", "restartPolicyRules": ["*"],
    "volumeMounts": [{"name": "s", "readOnly": "b", "recursiveReadOnly": "s",
                      "mountPath": "s", "subPath": "s", "mountPropagation": "s",
                      "subPathExpr": "s"}],
    "volumeDevices": [{"name": "s", "devicePath": "s"}],
    "livenessProbe": _PROBE, "readinessProbe": _PROBE, "startupProbe": _PROBE,
    "lifecycle": {"postStart": _HANDLER, "preStop": _HANDLER, "stopSignal": "s"},
    "terminationMessagePath": "s", "terminationMessagePolicy": "s",
    "imagePullPolicy": "s",
    "securityContext": {
        "capabilities": {"add": ["s"], "drop": ["s"]}, "privileged": "b",
        "seLinuxOptions": _SELINUX, "windowsOptions": "*", "runAsUser": "i",
        "runAsGroup": "i", "runAsNonRoot": "b", "readOnlyRootFilesystem": "b",
        "allowPrivilegeEscalation": "b", "procMount": "s", "seccompProfile": _SECCOMP,
        "appArmorProfile": _SECCOMP},
    "stdin": "b", "stdinOnce": "b", "tty": "b",
}
_TERM = {"matchExpressions": [{"key": "s", "operator": "s", "values": ["s"]}],
         "matchFields": [{"key": "s", "operator": "s", "values": ["s"]}]}
_POD_TERM = {"labelSelector": _SELECTOR, "namespaces": ["s"], "topologyKey": "s",
             "namespaceSelector": _SELECTOR, "matchLabelKeys": ["s"],
             "mismatchLabelKeys": ["s"]}
_POD_AFFINITY = {
    "requiredDuringSchedulingIgnoredDuringExecution": [_POD_TERM],
    "preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": "i", "podAffinityTerm": _POD_TERM}]}
_POD_SPEC = {
    "volumes": [_VOLUME], "initContainers": [_CONTAINER], "containers": [_CONTAINER],
    "ephemeralContainers": ["*"], "restartPolicy": "s",
    "terminationGracePeriodSeconds": "i", "activeDeadlineSeconds": "i", "dnsPolicy": "s",
    "nodeSelector": "m", "serviceAccountName": "s", "serviceAccount": "s",
    "automountServiceAccountToken": "b", "nodeName": "s", "hostNetwork": "b",
    "hostPID": "b", "hostIPC": "b", "shareProcessNamespace": "b",
    "securityContext": {
        "seLinuxOptions": _SELINUX, "windowsOptions": "*", "runAsUser": "i",
        "runAsGroup": "i", "runAsNonRoot": "b", "supplementalGroups": ["i"],
        "supplementalGroupsPolicy": "s", "fsGroup": "i", "fsGroupChangePolicy": "s",
        "sysctls": [{"name": "s", "value": "s"}], "seccompProfile": _SECCOMP,
        "appArmorProfile": _SECCOMP, "seLinuxChangePolicy": "s"},
    "imagePullSecrets": [_NAMED], "hostname": "s", "subdomain": "s",
    "affinity": {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [_TERM]},
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": "i", "preference": _TERM}]},
        "podAffinity": _POD_AFFINITY, "podAntiAffinity": _POD_AFFINITY},
    "schedulerName": "s",
    "tolerations": [{"key": "s", "operator": "s", "value": "s", "effect": "s",
                     "tolerationSeconds": "i"}],
    "hostAliases": [{"ip": "s", "hostnames": ["s"]}],
    "priorityClassName": "s", "priority": "i",
    "dnsConfig": {"nameservers": ["s"], "searches": ["s"],
                  "options": [{"name": "s", "value": "s"}]},
    "readinessGates": [{"conditionType": "s"}], "runtimeClassName": "s",
    "enableServiceLinks": "b", "preemptionPolicy": "s", "overhead": {"q"},
    "topologySpreadConstraints": ["*"], "setHostnameAsFQDN": "b", "os": _NAMED,
    "hostUsers": "b", "schedulingGates": [_NAMED], "resourceClaims": ["*"],
    "resources": _RESOURCES, "hostnameOverride": "s",
}
_TOP = {"apiVersion": "s", "kind": "s", "metadata": _META}
SCHEMAS = {
    "Pod": _TOP | {"spec": _POD_SPEC, "status": "*"},
    "Secret": _TOP | {"data": "m", "stringData": "m", "type": "s", "immutable": "b"},
    "ConfigMap": _TOP | {"data": "m", "binaryData": "m", "immutable": "b"},
    "Lease": _TOP | {"spec": {
        "holderIdentity": "s", "leaseDurationSeconds": "i", "acquireTime": "s",
        "renewTime": "s", "leaseTransitions": "i", "strategy": "s",
        "preferredHolder": "s"}},
    "PersistentVolumeClaim": _TOP | {"spec": _CLAIM_SPEC, "status": "*"},
    "ServiceAccount": _TOP | {"secrets": ["*"], "imagePullSecrets": [_NAMED],
                              "automountServiceAccountToken": "b"},
    "Namespace": _TOP | {"spec": "*", "status": "*"},
}
_GO_NAMES = {str: "string", int: "number", float: "number", bool: "bool", list: "array",
             dict: "object"}
_WANTED = {"s": (str,), "i": (int,), "b": (bool,), "q": (str, int, float), "x": (str, int)}
_GO_TYPES = {"s": "string", "i": "int64", "b": "bool", "q": "string", "x": "string",
             "m": "map[string]string"}


class _TypeMismatch(Exception):
    def __init__(self, path, value, wanted):
        super().__init__()
        self.path, self.value, self.wanted = path, value, wanted


def _check_scalar(schema, value, path):
    wanted = _WANTED[schema]
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        raise _TypeMismatch(path, value, _GO_TYPES[schema])


def _join(path, key):
    return f"{path}.{key}" if path else key


def _walk(schema, value, path, unknown):
    """Collect the paths of unknown fields; raise _TypeMismatch at the first wrong type."""
    if value is None or schema == "*":
        return
    if isinstance(schema, str) and schema != "m":
        _check_scalar(schema, value, path)
    elif isinstance(schema, list):
        if not isinstance(value, list):
            raise _TypeMismatch(path, value, "[]")
        for i, item in enumerate(value):
            _walk(schema[0], item, f"{path}[{i}]", unknown)
    else:
        if not isinstance(value, dict):
            raise _TypeMismatch(path, value, _GO_TYPES.get(
                schema if isinstance(schema, str) else "", "v1 object"))
        for key, item in value.items():
            if isinstance(schema, dict) and key not in schema:
                unknown.append(_join(path, key))
                continue
            part = schema[key] if isinstance(schema, dict) else (
                "s" if schema == "m" else next(iter(schema)))
            _walk(part, item, _join(path, key), unknown)


def check_strict(resource, obj, patched=False):
    """Raise 400 for unknown fields, wrong types, a wrong kind or apiVersion."""
    kind = resource.kind
    if not isinstance(obj, dict):
        raise errors.bad_request(
            "the object provided is unrecognized (must be of type Object): couldn't get "
            "version/kind; json parse error")
    if obj.get("kind", kind) != kind or \
            obj.get("apiVersion", resource.api_version) != resource.api_version:
        raise errors.bad_request(
            f'{obj.get("kind", "")} in version "{obj.get("apiVersion", "")}" cannot be '
            f"handled as a {kind}: no kind \"{obj.get('kind', '')}\" is registered for "
            f"version \"{obj.get('apiVersion', '')}\" in scheme")
    schema, unknown = SCHEMAS.get(kind), []
    if schema is None:
        return
    head = f'{kind} in version "{resource.version}" cannot be handled as a {kind}: '
    try:
        _walk(schema, obj, "", unknown)
    except _TypeMismatch as wrong:
        text = (f"json: cannot unmarshal {_GO_NAMES[type(wrong.value)]} into Go struct "
                f"field {kind}.{wrong.path} of type {wrong.wanted}")
        raise errors.bad_request(head + text) from None
    if unknown:
        listed = ", ".join(f'unknown field "{u}"' for u in unknown)
        if patched:
            raise errors.ApiError(422, "Invalid", f' "" is invalid: patch: Invalid value: '
                                                  f"strict decoding error: {listed}")
        raise errors.bad_request(head + "strict decoding error: " + listed)
