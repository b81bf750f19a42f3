"""A runner's identity: registration, verification, unregistering, system id, features, and the file that keeps it."""

import json
import re
import signal
import subprocess
import time
import tomllib

import pytest

from tests.integration.harness import command

SYSTEM_ID = re.compile(r"^[sr]_[0-9a-zA-Z]{12}$")


@pytest.fixture
def registered(programs, dataops, tmp_path):
    """Runs the documented register line; gives what happened and the file it wrote."""
    def register(*more, name="dataops-runner-test", kind="group", url="", **env):
        config = tmp_path / "config.toml"
        info = dataops.info
        line = command.register_line(url or info["url"], info["registration_tokens"][kind], name)
        done = command.run(*line, "--config", str(config), "--tls-ca-file", info["ca_path"], *more, DEBUG="true", **env)
        return done, config
    return register


def since(dataops):
    all_requests = dataops.requests()
    return all_requests[-1]["n"] if all_requests else 0


def body(request):
    return json.loads(request["body"]["text"])


class TestRegister:
    def test_the_documented_line_registers(self, dataops, registered):
        done, config = registered(name="site-of-the-line")
        assert done.code == 0, done.all
        shown = [r for r in dataops.runners() if r["description"] == "site-of-the-line"]
        assert len(shown) == 1
        assert shown[0]["tags"] == ["site-of-the-line"]
        assert (shown[0]["run_untagged"], shown[0]["locked"], shown[0]["access_level"]) == (False, False, "not_protected")
        written = tomllib.loads(config.read_text())
        assert written["runners"][0]["token"] == shown[0]["token"]
        assert config.stat().st_mode & 0o777 == 0o600

    def test_the_token_is_not_printed(self, dataops, registered):
        done, config = registered()
        token = tomllib.loads(config.read_text())["runners"][0]["token"]
        assert token not in done.all
        assert dataops.info["registration_tokens"]["group"] not in done.all

    def test_the_documented_sed_lines_hit(self, registered, tmp_path):
        _, config = registered()
        volumes = '    volumes = ["/app:/local_config:rw", "/agent_cache:/agent_cache:rw", "/secrets:/secrets:ro"]'
        for script in ("s/concurrent = .*/concurrent = 8/", "s/check_interval = .*/check_interval = 1/",
                       f"s#.* volumes = .*#{volumes}#"):
            subprocess.run(["sed", "-i", script, str(config)], check=True)
        written = tomllib.loads(config.read_text())
        assert (written["concurrent"], written["check_interval"]) == (8, 1)
        assert written["runners"][0]["docker"]["volumes"][2] == "/secrets:/secrets:ro"

    def test_a_project_token_makes_a_project_runner(self, dataops, registered):
        assert registered(kind="project", name="of-a-project")[0].code == 0
        shown = next(r for r in dataops.runners() if r["description"] == "of-a-project")
        assert shown["scope"]["kind"] == "project"

    def test_a_second_registration_extends_the_file(self, registered):
        registered(name="one")
        done, config = registered(name="two")
        assert done.code == 0, done.all
        assert [r["name"] for r in tomllib.loads(config.read_text())["runners"]] == ["one", "two"]

    @pytest.mark.parametrize("ending", ["/ci/", "/ci", "/", ""])
    def test_any_form_of_the_url_leads_to_the_api(self, dataops, registered, ending):
        before = since(dataops)
        assert registered(url=dataops.info["url"] + ending)[0].code == 0
        paths = {r["path"] for r in dataops.requests(since=before)}
        assert "/api/v4/runners" in paths
        assert all(path.startswith("/api/v4/") for path in paths)

    def test_an_empty_tag_list_runs_untagged(self, dataops, programs, tmp_path):
        info, before = dataops.info, since(dataops)
        done = command.run("register", "--non-interactive", "--executor", "kubernetes", "--url", info["url"],
                           "--registration-token", info["registration_tokens"]["group"], "--description", "untagged",
                           "--tls-ca-file", info["ca_path"], "--config", str(tmp_path / "config.toml"))
        assert done.code == 0, done.all
        sent = body(dataops.requests("POST", "/api/v4/runners$", before)[0])
        assert sent["run_untagged"] is True
        shown = next(r for r in dataops.runners() if r["description"] == "untagged")
        dataops.call("DELETE", f"runners/{shown['id']}")

    def test_switched_off_registration_is_named_and_not_retried(self, dataops, registered):
        before = since(dataops)
        dataops.fault("/api/v4/runners$", method="POST", status=410, text='{"message":"410 Gone"}')
        done, config = registered()
        assert done.code == 4
        assert "registration tokens" in done.err and "disabled" in done.err
        assert len(dataops.requests("POST", "/api/v4/runners$", before)) == 1
        assert not config.exists()

    def test_an_unknown_token_is_named(self, dataops, programs, tmp_path):
        line = command.register_line(dataops.info["url"], "GR1348941unknown", "x")
        done = command.run(*line, "--config", str(tmp_path / "c.toml"), "--tls-ca-file", dataops.info["ca_path"])
        assert done.code == 4
        assert "403" in done.err or "token" in done.err.lower()
        assert "GR1348941unknown" not in done.all

    def test_an_authentication_token_verifies_and_never_registers(self, dataops, programs, tmp_path):
        made, before = dataops.add_runner(scope="group", path="acme", tag_list="t"), since(dataops)
        config = tmp_path / "config.toml"
        done = command.run("register", "--non-interactive", "--executor", "kubernetes", "--url", dataops.info["url"],
                           "--token", made["token"], "--name", "by-token", "--tls-ca-file", dataops.info["ca_path"],
                           "--config", str(config))
        assert done.code == 0, done.all
        assert [r["path"] for r in dataops.requests(path="/api/v4/runners", since=before)] == ["/api/v4/runners/verify"]
        assert tomllib.loads(config.read_text())["runners"][0]["token"] == made["token"]

    def test_an_authentication_token_in_the_old_place_verifies_too(self, dataops, programs, tmp_path):
        made, before = dataops.add_runner(scope="group", path="acme", tag_list="t"), since(dataops)
        line = command.register_line(dataops.info["url"], made["token"], "old-place")
        done = command.run(*line, "--config", str(tmp_path / "c.toml"), "--tls-ca-file", dataops.info["ca_path"])
        assert done.code == 0, done.all
        assert [r["path"] for r in dataops.requests(path="/api/v4/runners", since=before)] == ["/api/v4/runners/verify"]

    def test_a_runner_that_existed_before_is_never_deleted(self, dataops, programs, tmp_path):
        """Its answer is of no use here; the runner was made elsewhere and stays."""
        made, before = dataops.add_runner(scope="group", path="acme", tag_list="t"), since(dataops)
        dataops.fault("/api/v4/runners/verify$", method="POST", status=200, text='{"id":0}')
        done = command.run("register", "--non-interactive", "--url", dataops.info["url"], "--token", made["token"],
                           "--name", "x", "--tls-ca-file", dataops.info["ca_path"], "--config", str(tmp_path / "c.toml"))
        assert done.code == 1, done.all
        assert dataops.requests("DELETE", since=before) == []

    def test_an_interrupted_registration_leaves_no_runner_behind(self, dataops, programs, tmp_path):
        before = since(dataops)
        dataops.fault("/api/v4/runners$", method="POST", hold_s=1.5)
        line = command.register_line(dataops.info["url"], dataops.info["registration_tokens"]["group"], "interrupted")
        started = command.start(*line, "--config", str(tmp_path / "c.toml"), "--tls-ca-file", dataops.info["ca_path"])
        deadline = time.monotonic() + 15
        while not dataops.requests("POST", "/api/v4/runners$", before) and time.monotonic() < deadline:
            time.sleep(0.1)
        started.send_signal(signal.SIGINT)
        assert started.wait(15) == 130
        assert "removed from DataOps again" in started.stderr.read()
        assert not any(r["description"] == "interrupted" for r in dataops.runners())
        assert not (tmp_path / "c.toml").exists()

    @pytest.mark.parametrize(("fault", "code", "says"), [
        ({"status": 500}, 5, "500"),
        ({"html": True, "status": 201}, 1, "no JSON"),
        ({"cut": 10}, 1, "may have made the runner"),
        ({"drop": True}, 5, "register"),
        ({"status": 404}, 4, "is --url right?"),
        ({"status": 301, "headers": {"Location": "https://other.example/api"}}, 1, "https://other.example/api"),
    ])
    def test_an_answer_of_no_use_is_explained(self, dataops, registered, fault, code, says):
        dataops.fault("/api/v4/runners$", method="POST", count=5 if fault.get("status") == 500 else 1, **fault)
        done, config = registered(name="of-no-use")
        assert done.code == code, done.all
        assert says in done.err
        assert not config.exists()

    def test_what_dataops_keeps_cannot_be_given_with_a_runner_token(self, dataops, programs, tmp_path):
        before = since(dataops)
        done = command.run("register", "--non-interactive", "--url", dataops.info["url"], "--token", "glrt-hunter2",
                           "--tag-list", "a", "--config", str(tmp_path / "c.toml"))
        assert done.code == 2, done.all
        assert "--tag-list" in done.err and "hunter2" not in done.all
        assert dataops.requests(path="/api/v4/runners", since=before) == []

    @pytest.mark.parametrize("words", [["register", "--help"], ["--help"], ["--help", "register"], ["register", "-h"]])
    def test_help_comes_whatever_the_environment(self, programs, words):
        done = command.run(*words, DEBUG="yes")
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith("Usage: dataops-runner ")
        assert command.run("list", DEBUG="yes").code == 2

    def test_debug_shows_the_requests_without_tokens(self, dataops, registered):
        done, config = registered(name="debugged")
        assert re.search(r"dataops_call.*method=POST.*/api/v4/runners .*status=201.*request_id=[0-9a-f]{32}", done.err)
        assert tomllib.loads(config.read_text())["runners"][0]["token"] not in done.all
        assert dataops.info["registration_tokens"]["group"] not in done.all

    @pytest.mark.parametrize(("words", "says"), [
        (["--limit", "99999"], "limit: 99999 is not between"),
        (["--docker-privilegd"], "did you mean --docker-privileged?"),
        (["--kubernetes-cpu-limit", "lots"], "no quantity"),
        (["--tag-list", "", "--run-untagged=false"], "give --tag-list"),
        (["--env", "hunter2"], "environment: text 1"),
    ])
    def test_wrong_options_are_found_before_dataops_is_asked(self, dataops, registered, words, says):
        before = since(dataops)
        done, config = registered(*words)
        assert done.code == 2, done.all
        assert says in done.err and "hunter2" not in done.all
        assert dataops.requests(path="/api/v4/runners", since=before) == []
        assert not config.exists()

    def test_docker_flags_of_the_stock_runner_do_no_harm(self, dataops, registered):
        done, config = registered("--docker-privileged", "--docker-shm-size", "0", name="with-docker-flags")
        assert done.code == 0, done.all
        assert "--docker-privileged has no effect" in done.err
        assert "privileged" not in config.read_text()

    def test_it_asks_when_it_may(self, dataops, programs, tmp_path):
        info = dataops.info
        answers = f"{info['url']}\n{info['registration_tokens']['group']}\nasked-for\nasked-tag\n\nkubernetes\nimage:1\n"
        done = command.run("register", "--config", str(tmp_path / "c.toml"), "--tls-ca-file", info["ca_path"],
                           stdin=answers)
        assert done.code == 0, done.all
        assert any(r["description"] == "asked-for" for r in dataops.runners())


