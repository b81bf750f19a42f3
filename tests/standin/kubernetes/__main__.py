"""Command line of the Kubernetes stand-in."""

import argparse
import asyncio
import json
import signal
import sys
import tempfile

from . import control, faults, images
from .podrules import quantity
from .server import Server, SetupError, ready_line
from .settings import Settings

DESCRIPTION = """\
A stand-in for Kubernetes: the slice of its API that a CI runner uses, over TLS with
real websockets, running the containers of pods as local processes in bubblewrap. It is
as unkind as the real one, and breaks on demand. When it is ready it prints one line of
JSON with its addresses and paths, and serves until SIGTERM or SIGINT, when it stops
every process and unmounts what it made. It must run as root.
"""


def _pairs(texts, what):
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise SystemExit(f"{what}: NAME=VALUE expected, not {text!r}")
        pairs[name] = value
    return pairs


def parse_arguments(argv):
    parser = argparse.ArgumentParser(
        prog="python -m tests.standin.kubernetes", description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="THE CONTROL ENDPOINT\n" + control.__doc__ + "\nFAULTS\n" + faults.__doc__
        + "\nIMAGES\n" + images.__doc__)
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    add("--port", type=int, default=0, help="port; 0 takes a free one (default)")
    add("--name", action="append", default=[], help="further name for the certificate")
    add("--plain-http", action="store_true", help="no TLS")
    add("--state", help="folder for everything it keeps (default: a new one in /tmp)")
    add("--namespace", action="append", default=[],
        help="a namespace; the first one is the default (default: default)")
    add("--account", default="dataops-runner", help="service account of the program "
        "under test (default %(default)s)")
    add("--role", help="YAML file with its Role; without it the account may do everything")
    add("--extra-account", action="append", default=[], metavar="[NS/]NAME=ROLE.yaml",
        help="a further service account with a Role")
    add("--service-account", action="append", default=[], metavar="NAME",
        help="a service account that pods may name")
    add("--claim", action="append", default=[], metavar="NAME",
        help="a PersistentVolumeClaim that exists from the start")
    add("--helper-bin", default="", metavar="DIR", help="programs dataops-* of this "
        "folder appear in /usr/local/bin of helper images")
    add("--helper-image", action="append", metavar="PATTERN",
        help="image names that get them (default *dataops-runner*)")
    add("--hide", action="append", default=[], metavar="DIR",
        help="a folder of this machine that containers see empty")
    add("--host-entry", action="append", default=[], metavar="NAME=ADDRESS",
        help="a line of /etc/hosts in containers")
    add("--images", metavar="FILE", help="JSON file with the image table")
    add("--pull-seconds", type=float, default=0.0, help="how long any pull takes")
    add("--node-label", action="append", default=[], metavar="KEY=VALUE")
    add("--zone", default="+00:00", help="zone of the node's log times (default UTC)")
    defaults = Settings()
    for flag, text in (
            ("relist-seconds", "the kubelet's look at the runtime; status is late by it"),
            ("schedule-seconds", "until a pod is bound to the node"),
            ("mount-seconds", "until volumes are tried first"),
            ("teardown-seconds", "from the last container's end to the object's"),
            ("bookmark-seconds", "between bookmarks of a watch"),
            ("rotate-check-seconds", "between looks at log sizes"),
            ("usage-check-seconds", "between looks at the sizes of emptyDir volumes"),
            ("collect-seconds", "until the garbage collector acts")):
        default = getattr(defaults, flag.replace("-", "_"))
        add("--" + flag, type=float, default=default, help=f"{text} (default {default})")
    add("--log-bytes", default="10Mi", help="size at which a log is rotated (default 10Mi)")
    add("--pids-limit", type=int, default=0, help="processes in a container (default: no limit)")
    add("--no-overlay", action="store_true",
        help="copies of usual places in place of overlays, as where those are impossible")
    return parser.parse_args(argv)


def make_settings(arguments):
    settings = Settings(namespace=(arguments.namespace or ["default"])[0])
    for key in ("helper_bin", "hide", "relist_seconds", "schedule_seconds",
                "mount_seconds", "teardown_seconds", "bookmark_seconds",
                "rotate_check_seconds", "collect_seconds", "usage_check_seconds"):
        setattr(settings, key, getattr(arguments, key))
    settings.overlay, settings.pids_limit = not arguments.no_overlay, arguments.pids_limit
    if arguments.helper_image:
        settings.helper_image = arguments.helper_image
    settings.node_labels = _pairs(arguments.node_label, "--node-label")
    settings.hosts = _pairs(arguments.host_entry, "--host-entry")
    settings.log_bytes = int(quantity(arguments.log_bytes))
    hours, minutes = arguments.zone[1:].split(":")
    settings.zone_minutes = (int(hours) * 60 + int(minutes)) * (
        -1 if arguments.zone[0] == "-" else 1)
    return settings


def fill(server, arguments):
    """Namespaces, accounts, claims and images of the command line."""
    namespace = server.settings.namespace
    for name in arguments.namespace or ["default"]:
        server.add_namespace(name)
        for account in [arguments.account] + arguments.service_account:
            server.add_service_account(name, account)
        for claim in arguments.claim:
            server.add_claim(name, claim)
    account = server.add_account(arguments.account, namespace, arguments.role)
    admin = server.add_account("standin-admin", "kube-system")
    for name, role in _pairs(arguments.extra_account, "--extra-account").items():
        place, _, short = name.rpartition("/")
        server.add_account(short, place or namespace, role)
        server.add_service_account(place or namespace, short)
    if arguments.pull_seconds:
        server.images.add({"name": "*", "pull_s": arguments.pull_seconds})
    if arguments.images:
        with open(arguments.images, encoding="utf-8") as file:
            for entry in json.load(file):
                server.images.add(entry)
    return account, admin


async def serve(server, arguments, launcher, overlay):
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    account, admin = fill(server, arguments)
    url = await server.start(launcher, overlay, arguments.host, arguments.port,
                             arguments.plain_http, arguments.name)
    paths = server.write_files(url, account, admin)
    print(ready_line(server, url, paths, {
        "token": account.token, "admin_token": admin.token, "user": account.user,
        "overlay": overlay, "memory_limits": server.groups.available}), flush=True)
    await stop.wait()
    await server.stop()


def main(argv=None):
    arguments = parse_arguments(argv)
    try:
        Server.check_machine()
        state = arguments.state or tempfile.mkdtemp(prefix="kubernetes-standin-")
        server = Server(state, make_settings(arguments))
        launcher, overlay = server.prepare_machine()
        asyncio.run(serve(server, arguments, launcher, overlay))
    except SetupError as error:
        print(f"kubernetes stand-in: {error}", file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        print(f"kubernetes stand-in: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
