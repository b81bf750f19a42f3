"""Who asks and what they may: tokens of service accounts, and Roles read from YAML.

A Role file may hold several documents: Role, ClusterRole, RoleBinding,
ClusterRoleBinding (others are ignored). Without a binding every Role of the file
belongs to the account that the file was given for.
"""

import base64
import json
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from . import errors


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def new_token(namespace, name):
    """A token of the size and form of a real one; its signature is random."""
    header = {"alg": "RS256", "kid": _base64url(secrets.token_bytes(32))}
    now = int(time.time())
    claims = {
        "aud": ["https://kubernetes.default.svc.cluster.local"],
        "exp": now + 3607, "iat": now, "nbf": now,
        "iss": "https://kubernetes.default.svc.cluster.local",
        "jti": secrets.token_hex(16),
        "kubernetes.io": {"namespace": namespace,
                          "serviceaccount": {"name": name, "uid": secrets.token_hex(16)}},
        "sub": f"system:serviceaccount:{namespace}:{name}",
    }
    parts = [_base64url(json.dumps(p).encode()) for p in (header, claims)]
    return ".".join(parts + [_base64url(secrets.token_bytes(256))])


@dataclass
class Account:
    namespace: str
    name: str
    rules: list | None = None  # None: may do everything
    tokens: set = field(default_factory=set)
    folder: Path | None = None

    @property
    def user(self):
        return f"system:serviceaccount:{self.namespace}:{self.name}"

    @property
    def token(self):
        return self._current

    def rotate(self, keep_old=False):
        """Make a new token, write it where the old one stood, return it."""
        if not keep_old:
            self.tokens.clear()
        self._current = new_token(self.namespace, self.name)
        self.tokens.add(self._current)
        if self.folder:
            write_atomically(self.folder / "token", self._current)
        return self._current


def write_atomically(path, text):
    temporary = path.with_name("." + path.name + ".new")
    temporary.write_text(text)
    temporary.replace(path)


def _bindings(documents, account):
    """(kind, name) of each bound role -> the namespace it counts in, None for all."""
    bound = {}
    for document in documents:
        if document.get("kind") not in ("RoleBinding", "ClusterRoleBinding"):
            continue
        scope = None
        if document["kind"] == "RoleBinding":
            scope = document["metadata"].get("namespace") or account.namespace
        for subject in document.get("subjects") or []:
            if subject.get("kind") == "ServiceAccount" and subject["name"] == account.name:
                bound[document["roleRef"]["kind"], document["roleRef"]["name"]] = scope
    return bound


def load_rules(path, account):
    """[(namespace or None for all, rule)] for this account."""
    documents = [d for d in yaml.safe_load_all(Path(path).read_text()) if d]
    roles = [d for d in documents if d.get("kind") in ("Role", "ClusterRole")]
    if not roles:
        raise ValueError(f"{path}: no Role or ClusterRole in it")
    bound = None
    if any(str(d.get("kind")).endswith("Binding") for d in documents):
        bound = _bindings(documents, account)
    rules = []
    for role in roles:
        key = role["kind"], role["metadata"]["name"]
        if bound is not None and key not in bound:
            continue
        scope = bound[key] if bound is not None else None
        if role["kind"] == "Role":
            scope = role["metadata"].get("namespace") or account.namespace
        rules += [(scope, rule) for rule in role.get("rules") or []]
    return rules


def _matches(value, allowed):
    return "*" in allowed or value in allowed


def rule_allows(rule, verb, group, resource, name):
    if not _matches(verb, rule.get("verbs") or []):
        return False
    if not _matches(group, rule.get("apiGroups") or []):
        return False
    resources = rule.get("resources") or []
    if not _matches(resource, resources):
        subresource = resource.partition("/")[2]
        if not subresource or f"*/{subresource}" not in resources:
            return False
    names = rule.get("resourceNames") or []
    return not names or name in names


class Gate:
    """Authentication and authorization of all accounts."""

    def __init__(self):
        self.accounts = []

    def add(self, account):
        self.accounts.append(account)
        account.rotate()
        return account

    def find(self, name, namespace=None):
        for account in self.accounts:
            if account.name == name and namespace in (None, account.namespace):
                return account
        return None

    def authenticate(self, header, subprotocol_token=None):
        """The account of a request; None for an anonymous one; raises 401."""
        token = subprotocol_token
        if header:
            kind, _, rest = header.partition(" ")
            if kind.lower() != "bearer":
                return None
            token = rest.strip()
        if not token:
            return None
        for account in self.accounts:
            if token in account.tokens:
                return account
        raise errors.unauthorized()

    def allows(self, account, verb, resource, where):
        """`where` is (group, namespace, name)."""
        group, namespace, name = where
        if account is None:
            return False
        if account.rules is None:
            return True
        return any(
            scope in (None, namespace) and rule_allows(rule, verb, group, resource, name)
            for scope, rule in account.rules)

    def authorize(self, account, verb, resource, where):
        if self.allows(account, verb, resource, where):
            return
        group, namespace, name = where
        user = account.user if account else "system:anonymous"
        place = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
        plural = resource.partition("/")[0]
        raise errors.forbidden(
            plural, name,
            f'User "{user}" cannot {verb} resource "{resource}" in API group '
            f'"{group}"{place}', group)


def kubeconfig(server, ca_path, token, namespace):
    cluster = {"server": server}
    if ca_path:
        cluster["certificate-authority"] = str(ca_path)
    return yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "standin",
        "contexts": [{"name": "standin", "context": {
            "cluster": "standin", "user": "standin", "namespace": namespace}}],
        "clusters": [{"name": "standin", "cluster": cluster}],
        "users": [{"name": "standin", "user": {"token": token}}],
    }, sort_keys=False)
