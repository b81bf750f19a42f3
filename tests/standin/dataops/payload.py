"""Turns a friendly job description into the payload a runner gets with 201."""

from __future__ import annotations

import base64
import json
import time
from urllib.parse import urlsplit

from .jobs import FAILURE_REASONS, Job

DESCRIPTION = """A job description (JSON), every key optional:

name stage tags protected timeout   as in a pipeline file; tags is a list
script after_script release         a line or a list of lines
variables                           {"KEY": "value"} or {"KEY": {"value": ..., "masked": true, "file": true, "raw": true, "public": false}}
image services                      a name, or the payload's object; services is a list of those
artifacts                           one object or a list: name paths exclude untracked when expire_in type format
cache hooks credentials             as in the payload
needs                               ids of jobs that must succeed first; their archives become dependencies
dependencies                        ids whose archives are wanted (default: needs)
project repository ref sha depth refspecs before_sha    what to check out; repository defaults to project
allow_git_fetch trace_sections failure_reasons          payload switches
payload                             merged over the finished payload, deep; null removes a key
null                                a key of the payload that is sent as null
raw raw_base64                      sent in place of the payload, byte for byte; @ID@ and @TOKEN@ are filled in
held                                stays created until POST jobs/ID/release
faults                              faults to set before the job can be picked; @ID@ in their path is filled in
pad_bytes                           a variable PADDING of so many bytes is added
"""


def lines(value) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)


def variable(key: str, value, **more) -> dict:
    entry = {"key": key, "value": value, "public": True, "masked": False}
    if isinstance(value, dict):
        entry.update(value)
        entry["key"] = key
    entry.update(more)
    return entry


def merged(base, over):
    """`over` laid on `base`, objects key by key; None removes."""
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    out = dict(base)
    for key, value in over.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merged(out.get(key), value)
    return out


