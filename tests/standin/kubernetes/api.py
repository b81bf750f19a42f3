"""The API server: from a request to its answer, in the order of the real one.

Authentication (401), authorization (403), parameters (400, 406, 415), the object's
own rules (422), storage (409, 500 without a reason); a websocket handshake is judged
only after all that.
"""

import asyncio
import base64
import json
import time

from aiohttp import web

from . import discovery, errors, fields, log, objects, patch, selectors
from .sinks import BodySink, WebSocketSink
from .store import RESOURCES, encode
from .watch import Watch, check_handshake

BODY_BYTES = 3 * 1024 * 1024
JSON_TYPE = "application/json"
PARTIAL = "as=PartialObjectMetadata"
_METHOD_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update",
                 "PATCH": "patch", "DELETE": "delete"}
_BEARER_PROTOCOL = "base64url.bearer.authorization.k8s.io."
OPEN_PATHS = ("/healthz", "/readyz", "/livez", "/version")


def parse_path(path):
    """(group, namespace, resource, name, subresource) or None when it is no resource."""
    parts = path.strip("/").split("/")
    if parts[:2] == ["api", "v1"]:
        group, rest = "", parts[2:]
    elif len(parts) > 3 and parts[0] == "apis":
        group, rest = parts[1], parts[3:]
    else:
        return None
    namespace = ""
    if len(rest) >= 3 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    if not rest or not rest[0] or len(rest) > 3:
        return None
    rest += [""] * (3 - len(rest))
    if rest[0] == "namespaces":
        namespace = rest[1]
    return group, namespace, rest[0], rest[1], rest[2]


def _is_websocket(request):
    return ("upgrade" in request.headers.get("Connection", "").lower()
            and request.headers.get("Upgrade", "").lower() == "websocket")


def _watch_wanted(query):
    return "watch" in query and query["watch"] not in ("false", "0")


def _protocol_token(request):
    """A token in a subprotocol; it counts only beside another name."""
    offered = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
    for entry in (e.strip() for e in offered):
        if entry.startswith(_BEARER_PROTOCOL):
            if len(offered) < 2:
                raise errors.unauthorized()
            text = entry[len(_BEARER_PROTOCOL):]
            return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    return None


