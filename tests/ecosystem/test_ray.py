"""Ray's workers, whose hook is ours. Ray is a large package, and has wheels for some Pythons only: where it is not
installed, a plain process does what its worker does with the hook."""

import json

import pytest

from support import door
from support.programs import start

pytestmark = [pytest.mark.door("hosted"), pytest.mark.timeout(240)]

WORKER = """
import json, os, subprocess, sys
import diaphane.ray

def look():
    import diaphane
    from diaphane import _diaphane
    return {"pid": os.getpid(), "listens": os.getpid() in _diaphane.listening(), "rows": len(diaphane.threads())}
"""


@pytest.fixture
def run(tmp_path):
    """Runs the text of a program, and gives what it printed last."""

    def run(code):
        program = tmp_path / "program.py"
        program.write_text(WORKER + code)
        done = start(door.python(), str(program))
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


def test_what_the_hook_does_in_a_plain_process(run):
    said = run("""
diaphane.ray.setup()
print(json.dumps(look()))
""")
    assert said["listens"]
    assert said["rows"] > 0


def test_a_worker_of_ray_has_the_hook(run):
    pytest.importorskip("ray")
    said = run("""
import ray
ray.init(num_cpus=1, include_dashboard=False, runtime_env={"worker_process_setup_hook": diaphane.ray.setup})
print("\\n" + json.dumps(ray.get(ray.remote(look).remote()) | {"own": os.getpid()}))
ray.shutdown()
""")
    assert said["pid"] != said["own"]
    assert said["listens"]
