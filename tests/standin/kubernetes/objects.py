"""What the API server does to an object on its way in: names, defaults, rules, deletion."""

import base64
import datetime
import re

from . import errors, podrules
from .store import RESOURCES, clone, timestamp

SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_LABEL_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
_LABEL_NAME = re.compile(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
_SECRET_KEY = re.compile(r"^[-._a-zA-Z0-9]+$")
_MICRO_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)$")
ANNOTATION_BYTES = 256 * 1024
SECRET_BYTES = 1024 * 1024
SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric "
    "characters, '-' or '.', and must start and end with an alphanumeric character")


def _managed_fields(node, top=True):
    """The fieldsV1 tree of an object, as large as the real one."""
    out = {}
    for key, value in node.items():
        if top and key in ("kind", "apiVersion", "status"):
            continue
        if key in ("name", "namespace", "uid", "creationTimestamp", "resourceVersion",
                   "generation", "managedFields") and not top:
            if key != "name":
                continue
        if isinstance(value, dict):
            out[f"f:{key}"] = _managed_fields(value, False)
        elif isinstance(value, list) and value and isinstance(value[0], dict) \
                and "name" in value[0]:
            out[f"f:{key}"] = {
                f'k:{{"name":"{v.get("name")}"}}': {".": {}} | _managed_fields(v, False)
                for v in value}
        else:
            out[f"f:{key}"] = {}
    return out


def _check_key(causes, field, key):
    prefix, slash, name = key.rpartition("/")
    if slash and (not SUBDOMAIN.match(prefix) or len(prefix) > 253):
        causes.invalid(field, key, "prefix part " + SUBDOMAIN_TEXT)
    if not _LABEL_NAME.match(name) or len(name) > 63:
        causes.invalid(field, key, "name part must consist of alphanumeric characters, "
                       "'-', '_' or '.', and must start and end with an alphanumeric "
                       "character")


def check_metadata(causes, meta):
    name = meta.get("name")
    if not name and not meta.get("generateName"):
        causes.required("metadata.name", "name or generateName is required")
    elif name and (not SUBDOMAIN.match(name) or len(name) > 253):
        causes.invalid("metadata.name", name, SUBDOMAIN_TEXT)
    for key, value in (meta.get("labels") or {}).items():
        _check_key(causes, "metadata.labels", key)
        if not _LABEL_VALUE.match(value):
            causes.invalid("metadata.labels", value, "a valid label must be an empty "
                           "string or consist of alphanumeric characters, '-', '_' or "
                           "'.', and must start and end with an alphanumeric character")
        if len(value) > 63:
            causes.invalid("metadata.labels", value, "must be no more than 63 bytes")
    size = 0
    for key, value in (meta.get("annotations") or {}).items():
        _check_key(causes, "metadata.annotations", key.lower())
        size += len(key.encode()) + len(value.encode("utf-8", "surrogatepass"))
    if size > ANNOTATION_BYTES:
        causes.add("FieldValueTooLong", "metadata.annotations", None,
                   f"may not be more than {ANNOTATION_BYTES} bytes")
    for i, owner in enumerate(meta.get("ownerReferences") or []):
        for key in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(key):
                causes.invalid(f"metadata.ownerReferences[{i}].{key}", "",
                               "must not be empty")


# ---- secrets, config maps, leases ---------------------------------------------

def _check_data(causes, obj, decoded):
    size = 0
    for key, value in (obj.get("data") or {}).items():
        if not _SECRET_KEY.match(key) or len(key) > 253:
            causes.invalid(f"data[{key}]", key, "a valid config key must consist of "
                           "alphanumeric characters, '-', '_' or '.'")
        size += len(decoded(value))
    if size > SECRET_BYTES:
        causes.add("FieldValueTooLong", "data", None,
                   f"may not be more than {SECRET_BYTES} bytes")


def _decode_base64(text):
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise errors.bad_request(
            'Secret in version "v1" cannot be handled as a Secret: illegal base64 data '
            f"at input byte 0 ({error})") from None


def _prepare_secret(obj, causes):
    plain = obj.pop("stringData", None)
    if plain:
        obj["data"] = (obj.get("data") or {}) | {
            k: base64.b64encode(v.encode()).decode() for k, v in plain.items()}
    obj.setdefault("type", "Opaque")
    _check_data(causes, obj, _decode_base64)
    if obj["type"] == "kubernetes.io/dockerconfigjson":
        text = (obj.get("data") or {}).get(".dockerconfigjson")
        if text is None:
            causes.required("data[.dockerconfigjson]")
        else:
            import json
            try:
                json.loads(_decode_base64(text))
            except ValueError:
                causes.invalid("data[.dockerconfigjson]", "<secret contents redacted>",
                               "must be valid json")


def _check_lease(obj, causes, patched=False):
    spec = obj.get("spec") or {}
    for key in ("acquireTime", "renewTime"):
        text = spec.get(key)
        if text is not None and not _MICRO_TIME.match(text):
            message = (f'parsing time "{text}" as "2006-01-02T15:04:05.000000Z07:00": '
                       f'cannot parse')
            if patched:
                raise errors.ApiError(422, "Invalid",
                                      f' "" is invalid: patch: Invalid value: {message}')
            raise errors.bad_request(
                f'Lease in version "v1" cannot be handled as a Lease: {message}')
    seconds = spec.get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        causes.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0")


# ---- create and change ----------------------------------------------------------