class Api:
    def __init__(self, server):
        self.server = server
        self.store = server.store

    # ---- every request -------------------------------------------------------

    async def handle(self, request):
        info = self._describe(request)
        self.server.requests.append(info)
        self.server.open_requests += 1
        try:
            answer = await self._guarded(request, info)
        finally:
            self.server.open_requests -= 1
            info["seconds"] = round(time.time() - info["time"], 6)
        return answer

    async def _guarded(self, request, info):
        try:
            effects = self.server.faults.at_request(info)
            info["effects"] = effects
            early = await self._fault_before(request, effects)
            answer = early or await self._answer(request, info)
            info["code"] = answer.status
            if early is None:
                await self._fault_after(request, effects)
                answer = await self._dribble(request, effects, answer)
            return answer
        except errors.ApiError as error:
            info["code"], info["reason"] = error.code, error.reason
            info["message"] = error.message
            return self._status_answer(error)
        except errors.BareAnswer as bare:
            info["code"] = bare.code
            return web.Response(status=bare.code, text=bare.text, headers=bare.headers,
                                content_type=bare.content_type)

    def _describe(self, request):
        parsed = parse_path(request.path)
        group, namespace, resource, name, subresource = parsed or ("", "", "", "", "")
        verb = _METHOD_VERBS.get(request.method, request.method.lower())
        if parsed and not name and verb == "get":
            verb = "watch" if _watch_wanted(request.query) else "list"
        if parsed and not name and verb == "delete":
            verb = "deletecollection"
        info = {
            "time": time.time(), "method": request.method, "path": request.path,
            "query": request.query_string, "verb": verb, "group": group,
            "namespace": namespace, "resource": resource, "name": name,
            "subresource": subresource, "websocket": _is_websocket(request),
            "container": request.query.get("container", ""), "user": "",
            "agent": request.headers.get("User-Agent", ""), "code": None,
            "accept": request.headers.get("Accept", ""), "parsed": parsed is not None,
        }
        if verb in ("list", "watch") and "fieldSelector" in request.query:
            try:
                info["name"] = selectors.selected_name(request.query)
            except errors.ApiError:
                pass
        try:
            account = self.server.gate.authenticate(
                request.headers.get("Authorization"), _protocol_token(request))
            info["user"] = account.user if account else "system:anonymous"
        except errors.ApiError:
            info["user"] = ""
        return info

    async def _fault_before(self, request, effects):
        if effects.get("delay_s"):
            await asyncio.sleep(effects.get("delay_s"))
        if effects.get("cut"):
            request.transport.abort()
            raise errors.BareAnswer(500)
        status, text = effects.get("status"), effects.get("text")
        if status:
            headers = _retry_header(status)
            details = dict(status.get("details") or {})
            if headers:
                details["retryAfterSeconds"] = status["retry_after_s"]
            raise errors.ApiError(status["code"], status.get("reason", ""),
                                  status.get("message", "injected"), details, headers)
        if text:
            raise errors.BareAnswer(text["code"], text.get("body", ""),
                                    _retry_header(text),
                                    text.get("content_type", "text/plain"))
        if effects.get("bare"):
            raise errors.BareAnswer(effects.get("bare"))
        return None

    async def _fault_after(self, request, effects):
        if effects.get("delay_answer_s"):
            await asyncio.sleep(effects.get("delay_answer_s"))
        if effects.get("lose_answer"):
            request.transport.abort()

    async def _dribble(self, request, effects, answer):
        if not effects.get("dribble_s") or not isinstance(answer, web.Response):
            return answer
        body = answer.body
        slow = web.StreamResponse(status=answer.status, headers={
            "Content-Type": JSON_TYPE, "Content-Length": str(len(body))})
        await slow.prepare(request)
        await slow.write(body[:len(body) // 2])
        await asyncio.sleep(effects.get("dribble_s"))
        request.transport.abort()
        return slow

    def _status_answer(self, error):
        return web.Response(status=error.code, body=encode(error.status()) + b"\n",
                            content_type=JSON_TYPE, headers=error.headers)

    def json(self, request, obj, code=200):
        agent = request.headers.get("User-Agent", "")
        if agent.startswith(("curl", "Wget", "Mozilla/5.0")):
            body = json.dumps(obj, indent=2, ensure_ascii=False).encode() + b"\n"
        else:
            body = encode(obj) + b"\n"
        return web.Response(status=code, body=body, content_type=JSON_TYPE)

    # ---- which resource, which verb ------------------------------------------

    async def _answer(self, request, info):
        account = self.server.gate.authenticate(
            request.headers.get("Authorization"), _protocol_token(request))
        if request.path in OPEN_PATHS:
            return self._open_path(request)
        if not info["parsed"]:
            self._authorize_path(account, request)
            document = discovery.answer(request.path)
            if document and request.method == "GET":
                return self.json(request, document)
            raise errors.ApiError(404, "NotFound",
                                  "the server could not find the requested resource")
        full = info["resource"]
        if info["subresource"]:
            full += "/" + info["subresource"]
        if full == "selfsubjectaccessreviews" and info["verb"] == "create":
            if account is None:
                self.server.gate.authorize(account, "create", full,
                                           (info["group"], "", ""))
            return await self._access_review(request, account)
        self.server.gate.authorize(account, info["verb"], full,
                                   (info["group"], info["namespace"], info["name"]))
        resource = RESOURCES.get(info["resource"])
        if resource is None or resource.group != info["group"] or (
                resource.namespaced != bool(info["namespace"])
                and info["verb"] not in ("list", "watch")
                and resource.plural != "namespaces"):
            raise errors.ApiError(404, "NotFound",
                                  "the server could not find the requested resource")
        self._check_accept(request)
        if full == "pods/log":
            return await self._log(request, info)
        if info["subresource"] not in ("", "status"):
            raise errors.ApiError(404, "NotFound",
                                  "the server could not find the requested resource")
        return await self._verb(request, info, resource)

    async def _verb(self, request, info, resource):
        verb = info["verb"]
        if verb == "watch":
            return await self._watch(request, info)
        if verb == "list":
            return self._list(request, info, resource)
        if verb == "get":
            found = self.store.get(resource.plural, self._key(info, resource),
                                   info["name"])
            return self.json(request, self.server.present(resource.plural, found, info))
        if verb == "create":
            return await self._create(request, info, resource)
        if verb == "update":
            return await self._update(request, info, resource)
        if verb == "patch":
            return await self._patch(request, info, resource)
        if verb == "delete":
            return await self._delete(request, info, resource)
        if verb == "deletecollection":
            return await self._delete_collection(request, info, resource)
        raise errors.ApiError(405, "MethodNotAllowed",
                              "the server does not allow this method on the requested "
                              "resource")

    @staticmethod
    def _key(info, resource):
        return info["namespace"] if resource.namespaced else None

    def _open_path(self, request):
        if request.path == "/version":
            return self.json(request, {
                "major": "1", "minor": "34", "gitVersion": "v1.34.4",
                "platform": "linux/amd64"})
        return web.Response(text="ok")

    def _authorize_path(self, account, request):
        if account is None:
            raise errors.ApiError(
                403, "Forbidden",
                f'forbidden: User "system:anonymous" cannot get path "{request.path}"')

    def _check_accept(self, request):
        accept = request.headers.get("Accept", "")
        if not accept:
            return
        kinds = [a.split(";")[0].strip() for a in accept.split(",")]
        if not any(k in ("*/*", "application/*", JSON_TYPE) for k in kinds):
            raise errors.ApiError(
                406, "NotAcceptable",
                "only the following media types are accepted: application/json, "
                "application/json;stream=watch, application/yaml, "
                "application/vnd.kubernetes.protobuf")

    async def _access_review(self, request, account):
        review = await self._body(request, {JSON_TYPE})
        asked = (review.get("spec") or {}).get("resourceAttributes") or {}
        full = asked.get("resource", "")
        if asked.get("subresource"):
            full += "/" + asked["subresource"]
        allowed = self.server.gate.allows(
            account, asked.get("verb", ""), full,
            (asked.get("group", ""), asked.get("namespace", ""), asked.get("name", "")))
        return self.json(request, review | {"status": {"allowed": allowed}}, 201)

    # ---- bodies ----------------------------------------------------------------

    async def _body(self, request, types, required=True):
        kind = request.headers.get("Content-Type", "").split(";")[0].strip()
        length = request.content_length
        if length and length > BODY_BYTES:
            raise self._too_large()
        data = bytearray()
        async for piece in request.content.iter_any():
            data += piece
            if len(data) > BODY_BYTES:
                raise self._too_large()
        if not data and not required:
            return None
        if kind and kind not in types:
            raise errors.ApiError(
                415, "UnsupportedMediaType",
                "the body of the request was in an unknown format - accepted media "
                f"types include: {', '.join(sorted(types))}")
        try:
            return json.loads(data)
        except ValueError as error:
            raise errors.bad_request(
                "the object provided is unrecognized (must be of type Object): "
                f"couldn't get version/kind; json parse error: {error}") from None

    @staticmethod
    def _too_large():
        return errors.ApiError(
            413, "RequestEntityTooLarge",
            f"Request entity too large: limit is {BODY_BYTES}")

    # ---- reading ---------------------------------------------------------------

    def _list(self, request, info, resource):
        query = request.query
        selects = selectors.selector(query, resource.plural)
        self._check_list_version(query)
        items = [o for o in self.store.list(resource.plural, info["namespace"] or None)
                 if selects(o)]
        meta = {"resourceVersion": str(self.store.version)}
        items, meta = self._page(query, items, meta)
        shown = []
        for obj in items:
            obj = dict(self.server.present(resource.plural, obj, info))
            for key in ("kind", "apiVersion"):
                obj.pop(key, None)
            shown.append(obj)
        kind = resource.kind
        if PARTIAL in request.headers.get("Accept", ""):
            return self.json(request, {
                "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                "metadata": meta, "items": shown})
        return self.json(request, {"kind": kind + "List",
                                   "apiVersion": resource.api_version,
                                   "metadata": meta, "items": shown})

    def _check_list_version(self, query):
        asked = query.get("resourceVersion", "")
        if asked in ("", "0"):
            return
        if not asked.isdigit():
            raise errors.ApiError(400, "BadRequest",
                                  f'invalid resource version "{asked}"')
        if int(asked) > self.store.version:
            raise errors.too_large_version(asked, self.store.version)

    def _page(self, query, items, meta):
        start = 0
        if query.get("continue"):
            try:
                mark = json.loads(base64.urlsafe_b64decode(query["continue"]))
            except ValueError:
                raise errors.bad_request("continue key is not valid") from None
            if mark["rv"] < max(self.store.oldest.values()):
                raise errors.expired(
                    "The provided continue parameter is too old to display a "
                    "consistent list result.")
            start = next((i for i, o in enumerate(items)
                          if [o["metadata"].get("namespace"),
                              o["metadata"]["name"]] > mark["after"]), len(items))
            meta["resourceVersion"] = str(mark["rv"])
        items = items[start:]
        limit = int(query.get("limit") or 0)
        if limit and len(items) > limit:
            last = items[limit - 1]["metadata"]
            mark = {"rv": int(meta["resourceVersion"]),
                    "after": [last.get("namespace"), last["name"]]}
            meta["continue"] = base64.urlsafe_b64encode(json.dumps(mark).encode()).decode()
            meta["remainingItemCount"] = len(items) - limit
            items = items[:limit]
        return items, meta

    async def _watch(self, request, info):
        query = request.query
        selects = selectors.selector(query, info["resource"])
        text = query.get("resourceVersion", "")
        if text and not text.isdigit():
            raise errors.ApiError(
                500, "", f'strconv.ParseUint: parsing "{text}": invalid syntax')
        if query.get("sendInitialEvents") and not query.get("resourceVersionMatch"):
            raise errors.ApiError(
                422, "Invalid", "ListOptions.meta.k8s.io \"\" is invalid: "
                "resourceVersionMatch: Forbidden: sendInitialEvents requires setting "
                "resourceVersionMatch to NotOlderThan")
        watch = Watch(self.server, request, info, selects)
        if info["websocket"]:
            sink = WebSocketSink(request, check_handshake(request))
            info["code"] = 101
        else:
            sink = BodySink(request, JSON_TYPE)
        return await watch.run(sink, int(text) if text else None)

    async def _log(self, request, info):
        pod = self.store.get("pods", info["namespace"], info["name"])
        options = log.Options(request.query, info["name"])
        container = log.pick_container(pod, request.query)
        if not pod["spec"].get("nodeName"):
            return web.Response(status=204)
        log.check_started(pod, container, options.previous)
        source = self.server.kubelet.container_log(
            pod["metadata"]["uid"], container, options.previous)
        if info["websocket"]:
            sink = log.FrameSink(request, info["effects"])
            info["code"] = 101
        else:
            sink = log.PlainSink(request, info["effects"])
        stream = log.LogStream(self.server, request, info, sink)
        return await stream.run(source, options)

    # ---- writing -----------------------------------------------------------------

    def _dry_run(self, query):
        values = query.getall("dryRun", [])
        if any(v != "All" for v in values):
            raise errors.ApiError(422, "Invalid", "CreateOptions is invalid: dryRun: "
                                  f'Unsupported value: "{values[0]}": supported values: "All"')
        return bool(values)

    def _require_namespace(self, info, resource):
        if resource.namespaced and self.store.find("namespaces", None,
                                                   info["namespace"]) is None:
            raise errors.not_found("namespaces", info["namespace"])

    async def _create(self, request, info, resource):
        obj = await self._body(request, {JSON_TYPE, "application/yaml"})
        dry = self._dry_run(request.query)
        fields.check_strict(resource, obj)
        meta = obj.setdefault("metadata", {})
        info["name"] = info["name"] or meta.get("name", "")
        if meta.get("namespace", info["namespace"]) != info["namespace"]:
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace "
                "sent on the request")
        self._require_namespace(info, resource)
        manager = request.query.get("fieldManager") or \
            request.headers.get("User-Agent", "").split("/")[0] or "unknown"
        obj = objects.prepare_new(self.server, resource, obj, info, manager)
        stored = self.store.create(resource.plural, info["namespace"], obj, dry)
        return self.json(request, self.server.present(resource.plural, stored, info), 201)

    async def _update(self, request, info, resource):
        obj = await self._body(request, {JSON_TYPE})
        fields.check_strict(resource, obj)
        old = self.store.get(resource.plural, self._key(info, resource), info["name"])
        if obj.get("metadata", {}).get("name", info["name"]) != info["name"]:
            raise errors.bad_request(
                "the name of the object does not match the name on the URL")
        version = obj.get("metadata", {}).get("resourceVersion")
        if version and version != old["metadata"]["resourceVersion"]:
            raise errors.stale(resource.plural, info["name"], resource.group)
        return self._store_change(request, info, resource, old, obj)

    def _store_change(self, request, info, resource, old, new):
        new = objects.prepare_change(self.server, resource, old, new, info)
        if self._dry_run(request.query):
            return self.json(request, new)
        stored = self.store.update(resource.plural, new)
        self.server.after_change(resource.plural, stored)
        return self.json(request, self.server.present(resource.plural, stored, info))

    async def _patch(self, request, info, resource):
        kind = request.headers.get("Content-Type", "").split(";")[0].strip()
        body = await self._body(request, {
            "application/merge-patch+json", "application/json-patch+json",
            "application/strategic-merge-patch+json"})
        old = self.store.get(resource.plural, self._key(info, resource), info["name"])
        if kind == "application/json-patch+json":
            new = patch.json_patch(old, body)
        else:
            new = patch.merge(old, body)
        fields.check_strict(resource, new, patched=True)
        if new["metadata"].get("resourceVersion") != old["metadata"]["resourceVersion"]:
            raise errors.stale(resource.plural, info["name"], resource.group)
        return self._store_change(request, info, resource, old, new)

    async def _delete(self, request, info, resource):
        options = await self._body(request, {JSON_TYPE}, required=False) or {}
        for key in ("gracePeriodSeconds", "propagationPolicy"):
            if key in request.query:
                value = request.query[key]
                options[key] = int(value) if key.startswith("grace") else value
        found = self.store.get(resource.plural, self._key(info, resource), info["name"])
        gone = objects.delete(self.server, resource, found, options)
        return self.json(request, self.server.present(resource.plural, gone, info))

    async def _delete_collection(self, request, info, resource):
        await self._body(request, {JSON_TYPE}, required=False)
        selects = selectors.selector(request.query, resource.plural)
        found = [o for o in self.store.list(resource.plural, info["namespace"] or None)
                 if selects(o)]
        for obj in found:
            objects.delete(self.server, resource, obj, {})
        return self.json(request, {
            "kind": resource.kind + "List", "apiVersion": resource.api_version,
            "metadata": {"resourceVersion": str(self.store.version)}, "items": found})


def _retry_header(rule):
    seconds = rule.get("retry_after_s")
    return {} if seconds is None else {"Retry-After": str(seconds)}
