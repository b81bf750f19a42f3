"""The control endpoint `/_standin/...`: what a test sees and does beside the API.

GET    requests            {"count": N, "requests": [...]}; filters as query: user, verb,
                           resource, subresource, namespace, name, since (unix seconds)
DELETE requests            forget them
GET    objects             everything stored: {"pods": [...], ..., "deleted": {"pods": [...]}}
GET    containers          [{pod, container, uid, pid, log, log_bytes, written_bytes,
                             rotations, state, ...}] of living and ended pods
GET    streams             open watches and log streams
GET    faults              the faults with their hits
POST   faults              add one (see faults below) -> {"id": N}
DELETE faults[/ID]         remove one or all
POST   streams             {"do": "close"|"cut"|"silence"|"error"|"text", "match": {verb,
                           resource, name, container, user}, "text": "...", "code": 410}
POST   compact             every version from before now is expired: {"resource": "pods"}
POST   kubelet             {"do": "kill", "pod", "container", "signal": 9}
                           {"do": "oom", "pod", "container", "exit": true|false}
                           {"do": "evict", "pod", "reason", "message", "condition"}
                           {"do": "fail_hook", "pod": "*", "container": "*", "times": 1}
                           {"do": "refuse_next", "reason", "message"}
                           {"do": "cordon"} {"do": "uncordon"}
POST   logfile             {"do": "rotate"|"delete"|"truncate", "pod", "container"}
                           {"do": "drop_lines", "skip": N, "count": N, "every": N}
                           {"do": "damage", "edits": [{kind, at, bytes, with}]}
                           {"do": "append", "text": "..."}
                           with "pod": "*" it holds for containers that start later too
POST   images              add an entry of the image table (see images below)
DELETE images              empty the table
POST   refusals            {"match": {resource, verb, name}, "message": "exceeded quota: ...",
                           "code": 403, "reason": "Forbidden", "times": 1}
DELETE refusals
POST   outage              {"seconds": N}: every connection is reset, new ones are refused
POST   tokens              {"account": NAME, "keep_old": false}: rotate -> {"token"}
POST   tls                 {"certificate": "good"|"expired"|"wrong-name"|"foreign"}: for
                           connections made from now on
POST   settings            any of the times and sizes of the command line, by name; followers_most: so
                           many logs may be followed at once, a further follower gets what is
                           there, then the kubelet's "failed to create fsnotify watcher: too many
                           open files", and the end
GET    settings
"""

import fnmatch
import signal

from aiohttp import web



def _answer(obj, status=200):
    return web.json_response(obj, status=status)


