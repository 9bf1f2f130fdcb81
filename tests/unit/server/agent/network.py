"""A network of its own for an agent: behind NAT, with a cable that can be pulled out."""

import os
import shutil
import subprocess
import sys

NEEDS = ("ip", "iptables")
IS_POSSIBLE = (
    sys.platform == "linux" and os.geteuid() == 0 and all(shutil.which(name) for name in NEEDS)
)


def run(*words):
    subprocess.run(words, check=True, capture_output=True)


class PrivateNetwork:
    """Namespaces of a router and of an agent's machine.

    `server` is the address of this machine as the agent sees it. From here there is no way to the
    agent but replies: its address is the router's.
    """

    def __init__(self):
        number = os.getpid() % 250
        self.router, self.machine, self._link = f"tmr{number}", f"tma{number}", f"tmh{number}"
        self._outside, self._inside = f"10.201.{number}", f"10.202.{number}"
        self.server = f"{self._outside}.1"

    def __enter__(self):
        for name in (self.router, self.machine):
            run("ip", "netns", "add", name)
        run("ip", "link", "add", self._link, "type", "veth", "peer", "out", "netns", self.router)
        run(
            *("ip", "-n", self.router, "link", "add", "in"),
            *("type", "veth", "peer", "eth", "netns", self.machine),
        )
        run("ip", "addr", "add", f"{self.server}/24", "dev", self._link)
        run("ip", "link", "set", self._link, "up")
        self._address(self.router, "out", f"{self._outside}.2")
        self._address(self.router, "in", f"{self._inside}.1")
        self._address(self.machine, "eth", f"{self._inside}.2")
        run("ip", "-n", self.machine, "route", "add", "default", "via", f"{self._inside}.1")
        self._in_router("sysctl", "-qw", "net.ipv4.ip_forward=1")
        masquerade = ("POSTROUTING", "-o", "out", "-j", "MASQUERADE")
        self._in_router("iptables", "-t", "nat", "-A", *masquerade)
        return self

    def __exit__(self, *_):
        for name in (self.router, self.machine):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def _address(self, namespace, device, address):
        run("ip", "-n", namespace, "addr", "add", f"{address}/24", "dev", device)
        run("ip", "-n", namespace, "link", "set", device, "up")
        run("ip", "-n", namespace, "link", "set", "lo", "up")

    def _in_router(self, *words):
        run("ip", "netns", "exec", self.router, *words)

    @property
    def prefix(self):
        """How a command line begins that runs on the agent's machine."""
        return ["ip", "netns", "exec", self.machine]

    def unplug(self):
        """Nothing passes any more, in neither direction, and neither end is told."""
        for chain in ("-i", "-o"):
            self._in_router("iptables", "-A", "FORWARD", chain, "in", "-j", "DROP")

    def plug_in(self):
        self._in_router("iptables", "-F", "FORWARD")
