"""Programs of a plain Python, without IPython and without a kernel, that has diaphane among its packages."""

import json

import pytest

from support import door
from support.programs import start


def pytest_collection_modifyitems(items):
    for item in items:
        if "/library/" in str(item.path):
            item.add_marker(pytest.mark.door("hosted"))


@pytest.fixture
def run(tmp_path):
    """Runs the text of a program, and gives what it has left in `said`; it fails as the program does."""

    def run(code, *words, check=True):
        program = tmp_path / "program.py"
        program.write_text(f"said = {{}}\n{code}\nimport json\nprint('\\n' + json.dumps(said))\n")
        done = start(door.python(), str(program), *words)
        if check:
            assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1]) if check else done

    return run
