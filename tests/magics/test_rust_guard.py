"""%%rust in the kernel's own process: what survived faults leave behind, and interrupts at any moment."""

import pytest

from support.client import Client
from support.patience import wait_until
from support.process import Kernel
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


# Each leaves the standard library in a panic; with what is said of it, and the line.
ABORTS = {
    "null": (
        "unsafe { *std::hint::black_box(std::ptr::null_mut::<u8>()) = 1; }",
        "null pointer dereference occurred (In[{cell}]:2)",
    ),
    "misaligned": (
        "let two = [0u64; 2];\nlet at = two.as_ptr().cast::<u8>().wrapping_add(1).cast::<u32>();\n"
        'println!("{}", unsafe { *std::hint::black_box(at) });',
        "misaligned pointer dereference",
    ),
    "c": (
        'extern "C" fn c() { panic!("in C") }\nc();',
        "in C; panic in a function that cannot unwind (In[{cell}]:2)",
    ),
    "destructor": (
        'struct Bad;\nimpl Drop for Bad { fn drop(&mut self) { panic!("second") } }\n'
        'let _bad = Bad;\npanic!("first");',
        "second; panic in a destructor during cleanup (In[{cell}]:3)",
    ),
}


@pytest.mark.parametrize("option", ["", " --isolated"])
@pytest.mark.parametrize("name", ABORTS)
def test_a_panic_that_aborts_tells_why_and_the_next_cell_runs(
    client: Client, name: str, option: str
):
    code, words = ABORTS[name]
    for _ in range(2):
        content = failed(client, f"%%rust{option}\n{code}")
        assert content["ename"] == "RustCrash"
        cell = content["execution_count"]
        assert "SIGABRT" in content["evalue"]
        assert words.format(cell=cell) in content["evalue"]
        for later in ["", " --isolated"]:
            # New ones and one that was compiled before.
            assert shown(fine(client, f"%%rust{later}\n{cell} + 1")) == str(cell + 1)
            assert shown(fine(client, f"%%rust{later}\n6 * 7")) == "42"
    assert failed(client, '%%rust\npanic!("plain")')["ename"] == "RustPanic"


def test_a_panic_that_aborts_in_another_lane_is_no_panic_of_this_one(client: Client):
    """Two cells at once: one fails again and again while the other one runs."""
    sub = client.request("create_subshell_request", {}, "control").content["subshell_id"]
    fault = f"%%rust\n{ABORTS['null'][0]}"
    failed(client, fault)
    for round in range(3):
        others = [client.start(fault, header={"subshell_id": sub}), client.start("%%rust\n1 + 2")]
        for begun in others:
            client.until(lambda begun=begun: begun.answered, "both cells", begun, patience=300)
        bad, good = others
        assert bad.content["ename"] == "RustCrash", (round, bad.content)
        assert good.content["status"] == "ok", (round, good.content)


def test_a_fault_in_a_hook_for_panics_is_the_last_one(launch):
    """Its lock stays locked, so that no cell can begin: said at once, and nobody waits."""
    client = launch().connect()
    failed(
        client,
        '%%rust\nstd::panic::set_hook(Box::new(|_| panic!("in the hook")));\npanic!("first")',
    )
    for option in ["", " --isolated"]:
        content = failed(client, f"%%rust{option}\n1")
        assert content["ename"] == "UsageError"
        assert "restart the kernel" in content["evalue"]
    assert client.run("1 + 1").result == "2"


# Panics of other threads, thrown again on the cell's; the line of each.
ELSEWHERE = {
    "join": (
        'let thread = std::thread::spawn(|| {\n    panic!("boom {}", 1 + 1)\n});\n'
        "if let Err(e) = thread.join() { std::panic::resume_unwind(e) }",
        "boom 2 (In[{cell}]:3)",
    ),
    "literal": (
        'let thread = std::thread::spawn(|| -> () {\n\n    panic!("a literal")\n});\n'
        "thread.join().unwrap_or_else(|e| std::panic::resume_unwind(e));",
        "a literal (In[{cell}]:4)",
    ),
    "value": (
        "let thread = std::thread::spawn(|| {\n    std::panic::panic_any(7_u32)\n});\n"
        "if let Err(e) = thread.join() { std::panic::resume_unwind(e) }",
        "a value that is no text (In[{cell}]:3)",
    ),
    "caught": (
        "let caught = std::panic::catch_unwind(|| { let v = vec![1]; v[std::hint::black_box(3)] });\n"
        'let _other = std::panic::catch_unwind(|| panic!("other"));\n'
        "std::panic::resume_unwind(caught.unwrap_err());",
        "index out of bounds: the len is 1 but the index is 3 (In[{cell}]:2)",
    ),
    "never thrown": (
        'std::panic::resume_unwind(Box::new("own words".to_owned()));',
        "own words",
    ),
}


@pytest.mark.parametrize("option", ["", " --isolated"])
@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_panic_of_another_thread_keeps_its_words_and_its_line(
    client: Client, name: str, option: str
):
    code, words = ELSEWHERE[name]
    content = failed(client, f"%%rust{option}\n{code}")
    assert content["ename"] == "RustPanic"
    assert content["evalue"] == words.format(cell=content["execution_count"])


def test_panics_of_equal_words_at_two_lines_have_none(client: Client):
    code = (
        'let fail = |n: u32| {\n    if n == 0 { panic!("same") }\n    panic!("same")\n};\n'
        "let all = [0, 1].map(|n| std::panic::catch_unwind(|| fail(n)));\n"
        "for one in all { if let Err(e) = one { std::panic::resume_unwind(e) } }"
    )
    assert failed(client, f"%%rust\n{code}")["evalue"] == "same"


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


def test_interrupts_that_another_thread_gets(client: Client, kernel: Kernel):
    """The first one is the cell's to hear, and the second one stops it."""
    cell = (
        "%%rust\nstd::thread::spawn(|| std::thread::sleep(std::time::Duration::from_secs(600)));\n"
        "{}\nlet mut n = 1u64;\nwhile n != 0 {{ n = std::hint::black_box(n | 1); }}"
    )
    before = set(kernel.threads)
    begun = running(client, cell.format('println!("on");'))
    other = max(set(kernel.threads) - before)
    for _ in range(2):
        assert not begun.answered
        kernel.interrupt_thread(other)
        client.pump(500)
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