class TestRequests:
    def test_each_request_has_an_id_and_its_token_in_the_body(self, site, dataops):
        # Polls of this case: one that an earlier case cut is sent again by the transport, with its id.
        before = len(site.polls())
        polls = []
        while len(polls) < 3:
            time.sleep(0.2)
            polls = site.polls()[before:]
        ids = [{k.lower(): v for k, v in p["headers"].items()}["x-request-id"] for p in polls]
        assert all(re.fullmatch(r"[0-9a-f]{32}", value) for value in ids)
        assert len(set(ids)) == len(ids)
        assert all(body(p)["token"] == site.runner["token"] for p in polls)

    def test_the_first_request_carries_all_features_as_booleans(self, make_site, dataops):
        mine = make_site()
        mine.controller.wait_log(r".", 10)
        deadline = time.monotonic() + 10
        seen = []
        while not seen and time.monotonic() < deadline:
            seen = [r for r in dataops.requests("POST", "/api/v4/(runners/verify|jobs/request)")
                    if mine.runner["token"] in r["body"].get("text", "")]
            time.sleep(0.1)
        features = body(seen[0])["info"]["features"]
        assert features["cancel_gracefully"] is True
        assert all(isinstance(value, bool) for value in features.values())
        assert features.get("vault_secrets") is not True, "nothing here resolves secrets of a vault server"

    def test_what_is_announced_is_what_works(self, site, dataops):
        """Service, session and vault features are not there yet, so they must not be claimed."""
        manager = next(r for r in dataops.runners() if r["token"] == site.runner["token"])["managers"][0]
        features = manager["info"]["features"]
        for name in ("session", "terminal", "vault_secrets", "native_steps_integration"):
            assert features.get(name, False) is False, name
        for name in ("refspecs", "masking", "trace_checksum", "trace_size", "return_exit_code", "cancelable",
                     "raw_variables", "artifacts", "artifacts_exclude", "cancel_gracefully"):
            assert features.get(name) is True, name


