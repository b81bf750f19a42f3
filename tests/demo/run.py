"""The demo itself: what is started, in which order, and what is shown of it."""

from __future__ import annotations

import base64
import re
import subprocess
import threading
import time
from pathlib import Path

from tests.integration.harness import command, place as places, processes
from tests.integration.harness.controller import Controller
from tests.integration.harness.site import DataOpsProcess

from . import pipeline
from .screen import CYAN, DIM, GREEN, RED, Screen, Tail

NAMESPACE = "dataops"
PATIENCE_S = 120
VOLUMES = '["/app:/local_config:rw", "/agent_cache:/agent_cache:rw", "/secrets:/secrets:ro"]'
SED = ["s/concurrent = .*/concurrent = 8/", "s/check_interval = .*/check_interval = 1/", f"s#^\\( *\\)volumes = .*#\\1volumes = {VOLUMES}#"]


class Demo:
    def __init__(self, folder: Path, screen: Screen, sites: int) -> None:
        self.folder, self.screen = folder, screen
        self.names = ["dataops-runner-demo"] if sites == 1 else ["dataops-runner-singapore", "dataops-runner-london"]
        self.place = places.make()
        self.place.releases = self.names
        self.dataops_process: DataOpsProcess | None = None
        self.controllers: dict[str, Controller] = {}

    @property
    def dataops(self):
        return self.dataops_process.client

    # -- start and stop --------------------------------------------------
    def start(self) -> None:
        self.screen.title("Starting a DataOps platform and a Kubernetes" +
                          (" (both embedded stand-ins)" if self.place.name == places.STANDIN else ""))
        self.place.start(self.folder / "kubernetes")
        self.place.make_namespace(NAMESPACE)
        self.begin_platform()

    def begin_platform(self) -> None:
        self.dataops_process = DataOpsProcess(self.folder, self.place.dataops_address)
        info = self.dataops.info
        self.screen.say(f"  DataOps     {info['url']}  (CA {info['ca_path']})")
        self.screen.say(f"  look around {info['control_url']}/")
        self._vault()
        sha = self.dataops.commit("acme/orders", pipeline.FILES, message="Orders mart")
        self.screen.say(f"  repository  acme/orders at {sha[:8]}")

    def _vault(self) -> None:
        """What the jobs of a DataOps project expect: the vault Secret and the claim for /agent_cache."""
        def text(value: str) -> str:
            return base64.b64encode(value.encode()).decode()

        self.place.create("secrets", {"metadata": {"name": "dataops-vault"}, "type": "Opaque", "data": {
            "vault.yml": text(pipeline.VAULT), "vault.salt": text(pipeline.SALT)}}, NAMESPACE)
        self.place.create("persistentvolumeclaims", {"metadata": {"name": "dataops-agent-cache"}, "spec": {
            "accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}}, NAMESPACE)

    def register(self, name: str) -> None:
        """The documented line, then the documented edits of the file it wrote, then `run`."""
        info = self.dataops.info
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "config.toml"
        line = command.register_line(info["url"], info["registration_tokens"]["group"], name)
        self.screen.say("\n$ dataops-runner " + self._readable(line, info), CYAN)
        done = command.run(*line, "--config", str(config), "--tls-ca-file", info["ca_path"], DEBUG="true")
        self.screen.say(self._indented(done.out + done.err), DIM)
        if done.code != 0:
            raise RuntimeError(f"register ended with {done.code}")
        for script in SED:
            subprocess.run(["sed", "-i", script, str(config)], check=True)
        self._name_the_cluster(config)
        controller = Controller(folder, config.read_text(), {**self.place.controller_environment(), "DEBUG": "true",
                                                               "DATAOPS_RELEASE": name})
        self.controllers[name] = controller
        controller.start()
        self.screen.say(f"$ dataops-runner run --config {config}", CYAN)

    @staticmethod
    def _readable(line: list[str], info: dict) -> str:
        text = " ".join(line)
        return text.replace(info["registration_tokens"]["group"], "$REGISTRATION_TOKEN").replace(info["url"], "$DATAOPS_URL")

    @staticmethod
    def _indented(text: str) -> str:
        return "\n".join("  " + line for line in text.rstrip().splitlines())

    def _name_the_cluster(self, config: Path) -> None:
        """Namespace and helper image, which a chart would set, in the registered runner's [runners.kubernetes]."""
        keys = f'namespace = "{NAMESPACE}"\n    helper_image = "{self.place.helper_image}"\n    pull_policy = "if-not-present"\n'
        text = config.read_text()
        found = re.search(r"(?m)^( *)\[runners\.kubernetes\] *\n", text)
        if found:
            for key in ("namespace", "helper_image", "pull_policy"):
                text = re.sub(rf"(?m)^ *{key} = .*\n", "", text)
            found = re.search(r"(?m)^( *)\[runners\.kubernetes\] *\n", text)
            text = text[:found.end()] + "    " + keys + text[found.end():]
        else:
            text = text.rstrip("\n") + "\n  [runners.kubernetes]\n    " + keys
        config.write_text(text)

    def stop(self) -> None:
        for controller in self.controllers.values():
            if controller.running:
                controller.process.terminate()
        for controller in self.controllers.values():
            processes.stop(controller.process, 15)
        if self.dataops_process is not None:
            self.dataops_process.stop()
        self.place.stop()

    def last_words(self) -> str:
        """For a failure: the end of each controller's log."""
        return "\n".join(f"--- {name}\n" + "\n".join(c.log.splitlines()[-15:]) for name, c in self.controllers.items())

    # -- the two shows ---------------------------------------------------
    def run(self) -> list[str]:
        """Gives sentences about what went wrong; none when all is well."""
        self.start()
        self.screen.title("Registering " + " and ".join(self.names))
        for name in self.names:
            self.register(name)
        wrong = self.one_site() if len(self.names) == 1 else self.two_sites()
        wrong += [v["text"] for v in self.dataops.violations()]
        for name, controller in self.controllers.items():
            if not controller.running:
                wrong.append(f"the controller of {name} does not run any more")
        return wrong

    def one_site(self) -> list[str]:
        tags = [self.names[0]]
        build = self.dataops.add_job(**pipeline.build_job(tags))["id"]
        load = self.dataops.add_job(**pipeline.load_job(tags, build))["id"]
        logs = {}
        for job_id, name in ((build, "build"), (load, "load")):
            self.screen.title(f"Job {job_id}: {name}")
            tail = Tail(self.screen, self.dataops, job_id)
            tail.follow(time.monotonic() + PATIENCE_S, time.monotonic)
            logs[job_id] = tail.data
        self.summary([build, load])
        views = {job_id: self.dataops.job(job_id) for job_id in (build, load)}
        entries = [e["name"] for a in views[build]["artifacts"] for e in a["entries"] or []]
        return pipeline.check_pair(views[build], logs[build], views[load], logs[load], entries)

    def two_sites(self) -> list[str]:
        self.screen.title("Six jobs, three for each site, and one for a site that nobody is")
        ids = {}
        for number in range(1, 7):
            tag = self.names[number % 2]
            ids[self.dataops.add_job(**pipeline.site_job(number, tag))["id"]] = tag
        lost = self.dataops.add_job(**pipeline.site_job(7, "dataops-runner-tokyo"))["id"]
        tails = [Tail(self.screen, self.dataops, job_id, f"job {job_id} | ") for job_id in ids]
        deadline = time.monotonic() + PATIENCE_S
        threads = [threading.Thread(target=tail.follow, args=(deadline, time.monotonic), daemon=True) for tail in tails]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.summary([*ids, lost])
        runners = {r["id"]: r["description"] for r in self.dataops.runners()}
        wrong = []
        for job_id, tag in ids.items():
            view = self.dataops.job(job_id)
            where = runners.get(view["runner_id"])
            if view["state"] != "success" or where != tag:
                wrong.append(f"job {job_id} for {tag} is {view['state']} at {where}")
            if f"runs at {tag}".encode() not in self.dataops.trace(job_id)[0]:
                wrong.append(f"job {job_id} did not say where it ran")
        if self.dataops.job(lost)["state"] != "pending":
            wrong.append(f"job {lost}, which no site may take, is {self.dataops.job(lost)['state']}")
        return wrong

    # -- afterwards ------------------------------------------------------
    def summary(self, ids: list[int]) -> None:
        self.screen.title("Summary")
        time.sleep(1)
        runners = {r["id"]: r for r in self.dataops.runners()}
        rows = [["job", "name", "state", "runner", "waited", "first byte", "sources", "script", "upload", "all", "API requests"]]
        views = [self.dataops.job(job_id) for job_id in ids]
        for view in views:
            rows.append(self._row(view, runners))
        self.screen.table(rows)
        for view in views:
            if view["state"] == "pending":
                self.screen.say(f"\n  job {view['id']} stays pending: no runner has the tag {', '.join(view['tags'])}")
            for artifact in view["artifacts"]:
                names = ", ".join(e["name"] for e in artifact["entries"] or [])
                self.screen.say(f"\n  artifact of job {view['id']}: {artifact['filename']}, {artifact['size']} bytes: {names}")
        self.screen.say("\n  runners")
        for runner in runners.values():
            self.screen.say(f"    {runner['description']}: {runner['state']}, tags {', '.join(runner['tags'])}, "
                            f"system id {', '.join(runner['system_ids']) or '-'}", GREEN if runner["state"] == "online" else RED)

    def _row(self, view: dict, runners: dict) -> list[str]:
        times, phases = view["times"], self._phases(view["id"])

        def span(first: str, last: str) -> str:
            return f"{times[last] - times[first]:.2f} s" if first in times and last in times else "-"

        where = runners.get(view["runner_id"], {}).get("description", "-")
        requests = sum(1 for r in self.place.requests(NAMESPACE) if re.match(rf"job-[0-9a-f]{{6}}-{view['id']}-\d+$", r["name"]))
        asked = str(requests) if requests else "-"
        return [str(view["id"]), view["name"], view["state"], where, span("pending", "picked"), span("picked", "first_byte"),
                phases.get("sources", "-"), phases.get("script", "-"), phases.get("upload", "-"),
                span("picked", "finished"), asked]

    def _phases(self, job_id: int) -> dict[str, str]:
        """Seconds of each phase, as the end record told the controller (its log's line job_phases)."""
        for controller in self.controllers.values():
            found = re.search(rf"job_phases +job={job_id} (.*)", controller.log)
            if found:
                return {name: value + " s" for name, value in re.findall(r"(\w+)=([\d.]+)", found[1])}
        return {}
