"""A few lines of Python that behave like a runner, to try the DataOps stand-in itself."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
import uuid
import zlib

FEATURES = {"cancel_gracefully": True, "upload_multiple_artifacts": True, "refspecs": True, "artifacts_exclude": True,
            "multi_build_steps": True, "return_exit_code": True, "fallback_cache_keys": True}


class Answer:
    def __init__(self, status: int, headers, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args, **_kwargs):  # noqa: D102
        return None


class FakeRunner:
    def __init__(self, info: dict, token: str = "", system_id: str = "s_0123456789ab", features: dict | None = None):
        self.info, self.token, self.system_id = info, token, system_id
        self.features = FEATURES if features is None else features
        self.last_update = ""
        context = ssl.create_default_context(cafile=info["ca_path"]) if info["ca_path"] else None
        self._opener = urllib.request.build_opener(NoRedirect, urllib.request.HTTPSHandler(context=context))

    def send(self, method: str, path: str, body=None, headers: dict | None = None, base: str = "") -> Answer:
        data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        url = (base or self.info["url"] + "/api/v4") + path
        sent = {"Content-Type": "application/json", "X-Request-Id": uuid.uuid4().hex, **(headers or {})}
        request = urllib.request.Request(url, data=data, method=method, headers=sent)
        try:
            with self._opener.open(request, timeout=30) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as answer:
            return Answer(answer.code, answer.headers, answer.read())

    def register(self, registration_token: str, **attributes) -> Answer:
        answer = self.send("POST", "/runners", {"token": registration_token, "info": {}, **attributes})
        if answer.status == 201:
            self.token = answer.json["token"]
        return answer

    def poll(self) -> Answer:
        body = {"token": self.token, "system_id": self.system_id, "info": {"features": self.features}}
        if self.last_update:
            body["last_update"] = self.last_update
        answer = self.send("POST", "/jobs/request", body)
        self.last_update = answer.headers.get("X-GitLab-Last-Update") or self.last_update
        return answer

    def patch(self, job: dict, data: bytes, first: int, **headers: str) -> Answer:
        content_range = f"{first}-{first + len(data) - 1}"
        return self.send("PATCH", f"/jobs/{job['id']}/trace", data,
                         {"Job-Token": job["token"], "Content-Range": content_range, "Content-Type": "text/plain", **headers})

    def update(self, job: dict, state: str, trace: bytes = b"", **more) -> Answer:
        checksum = f"crc32:{zlib.crc32(trace):08x}"
        return self.send("PUT", f"/jobs/{job['id']}", {"token": job["token"], "state": state, "checksum": checksum,
                                                       "output": {"checksum": checksum, "bytesize": len(trace)}, **more})

    def upload(self, job: dict, data: bytes, filename: str = "a.zip", **query: str) -> Answer:
        edge = "boundary1234"
        body = (f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
                "Content-Type: application/octet-stream\r\n\r\n").encode() + data + f"\r\n--{edge}--\r\n".encode()
        where = "&".join(f"{k}={v}" for k, v in query.items())
        return self.send("POST", f"/jobs/{job['id']}/artifacts?{where}", body,
                         {"Job-Token": job["token"], "Content-Type": f"multipart/form-data; boundary={edge}"})