class TestSystemId:
    def test_it_has_the_known_form_and_survives_a_restart(self, make_site, dataops):
        mine = make_site()

        def ids():
            return next(r for r in dataops.runners() if r["id"] == mine.runner["id"])["system_ids"]

        deadline = time.monotonic() + 15
        while not ids() and time.monotonic() < deadline:
            time.sleep(0.1)
        first = ids()
        assert len(first) == 1 and SYSTEM_ID.match(first[0])
        before = len(mine.polls())
        mine.controller.restart()
        while len(mine.polls()) < before + 2 and time.monotonic() < deadline + 30:
            time.sleep(0.1)
        assert ids() == first


class TestUnregister:
    @pytest.fixture
    def with_token(self, dataops, programs, tmp_path):
        made = dataops.add_runner(scope="group", path="acme", tag_list="t")
        config = tmp_path / "config.toml"
        done = command.run("register", "--non-interactive", "--executor", "kubernetes", "--url", dataops.info["url"],
                           "--token", made["token"], "--name", "leaves", "--tls-ca-file", dataops.info["ca_path"],
                           "--config", str(config))
        assert done.code == 0, done.all
        return made, config

    def test_an_authentication_token_deletes_its_manager_only(self, dataops, with_token):
        made, config = with_token
        before = since(dataops)
        done = command.run("unregister", "--name", "leaves", "--config", str(config))
        assert done.code == 0, done.all
        sent = dataops.requests("DELETE", "/api/v4/runners", before)
        assert [r["path"] for r in sent] == ["/api/v4/runners/managers"]
        assert SYSTEM_ID.match(body(sent[0])["system_id"])
        assert any(r["id"] == made["id"] for r in dataops.runners())
        assert "leaves" not in config.read_text()

    def test_a_registered_runner_is_deleted_whole(self, dataops, registered):
        _, config = registered(name="goes")
        done = command.run("unregister", "--name", "goes", "--config", str(config))
        assert done.code == 0, done.all
        assert not any(r["description"] == "goes" for r in dataops.runners())

    def test_all_of_them_and_once_more(self, dataops, registered):
        registered(name="first-of-all")
        _, config = registered(name="second-of-all")
        assert command.run("unregister", "--all-runners", "--config", str(config)).code == 0
        assert not any(r["description"].endswith("-of-all") for r in dataops.runners())
        assert "[[runners]]" not in config.read_text()
        again = command.run("unregister", "--all-runners", "--config", str(config))
        assert again.code == 0, again.all
        assert "nothing to do" in again.err

    def test_what_dataops_cannot_be_asked_about_stays_in_the_file(self, registered):
        _, config = registered(name="stays")
        before = re.sub(r"url = .*", 'url = "https://127.0.0.1:1"', config.read_text())
        config.write_text(before)
        assert command.run("unregister", "--name", "stays", "--config", str(config)).code == 5
        assert config.read_text() == before