def prepare_new(server, resource, obj, info, manager):
    """The object as it is stored: checked, defaulted, admitted. Raises what is wrong."""
    obj = clone(obj)
    obj.setdefault("kind", resource.kind)
    obj.setdefault("apiVersion", resource.api_version)
    meta = obj["metadata"]
    meta.pop("managedFields", None)
    causes = errors.Causes(resource.kind, meta.get("name", ""), resource.group)
    check_metadata(causes, meta)
    if resource.plural == "pods":
        podrules.default_pod(obj)
        podrules.check_pod(causes, obj)
    elif resource.plural == "secrets":
        _prepare_secret(obj, causes)
    elif resource.plural == "configmaps":
        _check_data(causes, obj, lambda v: v.encode())
    elif resource.plural == "leases":
        _check_lease(obj, causes)
    causes.raise_any()
    if resource.plural == "pods":
        podrules.admit_pod(server, obj, info)
    server.check_quota(resource.plural, obj, info)
    if resource.plural == "persistentvolumeclaims":
        obj["status"] = {"phase": "Bound"}
    meta["managedFields"] = [{
        "manager": manager, "operation": "Update", "apiVersion": resource.api_version,
        "time": timestamp(), "fieldsType": "FieldsV1", "fieldsV1": _managed_fields(obj)}]
    return obj


_POD_STATUS_FREE = ("metadata", "status")


def prepare_change(server, resource, old, new, info):
    """A changed object, checked against the old one."""
    new = clone(new)
    meta, before = new.setdefault("metadata", {}), old["metadata"]
    causes = errors.Causes(resource.kind, before["name"], resource.group)
    if meta.get("uid") not in (None, before["uid"]):
        raise errors.conflict(
            resource.plural, before["name"],
            f"Precondition failed: UID in precondition: {meta['uid']}, UID in object "
            f"meta: {before['uid']}", resource.group)
    for key in ("name", "namespace"):
        if meta.get(key, before.get(key)) != before.get(key):
            causes.invalid(f"metadata.{key}", meta.get(key), "field is immutable")
    for key in ("name", "namespace", "uid", "creationTimestamp", "generation",
                "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields"):
        if key in before:
            meta[key] = before[key]
        else:
            meta.pop(key, None)
    check_metadata(causes, meta)
    new["kind"], new["apiVersion"] = resource.kind, resource.api_version
    if resource.plural == "pods":
        if info["subresource"] == "status":
            new = dict(old) | {"metadata": meta, "status": new.get("status") or {}}
        else:
            new["status"] = old.get("status", {})
            podrules.check_pod_change(causes, old, new)
    elif resource.plural in ("secrets", "configmaps"):
        _check_immutable(causes, old, new)
        if resource.plural == "secrets":
            _prepare_secret(new, causes)
            if new["type"] != old["type"]:
                causes.invalid("type", new["type"], "field is immutable")
    elif resource.plural == "leases":
        _check_lease(new, causes, patched=info["verb"] == "patch")
    causes.raise_any()
    return new


def _check_immutable(causes, old, new):
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        causes.add("FieldValueForbidden", "immutable", None,
                   "field is immutable when `immutable` is set")
    if new.get("data") != old.get("data") or new.get("stringData"):
        causes.add("FieldValueForbidden", "data", None,
                   "field is immutable when `immutable` is set")


# ---- delete ---------------------------------------------------------------------

def _check_preconditions(resource, obj, options):
    wanted = options.get("preconditions") or {}
    meta = obj["metadata"]
    for key, name in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        if wanted.get(key) and wanted[key] != meta[key]:
            raise errors.conflict(
                resource.plural, meta["name"],
                f"Precondition failed: {name} in precondition: {wanted[key]}, {name} in "
                f"object meta: {meta[key]}", resource.group)


def delete(server, resource, obj, options):
    """Delete at once or begin a graceful deletion. Returns the object or a Status."""
    _check_preconditions(resource, obj, options)
    meta = obj["metadata"]
    namespace = meta.get("namespace") if resource.namespaced else None
    if resource.plural == "pods":
        answer = _delete_pod(server, obj, options)
        if answer is not None:
            return answer
    elif meta.get("finalizers"):
        return _mark_deleted(server, resource.plural, obj, 0)
    gone = server.store.remove(resource.plural, namespace, meta["name"])
    if resource.plural == "pods":
        return gone
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": {"name": meta["name"], "kind": resource.plural,
                        "uid": meta["uid"]}}


def _delete_pod(server, pod, options):
    """The pod with its deletion begun; None when it goes at once."""
    meta, spec = pod["metadata"], pod["spec"]
    grace = options.get("gracePeriodSeconds")
    if grace is None:
        grace = spec.get("terminationGracePeriodSeconds", 30)
    phase = (pod.get("status") or {}).get("phase")
    if not spec.get("nodeName") or phase in ("Succeeded", "Failed"):
        grace = 0
    if grace < 0:
        grace = 1
    if grace == 0 and not meta.get("finalizers"):
        return None
    current = meta.get("deletionGracePeriodSeconds")
    if current is not None and grace >= current:
        return pod
    return _mark_deleted(server, "pods", pod, grace)


def _mark_deleted(server, plural, obj, grace):
    def edit(copied):
        meta = copied["metadata"]
        begun = meta.get("deletionTimestamp")
        old_grace = meta.get("deletionGracePeriodSeconds", 0)
        now = datetime.datetime.now(datetime.timezone.utc)
        if begun:
            start = datetime.datetime.strptime(begun, "%Y-%m-%dT%H:%M:%SZ").replace(
                tzinfo=datetime.timezone.utc) - datetime.timedelta(seconds=old_grace)
        else:
            start = now
        meta["deletionTimestamp"] = timestamp(start + datetime.timedelta(seconds=grace))
        meta["deletionGracePeriodSeconds"] = grace
        if plural == "pods" and "generation" in meta:
            meta["generation"] += 1

    namespace = obj["metadata"].get("namespace") if RESOURCES[plural].namespaced else None
    return server.store.change(plural, namespace, obj["metadata"]["name"], edit)