class Control:
    def __init__(self, server):
        self._server = server

    def add_routes(self, router):
        for method, path, work in (
                ("GET", "requests", self.get_requests),
                ("DELETE", "requests", self.delete_requests),
                ("GET", "objects", self.get_objects),
                ("GET", "containers", self.get_containers),
                ("GET", "streams", self.get_streams),
                ("POST", "streams", self.post_streams),
                ("GET", "faults", self.get_faults), ("POST", "faults", self.post_fault),
                ("DELETE", "faults", self.delete_fault),
                ("DELETE", "faults/{id}", self.delete_fault),
                ("POST", "compact", self.post_compact),
                ("POST", "kubelet", self.post_kubelet),
                ("POST", "logfile", self.post_logfile),
                ("POST", "images", self.post_image),
                ("DELETE", "images", self.delete_images),
                ("POST", "refusals", self.post_refusal),
                ("DELETE", "refusals", self.delete_refusals),
                ("POST", "outage", self.post_outage),
                ("POST", "tokens", self.post_token), ("POST", "tls", self.post_tls),
                ("GET", "settings", self.get_settings),
                ("POST", "settings", self.post_settings)):
            router.add_route(method, "/_standin/" + path, self._guarded(work))

    @staticmethod
    def _guarded(work):
        async def run(request):
            try:
                body = await request.json() if request.can_read_body else {}
                return work(request, body)
            except (ValueError, KeyError, LookupError, TypeError) as error:
                return _answer({"error": str(error)}, 400)
        return run

    # ---- seeing ----------------------------------------------------------------

    def get_requests(self, request, _body):
        query = dict(request.query)
        since = float(query.pop("since", 0))
        found = [self._server.shown_request(i) for i in self._server.requests
                 if i["time"] >= since and all(
                     fnmatch.fnmatchcase(str(i.get(k, "")), v) for k, v in query.items())]
        return _answer({"count": len(found), "requests": found})

    def delete_requests(self, _request, _body):
        self._server.requests.clear()
        return _answer({})

    def get_objects(self, _request, _body):
        store = self._server.store
        shown = {plural: list(objs.values()) for plural, objs in store.objects.items()}
        deleted = {}
        for plural, obj in store.removed:
            deleted.setdefault(plural, []).append(obj)
        return _answer(shown | {"deleted": deleted,
                                "resourceVersion": str(store.version)})

    def get_containers(self, _request, _body):
        kubelet = self._server.kubelet
        shown = []
        for worker in list(kubelet.past.values()) + list(kubelet.workers.values()):
            for instance in worker.instances.values():
                shown.append(self._container(worker, instance))
        return _answer(shown)

    @staticmethod
    def _container(worker, instance):
        process, log = instance.process, instance.log
        state = "waiting"
        if instance.terminated:
            state = "terminated"
        elif instance.is_running():
            state = "running"
        return {
            "pod": worker.name, "namespace": worker.namespace, "pod_uid": worker.uid,
            "container": instance.name, "state": state, "terminated": instance.terminated,
            "waiting": instance.waiting, "pid": process.pid if process else None,
            "started": process.started_at if process else None,
            "finished": process.finished_at if process else None,
            "uid": instance.identity.uid if instance.identity else None,
            "log": str(log.path) if log else None, "log_bytes": log.size() if log else 0,
            "written_bytes": log.written_bytes if log else 0,
            "rotations": log.rotations if log else 0,
        }

    def get_streams(self, _request, _body):
        return _answer([self._server.shown_request(s.info) | {"sent": s.sent}
                        for s in self._server.streams])

    # ---- faults ------------------------------------------------------------------

    def get_faults(self, _request, _body):
        return _answer(self._server.faults.list())

    def post_fault(self, _request, body):
        return _answer({"id": self._server.faults.add(body)}, 201)

    def delete_fault(self, request, _body):
        number = request.match_info.get("id")
        self._server.faults.remove(int(number) if number else None)
        return _answer({})

    def post_streams(self, _request, body):
        if body.get("do") not in ("close", "cut", "silence", "error", "text"):
            raise ValueError("do: close, cut, silence, error or text")
        hit = 0
        for stream in list(self._server.streams):
            if all(fnmatch.fnmatchcase(str(stream.info.get(k, "")), v)
                   for k, v in (body.get("match") or {}).items()):
                stream.orders.put_nowait(body)
                hit += 1
        return _answer({"streams": hit})

    def post_compact(self, _request, body):
        self._server.store.compact(body.get("resource"))
        return _answer({"resourceVersion": str(self._server.store.version)})

    # ---- the node ------------------------------------------------------------------

    def _instances(self, body):
        found = [(w, i) for w in self._server.kubelet.workers.values()
                 for i in w.instances.values()
                 if fnmatch.fnmatchcase(w.name, body.get("pod", "*"))
                 and fnmatch.fnmatchcase(i.name, body.get("container", "*"))]
        if not found:
            raise LookupError("no such container")
        return found

    def post_kubelet(self, _request, body):
        work = getattr(self, "_do_" + str(body.get("do")), None)
        if work is None:
            raise ValueError("do: kill, oom, evict, fail_hook, refuse_next, cordon, uncordon")
        return _answer(work(body) or {})

    def _do_kill(self, body):
        for _, instance in self._instances(body):
            if instance.is_running():
                instance.process.signal(body.get("signal", signal.SIGKILL))

    def _do_oom(self, body):
        for _, instance in self._instances(body):
            if instance.is_running():
                instance.oom = True
                if body.get("exit", True):
                    instance.process.signal(signal.SIGKILL)

    def _do_evict(self, body):
        for worker in {w for w, _ in self._instances(body)}:
            worker.evict(body.get("reason", "Evicted"),
                         body.get("message", "The node was low on resource: memory."),
                         body.get("condition"))

    def _do_fail_hook(self, body):
        self._server.kubelet.hook_failures.append(dict(body))

    def _do_refuse_next(self, body):
        self._server.settings.refuse_pods = dict(body)

    def _do_cordon(self, _body):
        self._server.settings.cordoned = True

    def _do_uncordon(self, _body):
        self._server.settings.cordoned = False

    def post_logfile(self, _request, body):
        do = body.get("do")
        if do in ("drop_lines", "damage"):
            rule = {"pod": body.get("pod", "*"), "container": body.get("container", "*"),
                    "times": body.get("times", 1), "body": body}
            self._server.kubelet.log_rules.append(rule)
            for worker in self._server.kubelet.workers.values():
                for instance in worker.instances.values():
                    if instance.log:
                        self._server.kubelet.damage_log(worker, instance)
            return _answer({})
        for _, instance in self._instances(body):
            self._change_logfile(do, instance.log, body)
        return _answer({})

    @staticmethod
    def _change_logfile(do, log, body):
        if log is None:
            raise LookupError("that container has no log yet")
        if do == "rotate":
            log.rotate()
        elif do == "delete":
            log.path.unlink()
        elif do == "truncate":
            with open(log.path, "r+b") as file:
                file.truncate(body.get("bytes", 0))
        elif do == "append":
            with open(log.path, "ab") as file:
                file.write(body["text"].encode())
            log.notify("write")
        else:
            raise ValueError("do: rotate, delete, truncate, append, drop_lines, damage")

    # ---- the rest --------------------------------------------------------------------

    def post_image(self, _request, body):
        self._server.images.add(body)
        return _answer({}, 201)

    def delete_images(self, _request, _body):
        self._server.images.table.clear()
        return _answer({})

    def post_refusal(self, _request, body):
        if not body.get("message"):
            raise ValueError("a refusal needs a message")
        self._server.refusals.append(dict(body))
        return _answer({}, 201)

    def delete_refusals(self, _request, _body):
        self._server.refusals.clear()
        return _answer({})

    def post_token(self, _request, body):
        account = self._server.gate.find(body["account"])
        if account is None:
            raise LookupError(f"no account {body['account']}")
        return _answer({"token": account.rotate(body.get("keep_old", False)),
                        "folder": str(account.folder)})

    def post_outage(self, _request, body):
        self._server.begin_outage(float(body["seconds"]))
        return _answer({})

    def post_tls(self, _request, body):
        self._server.use_certificate(body["certificate"])
        return _answer({})

    def get_settings(self, _request, _body):
        return _answer(dict(vars(self._server.settings)))

    def post_settings(self, _request, body):
        settings = self._server.settings
        unknown = [k for k in body if not hasattr(settings, k)]
        if unknown:
            raise ValueError(f"unknown settings: {', '.join(unknown)}")
        for key, value in body.items():
            setattr(settings, key, value)
        return _answer(dict(vars(settings)))
