"""Pod Security admission: the label `pod-security.kubernetes.io/enforce` of a namespace.

Texts and checks of policy version 1.34, in the order of the real admission.
"""

LABEL = "pod-security.kubernetes.io/enforce"
_BASELINE_CAPABILITIES = {
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD",
    "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"}
_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image",
            "persistentVolumeClaim", "projected", "secret"}


def _context(container):
    return container.get("securityContext") or {}


def _listed(names, noun="container"):
    quoted = ", ".join(f'"{n}"' for n in names)
    return f"{noun}{'s' if len(names) > 1 else ''} {quoted}"


def _must(names):
    return f"{_listed(names)} must set"


def _offenders(containers, test):
    return [c["name"] for c in containers if test(_context(c))]


def _added(context):
    return {c.upper().removeprefix("CAP_")
            for c in (context.get("capabilities") or {}).get("add") or []}


def _baseline(pod, containers):
    spec = pod["spec"]
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key):
            yield f"host namespaces ({key}=true)"
    bad = _offenders(containers, lambda c: c.get("privileged"))
    if bad:
        yield f"privileged ({_listed(bad)} must not set securityContext.privileged=true)"
    bad = _offenders(containers, lambda c: _added(c) - _BASELINE_CAPABILITIES)
    if bad:
        extra = sorted(set().union(*(_added(_context(c)) for c in containers))
                       - _BASELINE_CAPABILITIES)
        yield (f"non-default capabilities ({_listed(bad)} must not include "
               + ", ".join(f'"{e}"' for e in extra)
               + " in securityContext.capabilities.add)")
    paths = [v["name"] for v in spec.get("volumes") or [] if "hostPath" in v]
    if paths:
        yield f"hostPath volumes ({_listed(paths, 'volume')})"
    ports = [p["hostPort"] for c in containers for p in c.get("ports") or []
             if p.get("hostPort")]
    if ports:
        yield f"hostPort ({', '.join(map(str, ports))})"


def _restricted(pod, containers):
    spec = pod["spec"]
    whole = spec.get("securityContext") or {}
    bad = [v["name"] for v in spec.get("volumes") or []
           if not set(v) - {"name"} <= _VOLUMES]
    if bad:
        kinds = sorted({k for v in spec["volumes"] for k in v if k != "name"} - _VOLUMES)
        yield (f"restricted volume types ({_listed(bad, 'volume')} use restricted volume "
               "type " + ", ".join(f'"{k}"' for k in kinds) + ")")
    bad = _offenders(containers, lambda c: c.get("allowPrivilegeEscalation") is not False)
    if bad:
        yield (f"allowPrivilegeEscalation != false ({_must(bad)} "
               "securityContext.allowPrivilegeEscalation=false)")
    bad = _offenders(containers, lambda c: "ALL" not in (
        (c.get("capabilities") or {}).get("drop") or []))
    more = _offenders(containers, lambda c: _added(c) - {"NET_BIND_SERVICE"})
    if bad:
        yield (f"unrestricted capabilities ({_must(bad)} "
               'securityContext.capabilities.drop=["ALL"])')
    elif more:
        yield (f"unrestricted capabilities ({_listed(more)} must not include anything but "
               '"NET_BIND_SERVICE" in securityContext.capabilities.add)')
    bad = _offenders(containers, lambda c: not c.get(
        "runAsNonRoot", whole.get("runAsNonRoot")))
    if bad:
        yield f"runAsNonRoot != true (pod or {_must(bad)} securityContext.runAsNonRoot=true)"
    bad = _offenders(containers, lambda c: c.get("runAsUser") == 0)
    if bad or whole.get("runAsUser") == 0:
        who = "pod" if whole.get("runAsUser") == 0 else _listed(bad)
        yield f"runAsUser=0 ({who} must not set runAsUser=0)"
    bad = _offenders(containers, lambda c: (
        c.get("seccompProfile") or whole.get("seccompProfile") or {}).get("type") not in (
            "RuntimeDefault", "Localhost"))
    if bad:
        yield (f"seccompProfile (pod or {_must(bad)} securityContext.seccompProfile.type to "
               '"RuntimeDefault" or "Localhost")')


def violation(pod, namespace):
    """The text of the refusal; empty when the namespace allows the pod."""
    level = (namespace["metadata"].get("labels") or {}).get(LABEL, "privileged")
    spec = pod["spec"]
    containers = (spec.get("initContainers") or []) + spec["containers"]
    found = []
    if level in ("baseline", "restricted"):
        found += _baseline(pod, containers)
    if level == "restricted":
        found += _restricted(pod, containers)
    if not found:
        return ""
    return f'violates PodSecurity "{level}:latest": ' + ", ".join(found)
