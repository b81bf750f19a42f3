"""The environment and the command line of a container, with $(NAME) expanded."""

import base64
import re

from . import errors
from .container import ConfigError
from .volumes import field_value

_REFERENCE = re.compile(r"\$(\$|\(([^()]*)\))")


def expand(text, values):
    """Kubernetes' own expansion: $(NAME) when known, $$ for a dollar."""
    def replace(found):
        if found[1] == "$":
            return "$"
        return values.get(found[2], found[0])
    return _REFERENCE.sub(replace, text)


def _keyed(worker, plural, reference):
    name, key = reference.get("name", ""), reference.get("key", "")
    kind = "secret" if plural == "secrets" else "configmap"
    try:
        obj = worker.server.store.get(plural, worker.namespace, name)
    except errors.ApiError:
        if reference.get("optional"):
            return None
        raise ConfigError(f'{kind} "{name}" not found') from None
    value = (obj.get("data") or {}).get(key)
    if value is None:
        if reference.get("optional"):
            return None
        shown = "Secret" if plural == "secrets" else "ConfigMap"
        raise ConfigError(f"couldn't find key {key} in {shown} {worker.namespace}/{name}")
    if plural == "secrets":
        return base64.b64decode(value).decode(errors="replace")
    return value


def _resource_value(worker, instance, reference):
    kind, _, name = reference.get("resource", "").partition(".")
    spec = instance.spec
    if reference.get("containerName"):
        spec = worker.instances[reference["containerName"]].spec
    return str(((spec.get("resources") or {}).get(kind) or {}).get(name, "0"))


def _source_value(worker, instance, source):
    if "fieldRef" in source:
        return field_value(worker.pod, source["fieldRef"]["fieldPath"], worker.node)
    if "secretKeyRef" in source:
        return _keyed(worker, "secrets", source["secretKeyRef"])
    if "configMapKeyRef" in source:
        return _keyed(worker, "configmaps", source["configMapKeyRef"])
    return _resource_value(worker, instance, source.get("resourceFieldRef") or {})


def _from_objects(worker, instance, values):
    for entry in instance.spec.get("envFrom") or []:
        prefix = entry.get("prefix", "")
        for key, plural in (("secretRef", "secrets"), ("configMapRef", "configmaps")):
            if key not in entry:
                continue
            obj = worker.server.store.find(plural, worker.namespace, entry[key]["name"])
            if obj is None and not entry[key].get("optional"):
                raise ConfigError(f'{plural[:-1]} "{entry[key]["name"]}" not found')
            for name, value in ((obj or {}).get("data") or {}).items():
                if plural == "secrets":
                    value = base64.b64decode(value).decode(errors="replace")
                values[prefix + name] = value


def container_environment(worker, instance, image, identity):
    """name -> value, as the runtime hands it to the process. Raises ConfigError."""
    values = dict(entry.partition("=")[::2] for entry in image.env)
    values["HOSTNAME"] = worker.name[:63]
    values["HOME"] = identity.home
    host, port = worker.server.address
    values |= {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": str(port),
               "KUBERNETES_SERVICE_PORT_HTTPS": str(port)}
    _from_objects(worker, instance, values)
    for entry in instance.spec.get("env") or []:
        if entry.get("valueFrom"):
            value = _source_value(worker, instance, entry["valueFrom"])
            if value is None:
                continue
        else:
            value = expand(entry.get("value") or "", values)
        values[entry["name"]] = value
    return values


def container_command(spec, image, env):
    command = [expand(c, env) for c in spec.get("command") or []]
    arguments = [expand(a, env) for a in spec.get("args") or []]
    if not command:
        command = list(image.entrypoint)
        arguments = arguments or list(image.cmd)
    return command + arguments
