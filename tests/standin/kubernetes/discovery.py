"""What kubectl asks first: which groups, versions and resources there are."""

from .store import RESOURCES

_REVIEWS = {"name": "selfsubjectaccessreviews", "singularName": "selfsubjectaccessreview",
            "namespaced": False, "kind": "SelfSubjectAccessReview", "verbs": ["create"]}


def _resources(group):
    shown = []
    for resource in RESOURCES.values():
        if resource.group != group:
            continue
        shown.append({
            "name": resource.plural, "singularName": resource.kind.lower(),
            "namespaced": resource.namespaced, "kind": resource.kind,
            "verbs": sorted(resource.verbs)})
        if resource.plural == "pods":
            shown.append({"name": "pods/log", "singularName": "", "namespaced": True,
                          "kind": "Pod", "verbs": ["get"]})
    return shown


def _list(version, resources):
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version,
            "resources": resources}


def answer(path):
    """The document of a discovery path; None when it is none."""
    group, kind = "coordination.k8s.io", "authorization.k8s.io"
    versions = [{"groupVersion": f"{g}/v1", "version": "v1"} for g in (group, kind)]
    documents = {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [
            {"name": g, "versions": [v], "preferredVersion": v}
            for g, v in zip((group, kind), versions)]},
        "/api/v1": _list("v1", _resources("")),
        f"/apis/{group}/v1": _list(f"{group}/v1", _resources(group)),
        f"/apis/{kind}/v1": _list(f"{kind}/v1", [_REVIEWS]),
    }
    return documents.get(path.rstrip("/"))