class TestVerifyAndList:
    def test_verify_tells_alive_from_removed(self, dataops, registered):
        _, config = registered(name="alive")
        assert command.run("verify", "--config", str(config)).code == 0
        runner_id = next(r["id"] for r in dataops.runners() if r["description"] == "alive")
        dataops.call("DELETE", f"runners/{runner_id}")
        done = command.run("verify", "--config", str(config))
        assert done.code == 4
        assert "alive" in done.all and "removed" in done.all

    def test_list_shortens_tokens(self, registered):
        _, config = registered(name="listed")
        token = tomllib.loads(config.read_text())["runners"][0]["token"]
        done = command.run("list", "--config", str(config))
        assert done.code == 0, done.all
        assert "listed" in done.all and token not in done.all

    @pytest.mark.parametrize(("words", "code", "says"), [
        (["--url", "http://", "--token", "glrt-x"], 3, "host or port are wrong"),
        (["--url", "https://127.0.0.1:1", "--token", "glrt-x"], 5, "connect"),
        (["--url", "https://127.0.0.1:1", "--token", "glrt-x", "--tls-ca-file", "/nope"], 3, "tls-ca-file"),
        (["--name", "nobody"], 2, "the name nobody"),
        (["--token", "glrt-x"], 2, "--url"),
    ])
    def test_verify_ends_with_the_code_of_its_trouble(self, registered, words, code, says):
        _, config = registered(name="codes")
        done = command.run("verify", "--config", str(config), *words)
        assert done.code == code, done.all
        assert says in done.err
        assert "glrt-x" not in done.all

    def test_whoever_types_a_wrong_address_may_type_it_again(self, dataops, programs, tmp_path):
        info, config = dataops.info, tmp_path / "config.toml"
        answers = ["gitlab", info["url"], info["registration_tokens"]["group"], "typed-twice", "tag", "", "", "image:1"]
        code, shown = command.run_at_terminal(
            ["register", "--config", str(config), "--tls-ca-file", info["ca_path"]], answers)
        assert code == 0, shown
        assert "it does not begin with http" in shown
        assert info["registration_tokens"]["group"] not in shown, "a token is typed unseen"
        assert tomllib.loads(config.read_text())["runners"][0]["name"] == "typed-twice"


