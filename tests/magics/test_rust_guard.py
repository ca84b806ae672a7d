"""%%rust in the kernel's own process: what survived faults leave behind, and interrupts at any moment."""

import pytest

from support.client import Client
from support.patience import wait_until
from support.rust import failed, fine, running, shown

pytestmark = [pytest.mark.diaphane, pytest.mark.slow]


def diagnoses(client: Client, magic: str) -> list[dict]:
    data = client.run(f"%{magic}").one("execute_result")["data"]
    return data[f"application/vnd.diaphane.{magic}+json"]["diagnoses"]


def test_a_survived_fault_taints_the_kernel(launch):
    client = launch().connect()
    fault = "%%rust\nunsafe { *(0x1230 as *mut u8) = 1; }"
    fine(client, "%%rust\n1")
    assert "R001" not in [one["code"] for one in diagnoses(client, "native_doctor")]
    first = "\n".join(failed(client, fault)["traceback"])
    assert "restart" in first
    assert "--isolated" in first
    tainted = client.value("len(In) - 1")
    fine(client, "%rust_reset")
    assert f"tainted since In[{tainted}]" in "\n".join(failed(client, fault)["traceback"])
    for magic in ["rust_status", "native_doctor"]:
        [found] = [one for one in diagnoses(client, magic) if one["code"] == "R001"]
        assert f"In[{tainted}]" in found["title"]
        assert "0x1230" in "".join(found["evidence"])
    assert (
        client.value(
            "(_ := get_ipython().run_line_magic('rust_status', '')).facts['tainted']['faults']"
        )
        == "2"
    )


def test_what_happens_apart_taints_nothing(launch):
    client = launch().connect()
    failed(client, "%%rust --isolated\nunsafe { *(0x1230 as *mut u8) = 1; }")
    failed(client, "%%rust\npanic!()")
    assert diagnoses(client, "rust_status") == []


def test_a_blocked_cell_says_why_it_does_not_end(client: Client, tmp_path):
    """It waits for another thread, so it cannot be stopped; when that has ended it is."""
    gate = tmp_path / "gate"
    begun = running(
        client,
        f'%%rust\nlet gate = std::path::Path::new("{gate}");\nprintln!("on");\n'
        "std::thread::scope(|s| { s.spawn(|| while !gate.exists() { std::thread::yield_now() }); });\n"
        "let mut n = 1u64;\nwhile n != 0 { n = std::hint::black_box(n | 1); }",
    )

    def interrupt_until(done) -> None:
        # Two signals that come at the same time are one.
        for _ in range(20):
            client.request("interrupt_request", {}, "control")
            for _ in range(20):
                done() or client.pump(100)
            if done():
                return

    interrupt_until(lambda: "blocked" in begun.text("stderr"))
    assert "--isolated" in begun.text("stderr")
    assert not begun.answered
    gate.touch()
    assert client.finish(begun).content["ename"] == "KeyboardInterrupt"
    assert shown(fine(client, "%%rust\n3")) == "3"


@pytest.mark.parametrize("interrupts", [1, 2, 3])
def test_a_cell_that_fails_while_it_is_interrupted(client: Client, interrupts: int):
    """The signals come from the cell itself, right before it panics."""
    code = (
        'unsafe extern "C" { fn raise(signal: i32) -> i32; }\n'
        f'for _ in 0..{interrupts} {{ unsafe {{ raise(2) }}; }}\npanic!("late")'
    )
    for _ in range(3):
        begun = client.execute(f"%%rust\n{code}")
        assert begun.content["ename"] == "KeyboardInterrupt", begun.content
        assert begun.trace.count("error") == 1
        assert client.run("1 + 1").result == "2"


def test_interrupts_around_the_end_of_a_cell(client: Client, tmp_path):
    """A thread of the cell's interrupts on and on while it fails and while the kernel tells of it."""
    calm = tmp_path / "calm"
    storm = (
        'unsafe extern "C" { fn kill(pid: i32, signal: i32) -> i32; }\n'
        "let pid = std::process::id() as i32;\n"
        "std::thread::spawn(move || {\n    for pause in 0..40 {\n        unsafe { kill(pid, 2) };\n"
        "        std::thread::sleep(std::time::Duration::from_micros(200 * pause));\n    }\n"
        f'    std::fs::write("{calm}", "").unwrap();\n}});\n'
        'std::thread::sleep(std::time::Duration::from_millis(2));\npanic!("in the storm")'
    )
    for _ in range(10):
        done = client.execute(f"%%rust\n{storm}")
        assert done.content["status"] == "error"
        assert done.content["ename"] in ("KeyboardInterrupt", "RustPanic"), done.content
        assert done.trace.count("error") >= 1, done.trace
        wait_until(calm.exists, "the storm is over")
        calm.unlink()
        assert client.run("1 + 1").result == "2"
