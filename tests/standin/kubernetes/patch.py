"""JSON merge patch (RFC 7396) and JSON patch (RFC 6902)."""

import copy

from . import errors


def merge(target, patch):
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def _tokens(pointer):
    if pointer == "":
        return []
    if not pointer.startswith("/"):
        raise errors.bad_request(f"invalid JSON pointer {pointer!r}")
    return [t.replace("~1", "/").replace("~0", "~") for t in pointer[1:].split("/")]


def _refused(what):
    return errors.ApiError(422, "Invalid", f"the server rejected our request due to an "
                                           f"error in our request: {what}")


def _index(items, token, extra=0):
    if token == "-" and extra:
        return len(items)
    if not token.isdigit() or int(token) >= len(items) + extra:
        raise _refused(f"index {token} out of range")
    return int(token)


def _step(node, token, pointer):
    if isinstance(node, dict) and token in node:
        return node[token]
    if isinstance(node, list):
        return node[_index(node, token)]
    raise _refused(f"path {pointer} does not exist")


def _walk(document, tokens, pointer):
    for token in tokens:
        document = _step(document, token, pointer)
    return document


def _put(parent, token, value, adding):
    if isinstance(parent, dict):
        if not adding and token not in parent:
            raise _refused(f"replace operation does not apply: {token} is missing")
        parent[token] = value
    elif isinstance(parent, list) and adding:
        parent.insert(_index(parent, token, extra=1), value)
    elif isinstance(parent, list):
        parent[_index(parent, token)] = value
    else:
        raise _refused(f"nothing can be put at {token}")


def _take(parent, token, pointer):
    value = _step(parent, token, pointer)
    if isinstance(parent, dict):
        del parent[token]
    else:
        parent.pop(_index(parent, token))
    return value


def _apply(document, operation):
    kind, pointer = operation.get("op"), operation.get("path")
    if not isinstance(pointer, str):
        raise errors.bad_request("a JSON patch operation needs `path`")
    tokens = _tokens(pointer)
    if kind == "test":
        try:
            found = _walk(document, tokens, pointer)
        except errors.ApiError:
            found = None
        if found != operation.get("value"):
            raise _refused(f"testing path {pointer} value failed")
        return document
    if not tokens:
        return copy.deepcopy(operation.get("value"))
    if kind in ("move", "copy"):
        source = _tokens(operation["from"])
        value = copy.deepcopy(_walk(document, source, operation["from"]))
        if kind == "move":
            _take(_walk(document, source[:-1], operation["from"]), source[-1],
                  operation["from"])
        _put(_walk(document, tokens[:-1], pointer), tokens[-1], value, True)
        return document
    parent = _walk(document, tokens[:-1], pointer)
    if kind == "remove":
        _take(parent, tokens[-1], pointer)
    elif kind in ("add", "replace"):
        _put(parent, tokens[-1], copy.deepcopy(operation.get("value")), kind == "add")
    else:
        raise errors.bad_request(f"unknown JSON patch operation {kind!r}")
    return document


def json_patch(target, operations):
    if not isinstance(operations, list):
        raise errors.bad_request("a JSON patch is a list of operations")
    document = copy.deepcopy(target)
    for operation in operations:
        document = _apply(document, operation)
    return document
