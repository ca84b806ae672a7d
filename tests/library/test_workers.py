"""What the workers of a cluster leave for their parent."""

import json

import pytest

from support import door
from support.programs import start

pytestmark = pytest.mark.door("hosted")

PROGRAM = """
import json, os, sys, time
from pathlib import Path

from diaphane import workers

base = Path(os.environ["TMPDIR"], f"diaphane-workers-{os.getuid()}")
other = f"{os.getppid()}-{workers._begun_at(os.getppid())}"
again = f"{os.getppid()}-1"
names = [other, again, "999999999-7", "999999998-7"]
for name in names:
    (base / name / "worker").mkdir(parents=True)
    (base / name / "worker" / "worker-crash-1.json").write_text("{}")
for name in (other, again, "999999999-7"):
    os.utime(base / name, (0, time.time() - 2 * workers.OLD))
own = workers._folder(os.getpid()).name
left = {path.name for path in base.iterdir()}
print(json.dumps({"left": [name in left for name in names], "own": own in left}))
"""


def test_what_killed_parents_left_behind_is_removed_when_it_is_old(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = start(door.python(), str(program))
    assert done.returncode == 0, done.stderr
    # One that lives, a number that is another process's now, one that is gone for long, and one since today.
    assert json.loads(done.stdout) == {"left": [True, False, False, True], "own": True}
