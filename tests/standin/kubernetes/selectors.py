"""Label and field selectors."""

import re

from . import errors

_POD_FIELDS = {
    "metadata.name", "metadata.namespace", "spec.nodeName", "spec.restartPolicy",
    "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
    "status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName",
}
_EVENT_FIELDS = {
    "metadata.name", "metadata.namespace", "involvedObject.kind",
    "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
    "involvedObject.apiVersion", "involvedObject.resourceVersion",
    "involvedObject.fieldPath", "reason", "reportingComponent", "source", "type",
}
_ANY_FIELDS = {"metadata.name", "metadata.namespace"}
_SET = re.compile(r"^(\S+)\s+(in|notin)\s+\(([^)]*)\)$")


def _split(text):
    """Split at commas that stand outside parentheses."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if c == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    parts.append(text[start:])
    return [p.strip() for p in parts if p.strip()]


def _label_test(part):
    found = _SET.match(part)
    if found:
        key, how = found[1], found[2]
        values = {v.strip() for v in found[3].split(",")}
        if how == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    for sign, wanted in (("!=", False), ("==", True), ("=", True)):
        if sign in part:
            key, value = (s.strip() for s in part.split(sign, 1))
            return lambda labels: (labels.get(key) == value) is wanted
    if part.startswith("!"):
        return lambda labels: part[1:].strip() not in labels
    if " " in part:
        raise errors.bad_request(f"unable to parse requirement: {part}")
    return lambda labels: part in labels


def label_selector(text):
    """A test of an object by its labels; None when there is nothing to test."""
    if not text:
        return None
    tests = [_label_test(p) for p in _split(text)]
    return lambda obj: all(
        t(obj["metadata"].get("labels") or {}) for t in tests)


def _field(obj, path):
    for part in path.split("."):
        obj = (obj or {}).get(part) if isinstance(obj, dict) else None
    return "" if obj is None else str(obj)


def _event_field(obj, path):
    if path == "source":
        return (obj.get("source") or {}).get("component", "")
    return _field(obj, path)


def field_requirements(text):
    """[(path, value, wanted equal)] of a field selector."""
    requirements = []
    for part in _split(text or ""):
        for sign, wanted in (("!=", False), ("==", True), ("=", True)):
            if sign in part:
                path, value = (s.strip() for s in part.split(sign, 1))
                requirements.append((path, value, wanted))
                break
        else:
            raise errors.bad_request(
                f"invalid selector: '{text}'; can't understand '{part}'")
    return requirements


def field_selector(text, plural):
    requirements = field_requirements(text)
    if not requirements:
        return None
    known = {"pods": _POD_FIELDS, "events": _EVENT_FIELDS}.get(plural, _ANY_FIELDS)
    for path, _, _ in requirements:
        if path not in known:
            raise errors.bad_request(
                f'Unable to find "/v1, Resource={plural}" that match label selector '
                f'"", field selector "{text}": field label not supported: {path}')
    read = _event_field if plural == "events" else _field
    return lambda obj: all(
        (read(obj, path) == value) is wanted for path, value, wanted in requirements)


def selector(query, plural):
    """One test made of labelSelector and fieldSelector, always callable."""
    tests = [t for t in (label_selector(query.get("labelSelector")),
                         field_selector(query.get("fieldSelector"), plural)) if t]
    return lambda obj: all(t(obj) for t in tests)


def selected_name(query):
    """The name that `metadata.name=NAME` asks for, as authorization sees it."""
    for path, value, wanted in field_requirements(query.get("fieldSelector")):
        if path == "metadata.name" and wanted:
            return value
    return ""
