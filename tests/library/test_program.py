"""`diaphane run`: a whole program below a recording."""

import json

import pytest

from support import door
from support.programs import start

PROGRAM = """
import sys, time
def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end: pass
if __name__ == "__main__":
    print(sys.argv[1:], __file__)
    burn(0.3)
    import _decimal
    {end}
"""


@pytest.fixture
def program(tmp_path):
    def program(options, end="", *words):
        script = tmp_path / "script.py"
        script.write_text(PROGRAM.format(end=end))
        return start(*door.command(), "run", *options, str(script), *words, cwd=tmp_path)

    return program


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        ("", 0, ""),
        ("sys.exit(7)", 7, ""),
        ("sys.exit('bad')", 1, "bad"),
        ("1 / 0", 1, "ZeroDivisionError"),
    ],
)
def test_the_report_comes_at_the_end_and_the_exit_code_is_kept(program, tmp_path, end, code, said):
    done = program(
        ["--json", str(tmp_path / "out.json"), "--html", str(tmp_path / "out.html")],
        end,
        "--own",
        "x",
    )
    assert done.returncode == code
    assert done.stdout == f"['--own', 'x'] {tmp_path}/script.py\n"
    assert said in done.stderr
    assert "program.py" not in done.stderr
    report = json.loads((tmp_path / "out.json").read_text())
    functions = {row["function"]: row["total_pct"] for row in report["rows"]}
    assert functions["burn"] > 50
    assert "burn" in done.stderr
    assert "burn" in (tmp_path / "out.html").read_text()
    assert not any("diaphane" in (row["file"] or "") for row in report["rows"])


def test_other_recordings_and_the_doctor(program):
    assert "_decimal" in program(["--trace-loads"]).stderr
    assert "system calls" in program(["--syscalls"]).stderr
    assert program(["--doctor"]).returncode == 0
    assert program(["--doctor", "--syscalls"]).returncode == 2


def test_a_module_and_what_cannot_be_run(tmp_path):
    (tmp_path / "mine.py").write_text("import sys\nprint(sys.argv, __name__, __spec__.name)\n")
    done = start(*door.command(), "run", "-m", "mine", "word", cwd=tmp_path)
    assert done.stdout == f"['{tmp_path}/mine.py', 'word'] __main__ mine\n"
    missing = start(*door.command(), "run", "nowhere.py", cwd=tmp_path)
    assert missing.returncode == 2
    assert "nowhere.py" in missing.stderr