class Payloads:
    """Builds payloads; knows the addresses and the repositories, but no queue."""

    def __init__(self, url: str, repositories) -> None:
        self.url = url.rstrip("/")
        self.repositories = repositories

    def build(self, job: Job, runner, find) -> dict:
        """The payload for `job` as `runner` gets it. `find` gives a job by id."""
        d = job.description
        git = self._git(job)
        pipeline = d.get("pipeline_id", 5150)
        timeout = int(d.get("timeout", 3600))
        if runner.maximum_timeout:
            timeout = min(timeout, runner.maximum_timeout)
        payload = {
            "id": job.id,
            "token": job.token,
            "allow_git_fetch": bool(d.get("allow_git_fetch", True)),
            "job_info": self._info(job, pipeline),
            "git_info": git,
            "runner_info": {"uuid": f"r-{runner.id}", "timeout": timeout, "runner_session_url": None},
            "variables": self._variables(job, runner, git, pipeline),
            "steps": self._steps(d, timeout),
            "image": self._image(d.get("image")),
            "services": [self._image(service) for service in d.get("services") or []],
            "artifacts": self._artifacts(d.get("artifacts")),
            "cache": d.get("cache") or [],
            "credentials": d.get("credentials") or [],
            "dependencies": self._dependencies(job, find),
            "hooks": d.get("hooks") or [],
            "features": {
                "trace_sections": bool(d.get("trace_sections", True)),
                "failure_reasons": d.get("failure_reasons", list(FAILURE_REASONS)),
            },
            "policy_options": {"execution_policy_job": False, "policy_name": ""},
        }
        payload = merged(payload, d.get("payload") or {})
        return {**payload, d["null"]: None} if "null" in d else payload

    def body(self, job: Job, payload: dict) -> bytes:
        """What goes over the wire."""
        d = job.description
        if "raw_base64" in d:
            raw = base64.b64decode(d["raw_base64"])
        elif "raw" in d:
            raw = d["raw"].encode()
        else:
            return json.dumps(payload).encode()
        return raw.replace(b"@ID@", str(job.id).encode()).replace(b"@TOKEN@", job.token.encode())

    def _git(self, job: Job) -> dict:
        d = job.description
        path = d.get("repository", job.project)
        ref = d.get("ref", "main")
        sha = d.get("sha") or self.repositories.sha(path, ref) or "1" * 40
        pipeline_ref = f"refs/pipelines/{d.get('pipeline_id', 5150)}"
        refspecs = d.get("refspecs")
        if refspecs is None:
            self.repositories.set_ref(path, pipeline_ref, sha)
            refspecs = [f"+{pipeline_ref}:{pipeline_ref}", f"+refs/heads/{ref}:refs/remotes/origin/{ref}"]
        parts = urlsplit(self.url)
        return {
            "repo_url": f"{parts.scheme}://gitlab-ci-token:{job.token}@{parts.netloc}/{path}.git",
            "repo_object_format": "sha1",
            "ref": ref,
            "ref_type": d.get("ref_type", "branch"),
            "sha": sha,
            "before_sha": d.get("before_sha", "0" * 40),
            "depth": int(d.get("depth", 20)),
            "protected": job.protected,
            "refspecs": refspecs,
        }

    @staticmethod
    def _info(job: Job, pipeline: int) -> dict:
        return {
            "id": job.id,
            "name": job.name,
            "stage": job.description.get("stage", "test"),
            "pipeline_id": pipeline,
            "project_id": 77,
            "project_name": job.project.rsplit("/", 1)[-1],
            "project_full_path": job.project,
            "namespace_id": 12,
            "root_namespace_id": 12,
            "organization_id": 1,
            "instance_id": "d1c0",
            "instance_uuid": "0b1e",
            "user_id": 9,
            "scoped_user_id": None,
            "time_in_queue_seconds": round(time.time() - job.times.get("pending", time.time()), 3),
            "project_jobs_running_on_instance_runners_count": "+Inf",
            "queue_size": 0,
            "queue_depth": 1,
        }

    def _variables(self, job: Job, runner, git: dict, pipeline: int) -> list[dict]:
        d = job.description
        group, name = job.project.rsplit("/", 1)
        host = urlsplit(self.url)
        out = [
            variable("CI", "true"),
            variable("GITLAB_CI", "true"),
            variable("CI_JOB_ID", str(job.id)),
            variable("CI_JOB_URL", f"{self.url}/{job.project}/-/jobs/{job.id}"),
            variable("CI_JOB_TOKEN", job.token, public=False, masked=True),
            variable("CI_JOB_NAME", job.name),
            variable("CI_JOB_STAGE", d.get("stage", "test")),
            variable("CI_PIPELINE_ID", str(pipeline)),
            variable("CI_PROJECT_ID", "77"),
            variable("CI_PROJECT_NAME", name),
            variable("CI_PROJECT_NAMESPACE", group),
            variable("CI_PROJECT_PATH", job.project),
            variable("CI_COMMIT_SHA", git["sha"]),
            variable("CI_COMMIT_SHORT_SHA", git["sha"][:8]),
            variable("CI_COMMIT_REF_NAME", git["ref"]),
            variable("CI_COMMIT_BRANCH", git["ref"]),
            variable("CI_REPOSITORY_URL", git["repo_url"], public=False),
            variable("CI_SERVER_URL", self.url),
            variable("CI_SERVER_HOST", host.hostname),
            variable("CI_API_V4_URL", self.url + "/api/v4"),
            variable("CI_REGISTRY_USER", "gitlab-ci-token"),
            variable("CI_REGISTRY_PASSWORD", job.token, public=False, masked=True),
            variable("CI_RUNNER_ID", str(runner.id)),
            variable("CI_RUNNER_DESCRIPTION", runner.description),
            variable("CI_RUNNER_TAGS", json.dumps(runner.tags)),
        ]
        given = d.get("variables") or {}
        if isinstance(given, dict):
            out += [variable(key, value) for key, value in given.items()]
        else:
            out += given
        if d.get("pad_bytes"):
            out.append(variable("PADDING", "x" * int(d["pad_bytes"])))
        return out

    @staticmethod
    def _steps(d: dict, timeout: int) -> list[dict]:
        steps = []
        for name, key, when in (("script", "script", "on_success"), ("release", "release", "on_success"),
                                ("after_script", "after_script", "always")):
            if key in d and d[key] is not None:
                steps.append({"name": name, "script": lines(d[key]), "timeout": timeout, "when": when,
                              "allow_failure": when == "always"})
        return steps

    @staticmethod
    def _image(given) -> dict | None:
        if given is None:
            return None
        base = {"name": "", "entrypoint": None, "ports": []}
        return {**base, **({"name": given} if isinstance(given, str) else given)}

    @staticmethod
    def _artifacts(given) -> list[dict] | None:
        if not given:
            return None
        out = []
        for entry in [given] if isinstance(given, dict) else given:
            entry = dict(entry)
            out.append({
                "name": entry.pop("name", "artifacts"),
                "untracked": entry.pop("untracked", False),
                "paths": lines(entry.pop("paths", [])),
                "exclude": lines(entry.pop("exclude", [])),
                "when": entry.pop("when", "on_success"),
                "expire_in": entry.pop("expire_in", "1 week"),
                "artifact_type": entry.pop("type", "archive"),
                "artifact_format": entry.pop("format", "zip"),
                **entry,
            })
        return out

    @staticmethod
    def _dependencies(job: Job, find) -> list[dict]:
        wanted = job.description.get("dependencies")
        out = []
        for job_id in job.needs if wanted is None else wanted:
            needed = find(job_id)
            entry = {"id": job_id, "name": needed.name, "token": job.token}
            archive = needed.artifacts.get("archive")
            if archive:
                entry["artifacts_file"] = {"filename": archive.filename, "size": archive.size}
            out.append(entry)
        return out


def unsupported(payload: dict, features: dict) -> str | None:
    """The feature a job needs and its runner did not announce; the platform then fails the job."""
    needs = []
    artifacts = payload.get("artifacts") or []
    if any(entry.get("artifact_type", "archive") != "archive" for entry in artifacts):
        needs.append("upload_multiple_artifacts")
    if any(entry.get("exclude") for entry in artifacts):
        needs.append("artifacts_exclude")
    git = payload.get("git_info") or {}
    if any("refs/merge-requests/" in spec for spec in git.get("refspecs") or []):
        needs.append("refspecs")
    if any(step.get("name") == "release" for step in payload.get("steps") or []):
        needs.append("multi_build_steps")
    if any(entry.get("fallback_keys") for entry in payload.get("cache") or []):
        needs.append("fallback_cache_keys")
    if payload.get("secrets"):
        needs.append("vault_secrets")
    for name in needs:
        if features.get(name) is not True:
            return name
    return None
