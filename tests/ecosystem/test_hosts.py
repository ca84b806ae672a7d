"""Clusters whose workers are not alike: on hosts of their own, and in an environment of their own."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from support import door

pytestmark = [pytest.mark.door("hosted"), pytest.mark.timeout(300)]
pytest.importorskip("distributed")

# An older one than that of the tests, which goes with what uses it there.
NUMPY = "2.3.5"
CACHE = Path(os.environ.get("DIAPHANE_TEST_CACHE", Path.home() / ".cache/diaphane"))

PROGRAM = """
import json, sys
from distributed import Client
import diaphane.dask

def numbers():
    import numpy
    return numpy.__version__

client = Client(sys.argv[1], timeout=60)
client.wait_for_workers(int(sys.argv[2]), timeout=60)
said = {"versions": {}}
for address, about in client.scheduler_info()["workers"].items():
    said["versions"][str(about["name"])] = client.run(numbers, workers=[address])[address]
report = diaphane.dask.doctor(client, timeout=60)
said |= {"answered": report.facts["answered"], "silent": report.facts["silent"], "text": str(report)}
said["differences"] = report.facts["differences"]
print("\\n" + json.dumps(said))
"""


@pytest.fixture
def started():
    """Starts processes, which end with the test."""
    with contextlib.ExitStack() as stack:

        def start(*words, python=None):
            command = [*words, python or door.python(), "-m"]

            def run(*arguments):
                process = subprocess.Popen(
                    [*command, *map(str, arguments)], stderr=subprocess.DEVNULL
                )
                stack.callback(process.wait)
                stack.callback(process.kill)

            return run

        yield start


def told(tmp_path, words, address, workers):
    """What the program says of a cluster."""
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [*words, door.python(), str(tmp_path / "program.py"), address, str(workers)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


@pytest.fixture
def hosts():
    """Two hosts: network namespaces with a cable between them. The words that run a program on each."""
    names = [f"dph{os.getpid()}{side}" for side in "ab"]
    with contextlib.ExitStack() as stack:
        try:
            for name in names:
                ip("netns", "add", name)
                stack.callback(ip, "netns", "delete", name)
            ip(
                "-n",
                names[0],
                "link",
                "add",
                "cable",
                "type",
                "veth",
                "peer",
                "name",
                "cable",
                "netns",
                names[1],
            )
            for number, name in enumerate(names, 1):
                ip("-n", name, "address", "add", f"10.97.0.{number}/24", "dev", "cable")
                ip("-n", name, "link", "set", "cable", "up")
                ip("-n", name, "link", "set", "lo", "up")
        except OSError as error:
            # It needs iproute2, root's rights, and a Linux with namespaces and veth.
            pytest.skip(f"no second host can be made here: {error}")
        yield [["ip", "netns", "exec", name] for name in names]


def test_workers_on_two_hosts_are_one_report(started, hosts, tmp_path):
    here, there = hosts
    address = "tcp://10.97.0.1:8786"
    started(*here)("distributed.cli.dask_scheduler", "--host", "10.97.0.1", "--no-dashboard")
    for number, host in enumerate((here, there), 1):
        started(*host)(
            "distributed.cli.dask_worker",
            address,
            "--name",
            f"host{number}",
            "--no-dashboard",
            "--nthreads",
            1,
        )
    said = told(tmp_path, here, address, 2)
    assert said["answered"] == 2
    assert said["silent"] == {}
    assert set(said["versions"]) == {"host1", "host2"}


def older_environment(folder: Path) -> Path:
    """A Python that sees the packages of the one under test, but for an older NumPy. Its program."""
    wheel = CACHE / f"numpy-{NUMPY}-{sys.implementation.cache_tag}"
    if not wheel.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as draft:
            command = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--target",
                draft,
            ]
            subprocess.run([*command, f"numpy=={NUMPY}"], check=True, timeout=200)
            os.rename(draft, wheel)
            os.mkdir(draft)
    code = "import sys; print(sys._base_executable); print(*[one for one in sys.path if one.endswith('-packages')], sep='\\n')"
    base, *packages = subprocess.run(
        [door.python(), "-c", code], capture_output=True, text=True, check=True
    ).stdout.split("\n")
    subprocess.run([base, "-m", "venv", "--without-pip", folder], check=True)
    site = next(folder.glob("lib/python3.*/site-packages"))
    # What stands in the folder itself is found before what this file names.
    shutil.copytree(wheel, site, dirs_exist_ok=True)
    (site / "others.pth").write_text("\n".join(packages))
    return folder / "bin/python"


def test_workers_with_another_numpy_are_named(started, tmp_path):
    older = older_environment(tmp_path / "older")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        file = Path(folder, "scheduler.json")
        started()(
            "distributed.cli.dask_scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            0,
            "--no-dashboard",
            "--scheduler-file",
            file,
        )
        for name, python in (("new1", None), ("new2", None), ("new3", None), ("old", older)):
            started(python=python and str(python))(
                "distributed.cli.dask_worker",
                "--scheduler-file",
                file,
                "--name",
                name,
                "--no-dashboard",
                "--nthreads",
                1,
            )
        code = f"from distributed import Client; print(Client(scheduler_file={str(file)!r}, timeout=60).scheduler.address)"
        address = subprocess.run(
            [door.python(), "-c", code], capture_output=True, text=True, check=True, timeout=100
        ).stdout.split()[-1]
        said = told(tmp_path, [], address, 4)
    assert said["versions"]["old"] == NUMPY != said["versions"]["new1"]
    named = [
        json.dumps(one)
        for one in said["differences"]
        if "numpy" in json.dumps(one) and NUMPY in json.dumps(one)
    ]
    assert named, said["differences"]
    assert all('"old"' in one and said["versions"]["new1"] in one for one in named), named
    assert NUMPY in said["text"]
