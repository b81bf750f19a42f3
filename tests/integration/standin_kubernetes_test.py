"""The Kubernetes stand-in behaves, and misbehaves, like the real one: tried by hand-made requests."""

import asyncio
import contextlib
import json
import os
import ssl
import subprocess
import time
from pathlib import Path

import aiohttp
import pytest

from tests.integration.harness import processes

FAST = ["--relist-seconds", "0.2", "--mount-seconds", "0.02", "--teardown-seconds", "0.05", "--rotate-check-seconds",
        "0.3", "--collect-seconds", "0.1", "--log-bytes", "1Mi"]
MERGE = {"Content-Type": "application/merge-patch+json"}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
ROLE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: r}
rules:
- {apiGroups: [""], resources: [pods], verbs: [create, get, list, watch, delete, patch]}
- {apiGroups: [""], resources: [pods/log], verbs: [get]}
- {apiGroups: [""], resources: [secrets], verbs: [create]}
- {apiGroups: [""], resources: [secrets], verbs: [get, update], resourceNames: [state]}
"""


class Cluster:
    """One stand-in process and requests to it."""

    def __init__(self, folder, *options):
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "standin.log"
        self.process = processes.start_python("tests.standin.kubernetes", "--state", str(folder / "state"), *options,
                                              log=self.log)
        self.info = processes.first_line(self.process, self.log)
        self.tls = ssl.create_default_context(cafile=self.info["ca"]) if self.info["ca"] else None

    def stop(self):
        code = processes.stop(self.process)
        assert code == 0, self.log.read_text()
        assert "internal error" not in self.log.read_text(), self.log.read_text()

    def run(self, work, token=None):
        """Run an async case with a session that carries the token."""
        async def go():
            connector = aiohttp.TCPConnector(ssl=self.tls if self.tls else False)
            headers = {"Authorization": "Bearer " + (token or self.info["token"])}
            async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
                return await asyncio.wait_for(work(Calls(self, session)), 60)
        return asyncio.run(go())


class Calls:
    """Requests of one case."""

    def __init__(self, cluster, session):
        self.cluster, self.session = cluster, session
        self.url = cluster.info["url"]
        self.base = self.url + "/api/v1/namespaces/default"
        self.lease_base = self.url + "/apis/coordination.k8s.io/v1/namespaces/default/leases"

    async def send(self, method, path, body=None, headers=None, **query):
        url = path if path.startswith("http") else self.base + path
        async with self.session.request(method, url, json=body, headers=headers, params=query) as answer:
            text = await answer.text()
            try:
                return answer.status, json.loads(text)
            except ValueError:
                return answer.status, text

    async def patch(self, path, body, headers=MERGE):
        async with self.session.patch(self.base + path, data=json.dumps(body), headers=headers) as answer:
            return answer.status, await answer.json()

    async def control(self, method, path, body=None, **query):
        status, found = await self.send(method, f"{self.url}/_standin/{path}", body, **query)
        assert status in (200, 201), found
        return found

    async def create(self, pod):
        status, stored = await self.send("POST", "/pods", pod)
        assert status == 201, stored
        return stored

    async def pod(self, name):
        return (await self.send("GET", "/pods/" + name))[1]

    async def until(self, name, test, timeout_s=10):
        """The pod as soon as the test holds for it."""
        deadline = time.monotonic() + timeout_s
        while True:
            pod = await self.pod(name)
            if test(pod):
                return pod
            assert time.monotonic() < deadline, pod.get("status")
            await asyncio.sleep(0.03)

    async def ended(self, name, timeout_s=15):
        return await self.until(name, lambda p: p["status"]["phase"] in ("Succeeded", "Failed"), timeout_s)

    async def text(self, name, **query):
        async with self.session.get(f"{self.base}/pods/{name}/log", params=query) as answer:
            return answer.status, await answer.read()

    async def events(self, uid):
        return (await self.send("GET", "/events", fieldSelector="involvedObject.uid=" + uid))[1]["items"]

    @contextlib.asynccontextmanager
    async def follow(self, name, **query):
        query = {"follow": "true"} | query
        async with self.session.ws_connect(f"{self.base}/pods/{name}/log", params=query,
                                           protocols=["binary.k8s.io"]) as socket:
            yield socket

    @contextlib.asynccontextmanager
    async def watch(self, version, resource="/pods", origin="https://client.test", **query):
        query = {"watch": "1", "resourceVersion": str(version)} | query
        async with self.session.ws_connect(self.base + resource, params=query, origin=origin) as socket:
            yield socket

    async def version(self):
        return (await self.send("GET", "/pods"))[1]["metadata"]["resourceVersion"]

    async def running(self, name):
        return await self.until(name, lambda p: p["status"]["phase"] == "Running")


_names = iter(range(1, 10**6))


def pod(*containers, name=None, **spec):
    """A pod of containers given as (name, shell script) or whole dicts."""
    made = []
    for container in containers:
        if isinstance(container, tuple):
            container = shell(*container)
        made.append(container)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name or f"pod-{next(_names)}"},
            "spec": {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": made} | spec}


def shell(name, script, **more):
    return {"name": name, "image": "test/base:1", "command": ["sh", "-c", script]} | more


def state_of(stored, container):
    found = [c["state"] for c in stored["status"].get("containerStatuses", []) if c["name"] == container]
    return found[0] if found else {}


async def frames(socket, limit=None):
    """The messages of a websocket up to its Close, and the Close code."""
    got = []
    while True:
        message = await socket.receive(20)
        if message.type not in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT):
            return got, message.data if message.type == aiohttp.WSMsgType.CLOSE else None
        got.append(message.data)
        if limit and len(got) >= limit:
            return got, None


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = Cluster(tmp_path_factory.mktemp("kubernetes"), *FAST)
    yield made
    made.stop()


@pytest.fixture
def make_cluster(tmp_path):
    made = []

    def make(*options):
        made.append(Cluster(tmp_path / str(len(made)), *FAST, *options))
        return made[-1]
    yield make
    for each in made:
        each.stop()


class TestStart:
    def test_it_writes_a_kubeconfig_and_a_service_account_folder(self, cluster):
        folder = Path(cluster.info["service_account"])
        assert (folder / "token").read_text() == cluster.info["token"]
        assert (folder / "namespace").read_text() == "default"
        assert (folder / "ca.crt").read_bytes() == Path(cluster.info["ca"]).read_bytes()
        assert cluster.info["token"] in Path(cluster.info["kubeconfig"]).read_text()

    def test_without_root_it_says_a_sentence(self):
        if os.geteuid() != 0:
            pytest.fail("these tests must run as root: pods get users, mounts and namespaces of their own")
        done = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", processes.sys.executable, "-m",
                               "tests.standin.kubernetes"], cwd=processes.ROOT, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert "root" in done.stderr or "Permission denied" in done.stderr

    def test_it_leaves_no_process_and_no_mount(self, make_cluster):
        made = make_cluster()

        async def case(api):
            stored = await api.create(pod(("a", "trap '' TERM; sleep 300 & wait; sleep 300"),
                                          volumes=[{"name": "m", "emptyDir": {"medium": "Memory"}}]))
            await api.running(stored["metadata"]["name"])
            return (await api.control("GET", "containers"))[0]["pid"]
        pid = made.run(case)
        assert Path(f"/proc/{pid}").exists()
        assert processes.stop(made.process) == 0
        assert not Path(f"/proc/{pid}").exists()
        assert made.info["state"] not in Path("/proc/self/mounts").read_text()

    def test_killed_it_takes_its_containers_along(self, make_cluster, tmp_path):
        made = Cluster(tmp_path / "killed", *FAST)

        async def case(api):
            stored = await api.create(pod(("a", "exec sleep 300"), securityContext={"runAsUser": 1234}))
            await api.running(stored["metadata"]["name"])
            return (await api.control("GET", "containers"))[0]["pid"]
        pid = made.run(case)
        made.process.kill()
        made.process.wait()
        deadline = time.monotonic() + 5
        while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not Path(f"/proc/{pid}").exists()


class TestRights:
    def test_a_request_without_a_token_is_anonymous_and_forbidden(self, cluster):
        async def case(api):
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=cluster.tls)) as session:
                async with session.get(api.base + "/pods") as answer:
                    body = await answer.json()
                    assert answer.status == 403
                    assert 'User "system:anonymous" cannot list resource "pods"' in body["message"]
        cluster.run(case)

    def test_a_wrong_token_is_unauthorized(self, cluster):
        async def case(api):
            status, body = await api.send("GET", "/pods")
            assert (status, body["reason"]) == (401, "Unauthorized")
        cluster.run(case, token="nonsense")

    def test_a_role_is_enforced(self, make_cluster, tmp_path):
        role = tmp_path / "role.yaml"
        role.write_text(ROLE)
        made = make_cluster("--role", str(role))

        async def case(api):
            assert (await api.send("GET", "/pods"))[0] == 200
            status, body = await api.send("GET", "/secrets")
            assert (status, body["reason"]) == (403, "Forbidden")
            assert body["message"] == ('secrets is forbidden: User "system:serviceaccount:default:dataops-runner" cannot list '
                                       'resource "secrets" in API group "" in the namespace "default"')
            assert (await api.send("GET", "/secrets/other"))[0] == 403
            assert (await api.send("GET", "/secrets/state"))[0] == 404
            assert (await api.send("GET", "/events"))[0] == 403
            review = {"spec": {"resourceAttributes": {"verb": "list", "resource": "events", "namespace": "default"}}}
            url = api.url + "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
            status, body = await api.send("POST", url, review)
            assert (status, body["status"]["allowed"]) == (201, False)
        made.run(case)

    def test_a_rotated_token_replaces_the_old_one(self, make_cluster):
        made = make_cluster()

        async def case(api):
            fresh = await api.control("POST", "tokens", {"account": "dataops-runner"})
            assert (await api.send("GET", "/pods"))[0] == 401
            assert Path(fresh["folder"], "token").read_text() == fresh["token"]
            status, _ = await api.send("GET", "/pods", headers={"Authorization": "Bearer " + fresh["token"]})
            assert status == 200
        made.run(case)


class TestObjects:
    @pytest.mark.parametrize("spoil, field", [
        (lambda p: p["spec"].update(colour="red"), "spec.colour"),
        (lambda p: p["spec"]["containers"][0].update(imagePolicy="Always"), "spec.containers[0].imagePolicy"),
        (lambda p: p["metadata"].update(label={}), "metadata.label"),
    ])
    def test_an_unknown_field_is_refused(self, cluster, spoil, field):
        async def case(api):
            bad = pod(("a", "true"))
            spoil(bad)
            status, body = await api.send("POST", "/pods", bad)
            assert (status, body["reason"]) == (400, "BadRequest")
            assert f'strict decoding error: unknown field "{field}"' in body["message"]
        cluster.run(case)

    @pytest.mark.parametrize("spoil, field", [
        (lambda p: p["spec"].update(containers=[]), "spec.containers"),
        (lambda p: p["spec"]["containers"].append(p["spec"]["containers"][0]), "spec.containers[1].name"),
        (lambda p: p["spec"]["containers"][0].pop("image"), "spec.containers[0].image"),
        (lambda p: p["metadata"].update(name="Not_A_Name"), "metadata.name"),
        (lambda p: p["spec"].update(restartPolicy="Sometimes"), "spec.restartPolicy"),
        (lambda p: p["spec"].update(activeDeadlineSeconds=0), "spec.activeDeadlineSeconds"),
        (lambda p: p["spec"]["containers"][0].update(volumeMounts=[{"name": "v", "mountPath": "/v"}]),
         "spec.containers[0].volumeMounts[0].name"),
        (lambda p: p["metadata"].update(annotations={"a": "x" * 262144}), "metadata.annotations"),
        (lambda p: p["metadata"].update(labels={"a": "not a label"}), "metadata.labels"),
    ])
    def test_an_invalid_pod_is_refused(self, cluster, spoil, field):
        async def case(api):
            bad = pod(("a", "true"))
            spoil(bad)
            status, body = await api.send("POST", "/pods", bad)
            assert (status, body["reason"]) == (422, "Invalid")
            assert field in [c["field"] for c in body["details"]["causes"]]
        cluster.run(case)

    def test_sizes_have_limits(self, cluster):
        async def case(api):
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "big"}}
            status, body = await api.send("POST", "/secrets", secret | {"stringData": {"a": "x" * (1 << 20) + "x"}})
            assert status == 422, body
            status, body = await api.send("POST", "/secrets", secret | {"stringData": {"a": "x" * (3 << 20)}})
            assert (status, body["reason"]) == (413, "RequestEntityTooLarge")
            large = pod(("a", "true"))
            large["spec"]["containers"][0]["env"] = [{"name": "A", "value": "x" * (1700 << 10)}]
            status, body = await api.send("POST", "/pods", large)
            assert (status, body.get("reason"), body["message"]) == (500, None, "etcdserver: request is too large")
        cluster.run(case)

    def test_creating_twice_conflicts_and_a_dry_run_tells_it(self, cluster):
        async def case(api):
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "twice"}, "immutable": True,
                      "stringData": {"a": "1"}}
            assert (await api.send("POST", "/secrets", secret, dryRun="All"))[0] == 201
            assert (await api.send("GET", "/secrets/twice"))[0] == 404
            assert (await api.send("POST", "/secrets", secret))[0] == 201
            for query in ({}, {"dryRun": "All"}):
                status, body = await api.send("POST", "/secrets", secret, **query)
                assert (status, body["reason"]) == (409, "AlreadyExists")
            status, body = await api.send("PUT", "/secrets/twice", secret | {"stringData": {"a": "2"}})
            assert (status, body["details"]["causes"][0]["message"]) == (
                422, "Forbidden: field is immutable when `immutable` is set")
        cluster.run(case)

    def test_a_lease_needs_six_fraction_digits_and_the_right_version(self, cluster):
        async def case(api):
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "slot-0"},
                     "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00Z"}}
            assert (await api.send("POST", api.lease_base, lease))[0] == 400
            lease["spec"]["renewTime"] = "2026-01-01T00:00:00.000000Z"
            status, stored = await api.send("POST", api.lease_base, lease)
            assert status == 201
            stored["spec"]["holderIdentity"] = "b"
            assert (await api.send("PUT", api.lease_base + "/slot-0", stored))[0] == 200
            status, body = await api.send("PUT", api.lease_base + "/slot-0", stored)
            assert (status, body["reason"]) == (409, "Conflict")
        cluster.run(case)

    def test_patches(self, cluster):
        async def case(api):
            stored = await api.create(pod(("a", "sleep 60")))
            name = stored["metadata"]["name"]
            status, changed = await api.patch(f"/pods/{name}", {"metadata": {"annotations": {"k": "v"}}})
            assert (status, changed["metadata"]["annotations"]["k"]) == (200, "v")
            status, _ = await api.patch(f"/pods/{name}", {"metadata": {"resourceVersion": "1", "labels": {"a": "b"}}})
            assert status == 409
            test = [{"op": "test", "path": "/metadata/annotations/k", "value": "other"},
                    {"op": "replace", "path": "/metadata/annotations/k", "value": "w"}]
            assert (await api.patch(f"/pods/{name}", test, JSON_PATCH))[0] == 422
            test[0]["value"] = "v"
            status, changed = await api.patch(f"/pods/{name}", test, JSON_PATCH)
            assert (status, changed["metadata"]["annotations"]["k"]) == (200, "w")
            assert (await api.patch(f"/pods/{name}", {"spec": {"restartPolicy": "Always"}}))[0] == 422
            assert (await api.patch(f"/pods/{name}", {"spec": {"activeDeadlineSeconds": 100}}))[0] == 200
            assert (await api.patch(f"/pods/{name}", {"spec": {"activeDeadlineSeconds": 200}}))[0] == 422
            await api.send("DELETE", f"/pods/{name}", gracePeriodSeconds=0)
        cluster.run(case)

    def test_what_a_pod_owns_goes_with_it(self, cluster):
        async def case(api):
            stored = await api.create(pod(("a", "sleep 60")))
            meta = stored["metadata"]
            owner = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]}
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": meta["name"], "ownerReferences": [owner]}}
            assert (await api.send("POST", "/secrets", secret))[0] == 201
            status, body = await api.send("DELETE", f"/pods/{meta['name']}", {"preconditions": {"uid": "other"}})
            assert (status, body["reason"]) == (409, "Conflict")
            assert (await api.send("DELETE", f"/pods/{meta['name']}", {"gracePeriodSeconds": 0}))[0] == 200
            await asyncio.sleep(0.4)
            assert (await api.send("GET", f"/secrets/{meta['name']}"))[0] == 404
        cluster.run(case)

    def test_lists_are_paged(self, cluster):
        async def case(api):
            for i in range(5):
                config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"page-{i}", "labels": {"p": "1"}}}
                assert (await api.send("POST", "/configmaps", config))[0] == 201
            names, mark = [], ""
            while True:
                query = {"limit": 2, "labelSelector": "p=1"} | ({"continue": mark} if mark else {})
                _, page = await api.send("GET", "/configmaps", **query)
                names += [i["metadata"]["name"] for i in page["items"]]
                mark = page["metadata"].get("continue")
                if not mark:
                    break
            assert names == [f"page-{i}" for i in range(5)]
            status, body = await api.send("GET", "/pods", resourceVersion="99999999")
            assert (status, body["details"]["causes"][0]["reason"]) == (504, "ResourceVersionTooLarge")
        cluster.run(case)


class TestWatch:
    @pytest.mark.parametrize("headers, code", [({}, 403), ({"Origin": "null"}, 403), ({"Origin": "https://a"}, 101)])
    def test_the_origin_decides(self, cluster, headers, code):
        async def case(api):
            version = await api.version()
            url = f"{api.base}/pods?watch=1&resourceVersion={version}"
            try:
                async with api.session.ws_connect(url, headers=headers):
                    assert code == 101
            except aiohttp.WSServerHandshakeError as error:
                assert error.status == code
        cluster.run(case)

    def test_a_403_of_the_handshake_has_no_body(self, cluster):
        async def case(api):
            headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                       "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
            assert await api.send("GET", "/pods", headers=headers, watch="1", resourceVersion="1") == (403, "")
        cluster.run(case)

    def test_one_event_is_one_text_frame_with_a_newline(self, cluster):
        async def case(api):
            async with api.watch(await api.version()) as socket:
                assert "Sec-WebSocket-Protocol" not in socket._response.headers
                await api.create(pod(("a", "true"), name="watched"))
                kinds = []
                while not kinds or kinds[-1][0] != "DELETED":
                    message = await socket.receive(10)
                    assert message.type == aiohttp.WSMsgType.TEXT
                    assert message.data.endswith("}\n") and message.data.count("\n") == 1
                    event = json.loads(message.data)
                    if event["object"]["metadata"]["name"] != "watched":
                        continue
                    kinds.append((event["type"], event["object"]["status"]["phase"]))
                    if kinds[-1][1] == "Succeeded" and event["type"] == "MODIFIED":
                        await api.send("DELETE", "/pods/watched")
                assert kinds[0] == ("ADDED", "Pending")
                assert ("MODIFIED", "Running") in kinds
        cluster.run(case)

    def test_it_resumes_without_a_gap_or_a_double(self, cluster):
        async def case(api):
            version = await api.version()
            stored = await api.create(pod(("a", "true")))
            name = stored["metadata"]["name"]
            await api.ended(name)
            seen = []
            async with api.watch(version, fieldSelector=f"metadata.name={name}") as socket:
                got, _ = await frames(socket, 2)
                seen += [json.loads(g)["object"]["metadata"]["resourceVersion"] for g in got]
            async with api.watch(seen[-1], fieldSelector=f"metadata.name={name}", timeoutSeconds="1") as socket:
                got, code = await frames(socket)
                seen += [json.loads(g)["object"]["metadata"]["resourceVersion"] for g in got]
            assert code == 1000
            assert seen == sorted(set(seen), key=int)
            assert json.loads(got[-1])["object"]["status"]["phase"] == "Succeeded"
        cluster.run(case)

    def test_without_a_websocket_and_with_metadata_only(self, cluster):
        async def case(api):
            partial = {"Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}
            version = await api.version()
            name = (await api.create(pod(("a", "true"))))["metadata"]["name"]
            query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "1"}
            async with api.session.get(api.base + "/pods", params=query, headers=partial) as answer:
                events = [json.loads(line) for line in (await answer.text()).splitlines()]
            assert events[0]["object"]["kind"] == "PartialObjectMetadata"
            assert {e["object"]["metadata"]["name"] for e in events if "status" not in e["object"]} == {name}
        cluster.run(case)

    def test_leaving_the_selection_is_a_deleted(self, cluster):
        async def case(api):
            config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sel", "labels": {"w": "1"}}}
            version = await api.version()
            assert (await api.send("POST", "/configmaps", config))[0] == 201
            async with api.watch(version, "/configmaps", labelSelector="w=1") as socket:
                await api.patch("/configmaps/sel", {"metadata": {"labels": {"w": "2"}}})
                await api.patch("/configmaps/sel", {"metadata": {"labels": {"w": "1"}}})
                got = [json.loads(g) for g in (await frames(socket, 3))[0]]
            assert [g["type"] for g in got] == ["ADDED", "DELETED", "ADDED"]
            assert got[1]["object"]["metadata"]["labels"] == {"w": "1"}
        cluster.run(case)

    def test_an_expired_version_is_an_error_event_then_close_1000(self, cluster):
        async def case(api):
            version = await api.version()
            await api.create(pod(("a", "true"), name="makes-history"))
            await api.control("POST", "compact", {"resource": "pods"})
            async with api.watch(version) as socket:
                got, code = await frames(socket)
            event = json.loads(got[0])
            assert (event["type"], event["object"]["code"], event["object"]["reason"], code) == ("ERROR", 410, "Expired", 1000)
        cluster.run(case)

    def test_bookmarks_and_the_end(self, make_cluster):
        made = make_cluster("--bookmark-seconds", "0.3")

        async def case(api):
            version = await api.version()
            async with api.watch(version, allowWatchBookmarks="true", timeoutSeconds="1") as socket:
                await socket.ping(b"x")
                got, code = await frames(socket)
            assert code == 1000
            assert {json.loads(g)["type"] for g in got} == {"BOOKMARK"}
        made.run(case)

    def test_faults_of_a_watch(self, cluster):
        async def case(api):
            match = {"verb": "watch", "resource": "pods"}
            version = await api.version()
            await api.create(pod(("a", "true")))
            for do, ends in (({"error": {"code": 410, "reason": "Gone"}}, 1000), ({"close_after": {"events": 1}}, 1000),
                             ({"cut_after": {"events": 1}}, None)):
                await api.control("POST", "faults", {"match": match, "do": do})
                async with api.watch(version) as socket:
                    got, code = await frames(socket)
                assert (len(got), code) == (1, ends)
            await api.control("POST", "faults", {"match": match, "do": {"silent_after": {"events": 1}}})
            async with api.watch(version) as socket:
                await frames(socket, 1)
                await socket.ping()
                with pytest.raises(asyncio.TimeoutError):
                    await socket.receive(0.5)
            async with api.watch(version) as socket:
                await frames(socket, 1)
                hit = await api.control("POST", "streams", {"do": "close", "match": {"verb": "watch"}})
                assert hit["streams"] >= 1
                assert (await frames(socket))[1] == 1000
        cluster.run(case)


class TestPods:
    def test_two_containers_share_memory_and_start_in_order(self, cluster):
        async def case(api):
            hook = {"postStart": {"exec": {"command": ["sh", "-c", "sleep 0.3; date +%s%N > /m/hook"]}}}
            mount = {"volumeMounts": [{"name": "m", "mountPath": "/m"}]}
            stored = await api.create(pod(
                shell("courier", "while [ ! -e /m/build ]; do sleep 0.05; done; cat /m/hook /m/build", lifecycle=hook, **mount),
                shell("build", "date +%s%N > /m/build.new; mv /m/build.new /m/build; stat -fc %T /m; exit 3", **mount),
                volumes=[{"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}]))
            name = stored["metadata"]["name"]
            last = await api.ended(name)
            _, text = await api.text(name, container="courier")
            hook_end, build_start = map(int, text.split())
            assert hook_end < build_start
            assert (await api.text(name, container="build"))[1] == b"tmpfs\n"
            assert last["status"]["phase"] == "Failed"
            assert state_of(last, "build")["terminated"]["exitCode"] == 3
            assert [c["name"] for c in last["status"]["containerStatuses"]] == ["build", "courier"]
        cluster.run(case)

    def test_nothing_is_seen_before_the_start_pass_is_over(self, cluster):
        async def case(api):
            slow = {"postStart": {"exec": {"command": ["sleep", "1.2"]}}}
            stored = await api.create(pod(shell("courier", "echo hi; sleep 60", lifecycle=slow), ("build", "sleep 60")))
            name = stored["metadata"]["name"]
            await asyncio.sleep(0.9)
            assert "waiting" in state_of(await api.pod(name), "courier")
            status, text = await api.text(name, container="courier")
            assert status == 400 and b"is waiting to start: ContainerCreating" in text
            begun = time.monotonic()
            assert (await api.send("DELETE", f"/pods/{name}", {"gracePeriodSeconds": 0 + 1}))[0] == 200
            await api.until(name, lambda p: p.get("code") == 404)
            assert time.monotonic() - begun > 0.25
        cluster.run(case)

    def test_a_failing_hook_ends_its_container_and_the_next_one_starts(self, cluster):
        async def case(api):
            hook = {"postStart": {"exec": {"command": ["sh", "-c", "echo no; exit 3"]}}}
            stored = await api.create(pod(shell("courier", "trap 'exit 0' TERM; while :; do sleep 0.05; done", lifecycle=hook),
                                          ("build", "echo ran"), terminationGracePeriodSeconds=2))
            name, uid = stored["metadata"]["name"], stored["metadata"]["uid"]
            last = await api.ended(name)
            assert last["status"]["phase"] == "Succeeded"
            assert (await api.text(name, container="build"))[1] == b"ran\n"
            assert "FailedPostStartHook" in [e["reason"] for e in await api.events(uid)]
        cluster.run(case)

    def test_an_absent_image_never_becomes_terminal(self, cluster):
        async def case(api):
            stored = await api.create(pod(dict(shell("courier", "x"), image="absent/courier:1"), ("build", "/s/step")))
            name, uid = stored["metadata"]["name"], stored["metadata"]["uid"]
            found = await api.until(name, lambda p: state_of(p, "courier").get("waiting", {}).get("reason") == "ImagePullBackOff")
            assert found["status"]["phase"] == "Pending"
            reasons = [(e["reason"], e["message"]) for e in await api.events(uid)]
            assert ("Failed", "Error: ErrImagePull") in reasons
            status, text = await api.text(name, container="courier")
            assert status == 400 and b"trying and failing to pull image" in text
            await api.send("DELETE", f"/pods/{name}", gracePeriodSeconds=0)
        cluster.run(case)

    @pytest.mark.parametrize("command, words", [
        (["/s/step"], "stat /s/step: no such file or directory"), (["nothing-like-it"], "executable file not found in $PATH"),
        (["/etc/passwd"], "permission denied"),
    ])
    def test_a_command_that_cannot_run_is_a_start_error(self, cluster, command, words):
        async def case(api):
            stored = await api.create(pod({"name": "a", "image": "x:1", "command": command}))
            ended = state_of(await api.ended(stored["metadata"]["name"]), "a")["terminated"]
            assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
            assert words in ended["message"]
        cluster.run(case)

    def test_one_environment_string_over_the_limit_cannot_start(self, cluster):
        async def case(api):
            big = shell("a", "true", env=[{"name": "A", "value": "x" * (128 << 10)}])
            ended = state_of(await api.ended((await api.create(pod(big)))["metadata"]["name"]), "a")["terminated"]
            assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
            assert "argument list too long" in ended["message"]
        cluster.run(case)

    def test_deletion_reaches_all_at_once_with_the_grace(self, cluster):
        async def case(api):
            script = "trap 'date +%s%N >> /m/term; sleep 0.3; exit 0' TERM; echo up; while :; do sleep 0.02; done"
            mount = {"volumeMounts": [{"name": "m", "mountPath": "/m"}]}
            stored = await api.create(pod(shell("a", script, **mount), shell("b", script, **mount), ("c", "trap '' TERM; sleep 99"),
                                          volumes=[{"name": "m", "hostPath": {"path": str(cluster.log.parent / "term")}}]))
            name = stored["metadata"]["name"]
            await api.running(name)
            begun = time.monotonic()
            status, gone = await api.send("DELETE", f"/pods/{name}", {"gracePeriodSeconds": 2})
            assert (status, gone["metadata"]["deletionGracePeriodSeconds"]) == (200, 2)
            await api.until(name, lambda p: p.get("code") == 404)
            assert 1.9 < time.monotonic() - begun < 3.5
            first, second = sorted(map(int, (cluster.log.parent / "term/term").read_text().split()))
            assert second - first < 100e6
        cluster.run(case)

    def test_the_deadline_ends_the_pod(self, cluster):
        async def case(api):
            stored = await api.create(pod(("a", "exec sleep 60"), activeDeadlineSeconds=1, terminationGracePeriodSeconds=1))
            last = await api.ended(stored["metadata"]["name"])
            assert (last["status"]["phase"], last["status"]["reason"]) == ("Failed", "DeadlineExceeded")
            assert (await api.text(stored["metadata"]["name"]))[0] == 200
        cluster.run(case)

    def test_termination_message_is_the_end_of_the_file_then_the_start_of_that(self, cluster):
        async def case(api):
            script = "for i in $(seq 1 2000); do printf '%04d ' $i; done > /dev/termination-log"
            stored = await api.create(pod(*[(f"c{i}", script) for i in range(4)]))
            last = await api.ended(stored["metadata"]["name"])
            message = state_of(last, "c0")["terminated"]["message"]
            assert len(message) == 3072
            assert message.startswith(("".join(f"{i:04d} " for i in range(1, 2001)))[-4096:][:20])
        cluster.run(case)

    def test_a_missing_secret_holds_the_pod_and_is_seen_in_events_only(self, cluster):
        async def case(api):
            stored = await api.create(pod(
                shell("a", "cat /p/plan; readlink /p/plan; stat -Lc %a /p/plan; touch /p/x", volumeMounts=[
                    {"name": "p", "mountPath": "/p"}]),
                volumes=[{"name": "p", "secret": {"secretName": "late", "defaultMode": 256, "items": [
                    {"key": "plan", "path": "plan"}]}}]))
            name, uid = stored["metadata"]["name"], stored["metadata"]["uid"]
            await asyncio.sleep(0.3)
            assert state_of(await api.pod(name), "a") == {"waiting": {"reason": "ContainerCreating"}}
            assert 'secret "late" not found' in [e for e in await api.events(uid) if e["reason"] == "FailedMount"][0]["message"]
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "late"}, "stringData": {"plan": "hello\n"}}
            assert (await api.send("POST", "/secrets", secret))[0] == 201
            last = await api.ended(name)
            assert last["status"]["phase"] == "Failed"
            text = (await api.text(name))[1].decode()
            assert text.startswith("hello\n..data/plan\n400\n") and "Read-only file system" in text
        cluster.run(case)

    def test_the_annotation_file_follows_a_patch(self, cluster):
        async def case(api):
            made = pod(shell("a", "while ! grep -q cancel /o/order; do sleep 0.02; done; date +%s%N", volumeMounts=[
                {"name": "o", "mountPath": "/o"}]),
                volumes=[{"name": "o", "downwardAPI": {"items": [
                    {"path": "order", "fieldRef": {"fieldPath": "metadata.annotations['dataops-runner/order']"}}]}}])
            made["metadata"]["annotations"] = {"dataops-runner/order": ""}
            name = (await api.create(made))["metadata"]["name"]
            await api.running(name)
            begun = time.time_ns()
            await api.patch(f"/pods/{name}", {"metadata": {"annotations": {"dataops-runner/order": "cancel"}}})
            await api.ended(name)
            assert int((await api.text(name))[1]) - begun < 5e9, "not before the kubelet looked by itself, a minute later"
        cluster.run(case)

    def test_users_groups_capabilities(self, cluster):
        async def case(api):
            script = "id -u; id -g; id -G; grep CapEff /proc/self/status; grep NoNewPrivs /proc/self/status; stat -c '%a %g' /v"
            mount = [{"name": "v", "mountPath": "/v"}]
            drop = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}}
            stored = await api.create(pod(
                shell("root", script, securityContext={"runAsUser": 0} | drop, volumeMounts=mount),
                shell("user", script, securityContext={"runAsGroup": 6}, volumeMounts=mount),
                securityContext={"runAsUser": 4711, "fsGroup": 7000}, volumes=[{"name": "v", "emptyDir": {}}]))
            name = stored["metadata"]["name"]
            await api.ended(name)
            root = (await api.text(name, container="root"))[1].decode().splitlines()
            user = (await api.text(name, container="user"))[1].decode().splitlines()
            assert root[0] == "0" and root[3] == "CapEff:\t0000000000000001" and root[4] == "NoNewPrivs:\t1"
            assert user[:3] == ["4711", "6", "6 7000"] and user[3] == "CapEff:\t0000000000000000"
            assert user[5] == "2777 7000"
        cluster.run(case)

    def test_run_as_non_root_with_a_root_image_is_a_config_error(self, cluster):
        async def case(api):
            stored = await api.create(pod(("a", "true"), securityContext={"runAsNonRoot": True}))
            name = stored["metadata"]["name"]
            found = await api.until(name, lambda p: "reason" in state_of(p, "a").get("waiting", {}) and state_of(
                p, "a")["waiting"]["reason"] == "CreateContainerConfigError")
            assert state_of(found, "a")["waiting"]["message"] == "container has runAsNonRoot and image will run as root"
            await api.send("DELETE", f"/pods/{name}", gracePeriodSeconds=0)
        cluster.run(case)

    def test_a_container_is_alone_in_its_namespaces_on_a_private_root(self, cluster):
        async def case(api):
            stored = await api.create(pod(
                ("a", "echo $$$$; ls /proc | grep -c '^[0-9]'; touch /etc/mine && ls /etc/mine; ls -A /tmp /root | wc -l; "
                      "cat /proc/1/comm; hostname"),
                shell("ro", "touch /etc/mine", securityContext={"readOnlyRootFilesystem": True})))
            name = stored["metadata"]["name"]
            last = await api.ended(name)
            lines = (await api.text(name, container="a"))[1].decode().splitlines()
            assert lines[0] == "1" and int(lines[1]) < 6 and lines[2] == "/etc/mine" and lines[-1] == name
            assert not Path("/etc/mine").exists()
            assert state_of(last, "ro")["terminated"]["exitCode"] != 0
        cluster.run(case)

    def test_a_memory_limit_kills_and_says_oomkilled(self, cluster):
        if not cluster.info["memory_limits"]:
            pytest.fail("this machine lets no memory control group be made; the case needs one")

        async def case(api):
            hog = "head -c 200M /dev/zero | tail > /dev/null; echo $? $(cat /sys/fs/cgroup/memory*/memory.oom_control " \
                  "/sys/fs/cgroup/memory.events 2>/dev/null | grep '^oom_kill '); exit 0"
            name = (await api.create(pod(shell("a", hog, resources={"limits": {"memory": "32Mi"}}))))["metadata"]["name"]
            ended = state_of(await api.ended(name), "a")["terminated"]
            assert ended["reason"] == "OOMKilled"
            assert (await api.text(name))[1].decode().split()[-2:] == ["oom_kill", "1"] or ended["exitCode"] == 137
        cluster.run(case)

    def test_previous_instances(self, cluster):
        async def case(api):
            name = (await api.create(pod(shell("a", "echo $$HOSTNAME-$$(date +%s%N); sleep 0.5; exit 1"),
                                         restartPolicy="OnFailure")))["metadata"]["name"]
            await api.until(name, lambda p: p["status"].get("containerStatuses", [{}])[0].get("restartCount") == 1
                            and "running" in state_of(p, "a"))
            first = (await api.text(name, previous="true"))[1]
            second = (await api.text(name))[1]
            assert first and second and first != second
            await api.send("DELETE", f"/pods/{name}", gracePeriodSeconds=0)
        cluster.run(case)

    def test_claims_and_host_paths(self, cluster):
        async def case(api):
            claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "cache"},
                     "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
            made = pod(shell("a", "cat /c/kept 2>/dev/null; echo kept > /c/kept", volumeMounts=[{"name": "c", "mountPath": "/c"}]),
                       volumes=[{"name": "c", "persistentVolumeClaim": {"claimName": "cache"}}])
            stored = await api.create(made)
            name = stored["metadata"]["name"]
            found = await api.until(name, lambda p: p["status"].get("conditions"))
            assert found["status"]["conditions"][0]["reason"] == "Unschedulable"
            assert (await api.text(name)) == (204, b"")
            assert (await api.send("POST", "/persistentvolumeclaims", claim))[0] == 201
            await api.ended(name)
            made["metadata"]["name"] += "-again"
            await api.create(made)
            await api.ended(name + "-again")
            assert (await api.text(name + "-again"))[1] == b"kept\n"
        cluster.run(case)

    def test_a_finalizer_keeps_the_object(self, cluster):
        async def case(api):
            made = pod(("a", "exec sleep 60"))
            made["metadata"]["finalizers"] = ["test/keep"]
            name = (await api.create(made))["metadata"]["name"]
            await api.running(name)
            await api.send("DELETE", f"/pods/{name}", {"gracePeriodSeconds": 1})
            await api.until(name, lambda p: "terminated" in state_of(p, "a"))
            await asyncio.sleep(0.3)
            assert (await api.pod(name))["metadata"]["finalizers"]
            await api.patch(f"/pods/{name}", {"metadata": {"finalizers": None}})
            assert (await api.pod(name))["code"] == 404
        cluster.run(case)


class TestLogs:
    def test_frames(self, cluster):
        async def case(api):
            stored = await api.create(pod(("a", "sleep 0.4; head -c 5000 /dev/zero | tr '\\0' x; echo; sleep 0.2; printf end")))
            name = stored["metadata"]["name"]
            await api.running(name)
            async with api.follow(name) as socket:
                assert socket.protocol == "binary.k8s.io"
                got, code = await frames(socket)
            assert got[0] == b"" and code == 1000
            assert max(map(len, got)) == 2048
            assert b"".join(got) == b"x" * 5000 + b"\nend"
        cluster.run(case)

    def test_the_file_is_what_containerd_writes(self, cluster):
        async def case(api):
            stored = await api.create(pod(("a", r"printf 'a\r\nb\r\r\n'; head -c 16385 /dev/zero | tr '\0' y; echo; "
                                                r"printf 'err\n' >&2; sleep 0.1; printf 'open'")))
            name = stored["metadata"]["name"]
            await api.ended(name)
            path = [c for c in await api.control("GET", "containers") if c["pod"] == name][0]["log"]
            lines = [line.split(b" ", 3) for line in Path(path).read_bytes().split(b"\n")[:-1]]
            out = [(li[2], li[3]) for li in lines if li[1] == b"stdout"]
            assert out == [(b"F", b"a"), (b"F", b"b\r"), (b"P", b"y" * 16384), (b"F", b"y"), (b"P", b"open")]
            assert [li[3] for li in lines if li[1] == b"stderr"] == [b"err"]
            assert (await api.text(name))[1] in (b"a\nb\r\n" + b"y" * 16385 + b"\nerr\nopen",
                                                 b"err\na\nb\r\n" + b"y" * 16385 + b"\nopen",
                                                 b"a\nb\r\n" + b"y" * 16384 + b"err\ny\nopen")
        cluster.run(case)

    def test_parameters(self, cluster):
        async def case(api):
            stored = await api.create(pod(("a", "seq 1 5; sleep 2.1; seq 6 7"), ("b", "true")))
            name = stored["metadata"]["name"]
            last = await api.ended(name)
            assert (await api.text(name, container="a", tailLines=2))[1] == b"6\n7\n"
            assert (await api.text(name, container="a", limitBytes=3))[1] == b"1\n2"
            stamped = (await api.text(name, container="a", timestamps="true"))[1].splitlines()
            stamp = stamped[5].split()[0].decode()
            assert len(stamp) == 30 and stamp.endswith("Z")
            assert (await api.text(name, container="a", sinceTime=stamp))[1] == b"6\n7\n"
            assert (await api.text(name, container="a", sinceTime=stamp, sinceSeconds=1))[0] == 422
            assert (await api.text(name, container="a", sinceTime="yesterday"))[0] == 400
            assert (await api.text(name, container="a", tailLines=-1))[0] == 422
            status, text = await api.text(name)
            assert status == 400 and b"choose one of: [a b]" in text
            assert (await api.text(name, container="c"))[0] == 400
            assert (await api.text("no-such-pod"))[0] == 404
            async with api.session.get(f"{api.base}/pods/{name}/log?container=a", headers={"Accept": "text/plain"}) as answer:
                assert answer.status == 406
            assert last["status"]["phase"] == "Succeeded"
        cluster.run(case)

    def test_only_the_newest_file_is_readable(self, cluster):
        async def case(api):
            script = "sleep 0.7; head -c 1500000 /dev/zero | tr '\\0' x | fold -w 1000; sleep 0.8; echo new; sleep 60"
            name = (await api.create(pod(("a", script))))["metadata"]["name"]
            await api.until(name, lambda p: p["status"]["phase"] == "Running")
            async with api.follow(name) as socket:
                total = b""
                while not total.endswith(b"new\n"):
                    total += (await socket.receive(10)).data
            assert len(total) > 1500000
            newest = (await api.text(name))[1]
            assert total.endswith(newest) and newest.endswith(b"new\n") and len(newest) < 1100000
            await api.send("DELETE", f"/pods/{name}", gracePeriodSeconds=0)
        cluster.run(case)

    def test_a_follower_past_the_limit_gets_what_is_there_and_the_kubelets_words(self, cluster):
        async def case(api):
            name = (await api.create(pod(("a", "echo one; sleep 60"))))["metadata"]["name"]
            await api.running(name)
            await api.control("POST", "settings", {"followers_most": 1})
            try:
                async with api.follow(name) as first:
                    await first.receive(10)  # the empty frame
                    assert (await first.receive(10)).data == b"one\n"
                    async with api.follow(name) as second:
                        got, code = await frames(second)
                    assert (b"".join(got), code) == (b"one\nfailed to create fsnotify watcher: too many open files", 1000)
                    assert await api.text(name) == (200, b"one\n")
                await asyncio.sleep(0.3)
                async with api.follow(name) as third:  # the first gave its place back
                    await third.receive(10)
                    assert (await third.receive(10)).data == b"one\n"
                    with pytest.raises(asyncio.TimeoutError):
                        await third.receive(0.3)
            finally:
                await api.control("POST", "settings", {"followers_most": 0})
            await api.send("DELETE", f"/pods/{name}", gracePeriodSeconds=0)
        cluster.run(case)

    def test_damage_on_the_way_and_in_the_file(self, cluster):
        async def case(api):
            whole = b"".join(b"line %d\n" % i for i in range(100))
            match = {"verb": "get", "subresource": "log"}
            name = (await api.create(pod(("a", "seq -f 'line %g' 0 99"))))["metadata"]["name"]
            await api.ended(name)
            edits = [{"kind": "drop", "at": 10, "bytes": 5}, {"kind": "double", "at": 100, "bytes": 7},
                     {"kind": "replace", "at": 200, "bytes": 3, "with": "#"}]
            await api.control("POST", "faults", {"match": match, "do": {"damage": edits}})
            async with api.follow(name) as socket:
                got = b"".join((await frames(socket))[0])
            assert got == whole[:10] + whole[15:107] + whole[100:200] + b"###" + whole[203:]
            await api.control("POST", "faults", {"match": match, "do": {"lose_last": True}})
            async with api.follow(name) as socket:
                got, code = await frames(socket)
            assert code == 1000 and len(b"".join(got)) < len(whole)
            assert (await api.text(name))[1] == whole
            await api.control("POST", "faults", {"match": match, "do": {"body_text": "failed to create fsnotify watcher"}})
            assert await api.text(name) == (200, b"failed to create fsnotify watcher")
            await api.control("POST", "logfile", {"do": "drop_lines", "skip": 2, "count": 1, "pod": "holed"})
            await api.create(pod(("a", "seq 1 5"), name="holed"))
            await api.ended("holed")
            assert (await api.text("holed"))[1] == b"1\n2\n4\n5\n"
        cluster.run(case)

    def test_output_of_many_kinds_arrives_whole(self, cluster):
        async def case(api):
            script = "seq 1 100000; head -c 1000000 /dev/urandom > /tmp/r; base64 /tmp/r"
            await api.control("POST", "settings", {"log_bytes": 1 << 30})
            name = (await api.create(pod(("a", script))))["metadata"]["name"]
            await api.running(name)
            async with api.follow(name) as socket:
                followed = b"".join((await frames(socket))[0])
            await api.control("POST", "settings", {"log_bytes": 1 << 20})
            await api.ended(name)
            assert followed == (await api.text(name))[1]
            assert followed.startswith(b"".join(b"%d\n" % i for i in range(1, 100001)))
        cluster.run(case)


class TestFaults:
    def test_answers_in_place_of_the_real_one(self, cluster):
        async def case(api):
            async def fault(do, **match):
                await api.control("POST", "faults", {"match": match or {"verb": "list", "resource": "pods"}, "do": do})
            await fault({"text": {"code": 429, "body": "Too many requests, please try again later.", "retry_after_s": 1}})
            async with api.session.get(api.base + "/pods") as answer:
                assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
                assert await answer.text() == "Too many requests, please try again later."
            await fault({"status": {"code": 500, "message": "etcdserver: leader changed"}})
            status, body = await api.send("GET", "/pods")
            assert (status, "reason" in body) == (500, False)
            await api.control("POST", "faults", {"match": {"resource": "pods"}, "do": {"cut": True}, "times": 2})
            with pytest.raises(aiohttp.ClientError):
                async with api.session.get(api.base + "/pods", headers={"Connection": "close"}):
                    pass
            assert (await api.send("GET", "/pods"))[0] == 200
        cluster.run(case)

    def test_a_create_whose_answer_is_lost_was_stored(self, cluster):
        async def case(api):
            await api.control("POST", "faults", {"match": {"verb": "create", "resource": "pods"}, "do": {"lose_answer": True}})
            with pytest.raises(aiohttp.ClientError):
                await api.send("POST", "/pods", pod(("a", "true"), name="lost"))
            assert (await api.pod("lost"))["metadata"]["name"] == "lost"
        cluster.run(case)

    def test_refusals_of_quota(self, cluster):
        async def case(api):
            await api.control("POST", "refusals", {"match": {"resource": "pods"}, "message": "exceeded quota: q, requested: pods=1"})
            status, body = await api.send("POST", "/pods", pod(("a", "true"), name="quota"))
            assert (status, body["message"]) == (403, 'pods "quota" is forbidden: exceeded quota: q, requested: pods=1')
            assert (await api.send("POST", "/pods", pod(("a", "true"), name="quota")))[0] == 201
        cluster.run(case)

    def test_orders_to_the_node(self, cluster):
        async def case(api):
            for order, test in (({"do": "kill"}, lambda t: t["exitCode"] == 137 and t["reason"] == "Error"),
                                ({"do": "oom"}, lambda t: t["exitCode"] == 137 and t["reason"] == "OOMKilled")):
                name = (await api.create(pod(("a", "sleep 60"))))["metadata"]["name"]
                await api.running(name)
                await api.control("POST", "kubelet", order | {"pod": name})
                assert test(state_of(await api.ended(name), "a")["terminated"])
            name = (await api.create(pod(("a", "exec sleep 60"), terminationGracePeriodSeconds=1)))["metadata"]["name"]
            await api.running(name)
            await api.control("POST", "kubelet", {"do": "evict", "pod": name, "condition": "EvictionByEvictionAPI"})
            last = await api.ended(name)
            assert last["status"]["reason"] == "Evicted"
            assert "DisruptionTarget" in [c["type"] for c in last["status"]["conditions"]]
            await api.control("POST", "kubelet", {"do": "refuse_next", "reason": "OutOfpods"})
            name = (await api.create(pod(("a", "true"))))["metadata"]["name"]
            last = await api.ended(name)
            assert (last["status"]["reason"], "containerStatuses" in last["status"]) == ("OutOfpods", False)
        cluster.run(case)

    @pytest.mark.parametrize("kind, words", [("expired", "expired"), ("wrong-name", "doesn't match|not valid"),
                                             ("foreign", "verify failed")])
    def test_wrong_certificates(self, cluster, kind, words):
        async def case(api):
            await api.control("POST", "tls", {"certificate": kind})
            connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=cluster.info["ca"]))
            async with aiohttp.ClientSession(connector=connector) as session:
                with pytest.raises(aiohttp.ClientError, match=words):
                    await session.get(api.base + "/pods")
            await api.control("POST", "tls", {"certificate": "good"})
        cluster.run(case)

    def test_an_outage_resets_and_refuses_then_ends(self, cluster):
        async def case(api):
            name = (await api.create(pod(("a", "exec sleep 60"))))["metadata"]["name"]
            await api.running(name)
            async with api.watch(await api.version()) as socket:
                await api.control("POST", "outage", {"seconds": 0.7})
                assert (await socket.receive(5)).type in (aiohttp.WSMsgType.ERROR, aiohttp.WSMsgType.CLOSED)
            with pytest.raises(aiohttp.ClientConnectorError):
                await api.version()
            await asyncio.sleep(1)
            assert (await api.pod(name))["status"]["phase"] == "Running"
        cluster.run(case)

    def test_a_watcher_that_does_not_read_is_cut_off(self, cluster):
        async def case(api):
            await api.control("POST", "settings", {"watch_buffer_events": 10})
            version = await api.version()
            async with api.watch(version, "/configmaps") as socket:
                socket._response.connection.transport.pause_reading()
                for i in range(80):
                    config = {"metadata": {"name": f"big-{i}"}, "data": {"a": "x" * 300_000}}
                    assert (await api.send("POST", "/configmaps", config))[0] == 201
                socket._response.connection.transport.resume_reading()
                got, code = await frames(socket)
            await api.control("POST", "settings", {"watch_buffer_events": 1000})
            assert (0 < len(got) < 80, code) == (True, 1000)
        cluster.run(case)

    def test_requests_are_counted(self, cluster):
        async def case(api):
            before = time.time()
            await api.send("GET", "/configmaps")
            await api.send("GET", "/configmaps/none")
            found = await api.control("GET", "requests", user=cluster.info["user"], resource="configmaps", since=before)
            assert [(r["verb"], r["code"]) for r in found["requests"]] == [("list", 200), ("get", 404)]
        cluster.run(case)


class TestAdmission:
    def test_pod_security_restricted(self, cluster):
        async def case(api):
            namespace = {"metadata": {"name": "strict", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
            assert (await api.send("POST", api.url + "/api/v1/namespaces", namespace))[0] == 201
            url = api.url + "/api/v1/namespaces/strict/pods"
            status, body = await api.send("POST", url, pod(("a", "true"), name="loose"))
            assert (status, body["message"]) == (
                403, 'pods "loose" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false '
                     '(container "a" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities '
                     '(container "a" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or '
                     'container "a" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "a" must '
                     'set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")')
            fine = shell("a", "true", securityContext={"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}})
            status, body = await api.send("POST", url, pod(fine, securityContext={
                "runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}))
            assert status == 201, body
        cluster.run(case)

    @pytest.mark.parametrize("spec, words", [
        ({"serviceAccountName": "nobody"}, 'serviceaccount "nobody" not found'),
        ({"priorityClassName": "high"}, "no PriorityClass with name high was found"),
        ({"runtimeClassName": "gvisor"}, 'RuntimeClass "gvisor" not found'),
    ])
    def test_what_a_pod_names_must_exist(self, cluster, spec, words):
        async def case(api):
            status, body = await api.send("POST", "/pods", pod(("a", "true"), **spec))
            assert status == 403 and words in body["message"]
        cluster.run(case)


class TestImages:
    def test_a_login_comes_from_the_pull_secret(self, cluster):
        async def case(api):
            await api.control("POST", "images", {"name": "registry.test/*", "login": "me:secret"})
            image = dict(shell("a", "true"), image="registry.test/app:1")
            made = pod(image, imagePullSecrets=[{"name": "pull"}])
            stored = await api.create(made)
            name, uid = stored["metadata"]["name"], stored["metadata"]["uid"]
            await api.until(name, lambda p: state_of(p, "a").get("waiting", {}).get("reason") == "ImagePullBackOff")
            assert "FailedToRetrieveImagePullSecret" in [e["reason"] for e in await api.events(uid)]
            auths = {"auths": {"registry.test": {"username": "me", "password": "secret"}}}
            secret = {"metadata": {"name": "pull"}, "type": "kubernetes.io/dockerconfigjson",
                      "stringData": {".dockerconfigjson": json.dumps(auths)}}
            assert (await api.send("POST", "/secrets", secret))[0] == 201
            made["metadata"]["name"] += "-again"
            await api.create(made)
            assert (await api.ended(name + "-again"))["status"]["phase"] == "Succeeded"
            await api.send("DELETE", f"/pods/{name}", gracePeriodSeconds=0)
        cluster.run(case)

    def test_an_empty_dir_over_its_limit_evicts(self, make_cluster):
        made = make_cluster("--usage-check-seconds", "0.3")

        async def case(api):
            fill = shell("a", "head -c 3000000 /dev/zero > /v/big; exec sleep 60", volumeMounts=[{"name": "v", "mountPath": "/v"}])
            name = (await api.create(pod(fill, volumes=[{"name": "v", "emptyDir": {"sizeLimit": "2Mi"}}])))["metadata"]["name"]
            last = await api.ended(name)
            assert last["status"]["reason"] == "Evicted"
            assert last["status"]["message"] == 'Usage of EmptyDir volume "v" exceeds the limit "2Mi". '
        made.run(case)

    def test_pulls_take_their_time_and_hold_up_deletion(self, cluster):
        async def case(api):
            await api.control("POST", "images", {"name": "slow/*", "pull_s": 1.5})
            stored = await api.create(pod(("courier", "sleep 60"), dict(shell("build", "sleep 60"), image="slow/image:1")))
            name = stored["metadata"]["name"]
            await asyncio.sleep(0.7)
            begun = time.monotonic()
            await api.send("DELETE", f"/pods/{name}", {"gracePeriodSeconds": 1})
            assert "waiting" in state_of(await api.pod(name), "courier")
            await api.until(name, lambda p: p.get("code") == 404)
            assert time.monotonic() - begun > 1
        cluster.run(case)

    def test_another_root_by_the_table(self, cluster, tmp_path):
        root = tmp_path / "root"
        (root / "bin").mkdir(parents=True)
        subprocess.run(["cc", "-static", "-x", "c", "-o", root / "bin/sh", "-"], check=True, text=True,
                       input='#include <stdio.h>\n#include <unistd.h>\nint main(void) { return printf("other %d\\n", getuid()) < 0; }')

        async def case(api):
            await api.control("POST", "images", {"name": "other/*", "root": str(root), "user": "65532", "cmd": ["/bin/sh"]})
            name = (await api.create(pod({"name": "a", "image": "other/one:1"},
                                         {"name": "b", "image": "other/one:1", "command": ["/bin/ls"]})))["metadata"]["name"]
            last = await api.ended(name)
            assert (await api.text(name, container="a"))[1] == b"other 65532\n"
            assert state_of(last, "b")["terminated"]["reason"] == "StartError"
        cluster.run(case)

    def test_without_overlays_the_usual_places_are_writable(self, make_cluster):
        made = make_cluster("--no-overlay")
        assert "overlayfs is not possible here" in made.log.read_text()

        async def case(api):
            script = "for d in /etc /tmp /var/tmp /run /root /home; do touch $d/mine || echo no $d; done; " \
                     "touch /usr/mine 2>&1; git --version"
            name = (await api.create(pod(shell("a", script, volumeMounts=[{"name": "b", "mountPath": "/new/builds"}]),
                                         volumes=[{"name": "b", "emptyDir": {}}])))["metadata"]["name"]
            await api.ended(name)
            text = (await api.text(name))[1].decode()
            assert "git version" in text and "no /" not in text.replace("directory", "") and "Read-only file system" in text
        made.run(case)

    def test_helper_programs_appear_in_helper_images_only(self, make_cluster, tmp_path):
        program = tmp_path / "bin/dataops-courier"
        program.parent.mkdir()
        program.write_text("#!/bin/sh\necho courier here\n")
        program.chmod(0o755)
        made = make_cluster("--helper-bin", str(program.parent))

        async def case(api):
            name = (await api.create(pod({"name": "a", "image": "x/dataops-runner:1", "command": ["dataops-courier"]},
                                         {"name": "b", "image": "x/other:1", "command": ["dataops-courier"]})))["metadata"]["name"]
            last = await api.ended(name)
            assert (await api.text(name, container="a"))[1] == b"courier here\n"
            assert state_of(last, "b")["terminated"]["reason"] == "StartError"
        made.run(case)

    def test_forty_pods_at_once(self, cluster):
        async def case(api):
            begun = time.monotonic()
            names = [(await api.create(pod(("courier", f"echo {i}; sleep 1"), ("build", "true"))))["metadata"]["name"]
                     for i in range(40)]
            for name in names:
                await api.ended(name, 40)
            assert time.monotonic() - begun < 20
            for i, name in enumerate(names):
                assert (await api.text(name, container="courier"))[1] == b"%d\n" % i
        cluster.run(case)