class TestAnAddressWithoutTls:
    """Tokens would travel in clear: each command that takes the address says so before it uses it."""
    SAYS = "in clear, for everybody on the way to read: use https://"
    CLEAR = "http://dataops.invalid"

    def config(self, tmp_path, url):
        path = tmp_path / "config.toml"
        path.write_text(f'[[runners]]\nname = "a"\nexecutor = "kubernetes"\nurl = "{url}"\ntoken = "glrt-0123456789abcdefghij"\n')
        return str(path)

    def test_lint_names_the_line(self, programs, tmp_path):
        done = command.run("lint", "--config", self.config(tmp_path, self.CLEAR))
        assert done.code == 0
        assert f"config.toml:4: url: tokens and logs travel to this http:// address {self.SAYS}" in done.all

    def test_loopback_is_not_worth_a_word(self, programs, tmp_path):
        assert self.SAYS not in command.run("lint", "--config", self.config(tmp_path, "http://127.0.0.1:8080")).all

    def test_the_start_says_it_once(self, programs, tmp_path):
        done = command.run("run", "--config", self.config(tmp_path, self.CLEAR), "--kubeconfig", str(tmp_path / "none"))
        assert done.code != 0
        assert done.all.count(self.SAYS) == 1

    def test_register_says_it(self, programs, tmp_path):
        done = command.run("register", "--non-interactive", "--config", str(tmp_path / "new.toml"), "--url", self.CLEAR,
                           "--token", "glrt-0123456789abcdefghij", "--executor", "shell")
        assert done.code != 0, "the executor is refused before anything is asked"
        assert done.all.count(self.SAYS) == 1

    def test_verify_says_it(self, programs, tmp_path):
        done = command.run("verify", "--config", str(tmp_path / "none.toml"), "--url", self.CLEAR,
                           "--token", "glrt-0123456789abcdefghij", "--tls-ca-file", str(tmp_path / "none.pem"))
        assert done.code != 0
        assert done.all.count(self.SAYS) == 1
