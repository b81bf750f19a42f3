"""The bridge the pods live on, and leaving the machine as it was found."""

import subprocess
from pathlib import Path

from . import places, programs
from .places import Places
from .trouble import Trouble

_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
_PREFIX = places.POD_NETWORK.rpartition("/")[2]
# Bridged frames may pass FORWARD; whatever would leave the bridge is refused: tests talk to nobody else.
_RULES = (
    ["FORWARD", "-i", places.BRIDGE, "-o", places.BRIDGE, "-j", "ACCEPT"],
    ["FORWARD", "-i", places.BRIDGE, "!", "-o", places.BRIDGE, "-j", "REJECT"],
)


def _run(*command: str, must: bool = True) -> str:
    done = subprocess.run([programs.find(command[0]), *command[1:]], capture_output=True, text=True, check=False)
    if done.returncode and must:
        raise Trouble(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def up(place: Places) -> None:
    """Makes the bridge with its address before the kubelet looks for it."""
    if Path(f"/sys/class/net/{places.BRIDGE}").exists():
        if _kubelet_runs():
            raise Trouble(f"the bridge {places.BRIDGE} exists already: another test cluster runs, take it down first")
        _take_away()  # left by a cluster that was killed
    if ":KUBE-SERVICES" in _run("iptables-save", must=False):
        raise Trouble("this machine already runs a Kubernetes (iptables has KUBE-SERVICES); the test cluster would disturb it")
    (place.state / "ip_forward").write_text(_FORWARD.read_text())
    # A bridge without an address of its own takes the lowest of its ports': with every pod that comes or goes the others
    # could lose their gateway for a minute.
    _run("ip", "link", "add", places.BRIDGE, "address", places.BRIDGE_HARDWARE_ADDRESS, "type", "bridge")
    _run("ip", "address", "add", f"{places.BRIDGE_ADDRESS}/{_PREFIX}", "dev", places.BRIDGE)
    _run("ip", "link", "set", places.BRIDGE, "up")
    _FORWARD.write_text("1\n")
    for rule in _RULES:
        _run("iptables", "-w", "-I", *rule)


def _drop_chains(program: str) -> None:
    """Removes the chains of kube-proxy and kubelet, which nobody else on this machine had (see `up`)."""
    for table in ("filter", "nat", "mangle"):
        lines = _run(f"{program}-save", "-t", table, must=False).splitlines()
        rules = [line.split()[1:] for line in lines if line.startswith("-A ") and "KUBE-" in line]
        chains = [line[1:].split()[0] for line in lines if line.startswith(":KUBE-")]
        if not chains:
            continue
        callers = [rule for rule in rules if not rule[0].startswith("KUBE-")]
        # iptables-save quotes comments, so feed its own words back instead of splitting them.
        script = [f"*{table}"]
        script += [line.replace("-A ", "-D ", 1) for line in lines if line.startswith("-A ") and line.split()[1:] in callers]
        script += [f"-F {chain}" for chain in chains] + [f"-X {chain}" for chain in chains] + ["COMMIT", ""]
        subprocess.run(
            [programs.find(f"{program}-restore"), "--noflush", "-w"], input="\n".join(script), text=True,
            capture_output=True, check=False,
        )  # fmt: skip


def _kubelet_runs() -> bool:
    for name in Path("/proc").glob("[0-9]*/comm"):
        try:
            if name.read_text(errors="replace").strip() == "kubelet":
                return True
        except OSError:  # it ended meanwhile
            continue
    return False


def _take_away() -> None:
    for rule in _RULES:
        _run("iptables", "-w", "-D", *rule, must=False)
    for program in ("iptables", "ip6tables"):
        _drop_chains(program)
    _run("ip", "link", "delete", places.BRIDGE, must=False)


def down(place: Places) -> None:
    """Takes away what `up`, kubelet and kube-proxy made, and restores forwarding."""
    saved = place.state / "ip_forward"
    if not saved.exists():
        return
    _take_away()
    _FORWARD.write_text(saved.read_text())
    saved.unlink()
