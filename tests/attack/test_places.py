"""Starts in places that lack something: the kernel runs cells there, or says in one clear sentence why it does not."""

import re
import shlex
import subprocess

from support.attack import Dice, times
from support.client import Client
from support.process import Kernel


def shell(script: str) -> list[str]:
    """A shell that does something and then becomes the kernel."""
    return ["sh", "-c", f'{script} && exec "$@"', "sh"]


def mounted(script: str, *options: str) -> list[str]:
    """The same with mounts of its own; not every machine allows it."""
    return ["unshare", "-rm", *options, *shell(script)]


def full(size: str) -> list[str]:
    """Everything that is written by default goes to a small file system."""
    folders = f"mkdir -p full && mount -t tmpfs -o size={size} none full"
    return mounted(
        f'{folders} && export HOME="$PWD/full" IPYTHONDIR="$PWD/full/i" TMPDIR="$PWD/full"'
    )


PLACES: dict[str, list[str]] = {
    "no HOME": ["env", "-u", "HOME"],
    "a HOME that is not there": ["env", "-u", "IPYTHONDIR", "HOME=/none"],
    "a HOME that is a device": ["env", "-u", "IPYTHONDIR", "HOME=/dev/null"],
    "a profile that is a file": shell('echo > file && export IPYTHONDIR="$PWD/file"'),
    "a profile that cannot be made": ["env", "IPYTHONDIR=/proc/none"],
    "nothing but PATH": [
        "sh",
        "-c",
        'exec env -i PATH=/usr/bin:/bin IPYTHONDIR="$PWD/i" "$@"',
        "sh",
    ],
    "an empty environment": ["sh", "-c", 'exec env -i IPYTHONDIR="$PWD/i" "$@"', "sh"],
    "the C locale": ["env", "LC_ALL=C"],
    "a locale that is not there": ["env", "LC_ALL=xx_YY.UTF-99", "LANG=none"],
    "a TMPDIR that is not there": ["env", "TMPDIR=/none", "TMP=/none", "TEMP=/none"],
    "a TERM that is not there": ["env", "TERM=none", "COLUMNS=0", "LINES=x"],
    "a folder that was deleted": shell('mkdir gone && cd gone && rmdir "$PWD"'),
    "no standard input": shell("exec <&-"),
    "no standard output": shell("exec >&-"),
    "no standard error": shell("exec 2>&-"),
    "no standard descriptors": shell("exec <&- >&- 2>&-"),
    "a full standard output": shell("exec >/dev/full"),
    "a full standard error": shell("exec 2>/dev/full"),
    "a reader that has gone": shell("exec 2>&1 | true"),
    "16 descriptors": shell("ulimit -n 16"),
    "40 descriptors": shell("ulimit -n 40"),
    "80 descriptors": shell("ulimit -n 80"),
    "many descriptors": shell("ulimit -n $(ulimit -Hn)"),
    "100 MB of addresses": shell("ulimit -v 100000"),
    "400 MB of addresses": shell("ulimit -v 400000"),
    "1.5 GB of addresses": shell("ulimit -v 1500000"),
    "100 MB of data": shell("ulimit -d 100000"),
    "a stack of 256 kB": shell("ulimit -s 256"),
    "a stack without end": shell("ulimit -s unlimited"),
    "files of 64 kB": shell("ulimit -f 128"),
    "no core files": shell("ulimit -c 0"),
    "no locked memory": shell("ulimit -l 0"),
    "ignored signals": shell("trap '' HUP INT QUIT TERM PIPE CHLD USR1 USR2 ALRM"),
    "blocked signals": ["env", "--block-signal"],
    "a low priority": ["nice", "-n", "19"],
    "one processor": ["taskset", "-c", "0"],
    "a disk of 64 kB": full("64k"),
    "a disk of 1 MB": full("1m"),
    "a disk without inodes": full("1m,nr_inodes=2"),
    "no /proc": mounted("mount -t tmpfs none /proc"),
    "no /sys": mounted("mount -t tmpfs none /sys"),
    "no /dev/shm": mounted("mount -t tmpfs -o ro none /dev/shm"),
    "a pid namespace": ["unshare", "-rmpf", "--mount-proc", "--kill-child"],
    "no network but itself": ["unshare", "-rn", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"],
}
# Needs no network: its sockets are files.
IPC = {"no network but itself"}
MAGICS = ["%threads", "%loaded_libs --top 3", "%addr_map --top 3", "%%native_calls\nlen([])"]


def test_places(launch, dice: Dice):
    """All of them is `DIAPHANE_ATTACK=4`."""
    allowed = (
        subprocess.run(["unshare", "-rmn", "true"], capture_output=True, check=False).returncode
        == 0
    )
    names = [name for name, under in PLACES.items() if allowed or under[0] != "unshare"]
    complaints = {}
    for name in dice.sample_of(names, times(12)):
        kernel = launch(under=PLACES[name], transport="ipc" if name in IPC else "tcp")
        complaint = wrong(kernel)
        if complaint:
            complaints[name] = f"{complaint}\n  {shlex.join(PLACES[name])}\n{kernel.log}"
        kernel.close()
    assert not complaints, "\n".join(
        f"{name}: {complaint}" for name, complaint in complaints.items()
    )


def wrong(kernel: Kernel) -> str | None:
    """What is wrong with a kernel that was started somewhere; None if it runs there, or says why it cannot."""
    try:
        client = kernel.connect()
        # Python starts behind the first answers, and may find no place then.
        client.run("pass")
    except AssertionError as error:
        # The cell is told why it will have no answer, and the log too.
        _, has_ended, why = str(error).partition("KernelEnded: ")
        if kernel.alive and not has_ended:
            return str(error)
        return unclear(kernel) or (None if why in kernel.log else f"its cell is told: {why}")
    try:
        return unable(client) or end(kernel, client)
    except AssertionError as error:
        return str(error)


def unable(client: Client) -> str | None:
    """What a kernel that runs cannot do."""
    if client.run("1 + 1").result != "2":
        return "it cannot add"
    for magic in MAGICS:
        try:
            done = client.execute(magic)
        except AssertionError as error:
            return f"{magic}: {error}"
        # It may say that there is no room for it.
        if "diaphane bug" in str(done.content):
            return f"{magic}: {done.content}"
    return None


def end(kernel: Kernel, client: Client) -> str | None:
    client.send("shutdown_request", {"restart": False}, "control")
    code = kernel.wait()
    return None if code == 0 else f"it ended with {code}"


def unclear(kernel: Kernel) -> str | None:
    """What is not clear in the words with which a kernel could not start."""
    code, said = kernel.wait(), kernel.log.strip()
    if code == 0:
        return "it did not start and ended with 0"
    if code < 0:
        return f"it died of signal {-code}"
    if len(said.splitlines()) != 1 or "panicked" in said or "Traceback" in said:
        return "it does not say in one sentence why it does not start"
    if re.search(r": -?\d+$", said) or len(said.split()) < 4:
        return "its sentence does not say what is missing"
    return None
