"""%%rust --isolated: a cell in a process of its own, whose changes count only if it comes to its end."""

import pytest

from support.client import Client
from support.patience import wait_until
from support.rust import failed, fine, running, shown

pytestmark = [pytest.mark.diaphane, pytest.mark.slow]

CHILDREN = (
    "import psutil\n"
    "def children():\n"
    "    return [one.pid for one in psutil.Process().children(True) if one.name() == 'rust-isolated']"
)


@pytest.fixture
def numpy(client: Client) -> Client:
    client.run("import numpy as np\n" + CHILDREN)
    return client


def test_a_cell_runs_in_a_process_of_its_own_on_the_same_addresses(numpy: Client):
    numpy.run(
        "a = np.arange(12.).reshape(3, 4)[:, ::-2]\nb = np.ones(5)\nimport os\nkernel = os.getpid()"
    )
    done = fine(
        numpy,
        "%%rust --isolated -i b -m a -o pid,address,big,word,flag,turned\n"
        'let pid = std::process::id();\nlet address = b.as_ptr() as usize;\nprintln!("from {}", "far");\n'
        "a.mapv_inplace(|x| x + 100.0);\nlet big = vec![7i64; 300_000];\n"
        'let word = "é".to_string();\nlet flag = b.sum() == 5.0;\n'
        "let mut turned = ndarray::arr2(&[[1.5f32, 2.5], [3.5, 4.5]]).reversed_axes();\n"
        "turned.invert_axis(ndarray::Axis(0));\na.sum()",
    )
    assert done.text() == "from far\n"
    assert shown(done) == str(sum(x + 100.0 for x in (3, 1, 7, 5, 11, 9)))
    assert numpy.value("pid != kernel, address == b.ctypes.data, word, flag") == (
        "(True, True, 'é', True)"
    )
    assert numpy.value("a.tolist()") == "[[103.0, 101.0], [107.0, 105.0], [111.0, 109.0]]"
    assert numpy.value("a.base.reshape(3, 4)[:, ::2].tolist()") == (
        "[[0.0, 2.0], [4.0, 6.0], [8.0, 10.0]]"
    )
    assert numpy.value("len(big), big.sum(), big.flags.writeable, turned.tolist()") == (
        "(300000, np.int64(2100000), True, [[2.5, 4.5], [1.5, 3.5]])"
    )
    assert numpy.value("children()") == "[]"


def test_every_kind_goes_there_and_back(numpy: Client):
    kinds = ["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8", "c8", "c16"]
    numpy.run(f"for k in {kinds}: globals()[k] = np.array([[0, 1, 1], [1, 0, 0]], k).T[::-1]")
    body = "".join(
        f"let out_{kind} = {kind}.to_owned();\nlet one_{kind} = {kind}[[0, 0]];\n" for kind in kinds
    )
    swap = "".join(
        f"{kind}.invert_axis(ndarray::Axis(1)); {kind}[[0, 0]] = {kind}[[1, 1]];\n"
        for kind in kinds
    )
    outputs = ",".join(f"out_{kind},one_{kind}" for kind in kinds)
    numpy.run(f"before = [globals()[k].tolist() for k in {kinds}]")
    fine(numpy, f"%%rust --isolated -m {','.join(kinds)} -o {outputs}\n{body}{swap}")
    same = (
        f"[k for k, was in zip({kinds}, before) if not ((o := globals()['out_' + k]).dtype == k and o.tolist() == was "
        "and globals()['one_' + k] == was[0][0] and globals()[k][0, 1] == was[1][0])]"
    )
    assert numpy.value(same) == "[]"


@pytest.mark.parametrize(
    ("code", "name", "why"),
    [
        ('panic!("no");', "RustPanic", "no"),
        ('let n: i64 = "x".parse()?;', "RustError", "invalid digit"),
        ("unsafe { *(0x1230 as *mut u8) = 1; }", "RustCrash", "SIGSEGV"),
        ("std::process::abort();", "RustCrash", "SIGABRT"),
        (
            "fn down(n: u64) -> u64 { let p = std::hint::black_box([n; 512]); "
            "if n == u64::MAX { 0 } else { down(n + 1) + p[3] } }\ndown(0);",
            "RustCrash",
            "SIGSEGV",
        ),
        ("std::process::exit(7);", "RustExit", "code 7"),
        ("std::process::exit(0);", "RustExit", "code 0"),
        (
            "std::thread::spawn(|| unsafe { *(0x1230 as *mut u8) = 1; }).join().ok();",
            "RustCrash",
            "SIGSEGV",
        ),
    ],
)
def test_what_goes_wrong_leaves_everything_as_it_was(numpy: Client, code: str, name: str, why: str):
    numpy.run("a = np.arange(4.)\nout = 'before'")
    content = failed(numpy, f"%%rust --isolated -m a -o out\na.fill(9.0);\n{code}\nlet out = 1;")
    assert content["ename"] == name
    assert why in content["evalue"]
    assert numpy.value("a.tolist(), out, children()") == "([0.0, 1.0, 2.0, 3.0], 'before', [])"
    assert shown(fine(numpy, "%%rust -m a\na[3] = 8.0;\na[3]")) == "8.0"


def test_an_interrupt_ends_it_at_once(numpy: Client):
    numpy.run("a = np.zeros(3)")
    loops = [
        "let mut n = 1u64;\nwhile n != 0 { n = std::hint::black_box(n | 1); }",
        # What cannot be interrupted in the kernel's own process: a lock that nobody gives back.
        "let lock = std::sync::Mutex::new(0);\nlet _held = lock.lock().unwrap();\nlet _again = lock.lock().unwrap();",
    ]
    for code in loops:
        begun = running(numpy, f'%%rust --isolated -m a\na.fill(1.0);\nprintln!("on");\n{code}')
        numpy.request("interrupt_request", {}, "control")
        assert numpy.finish(begun).content["ename"] == "KeyboardInterrupt"
        assert numpy.value("a.sum(), children()") == "(np.float64(0.0), [])"


def test_an_unchanged_cell_is_run_in_both_ways(numpy: Client):
    """Also one that has started threads, which do not exist in a child."""
    pool = (
        "static POOL: std::sync::OnceLock<std::sync::mpsc::Sender<std::sync::mpsc::Sender<u32>>> = "
        "std::sync::OnceLock::new();\n"
        "let pool = POOL.get_or_init(|| {\n    let (give, take) = std::sync::mpsc::channel();\n"
        "    std::thread::spawn(move || for asked in take {\n"
        "        let asked: std::sync::mpsc::Sender<u32> = asked; asked.send(42).unwrap();\n    });\n    give\n});\n"
        "let (give, take) = std::sync::mpsc::channel();\npool.send(give)?;\ntake.recv()?"
    )
    rows = "application/vnd.diaphane.rust+json"
    for line in ["", "--isolated", "", "--isolated"]:
        done = fine(numpy, f"%%rust --time {line}\n{pool}")
        assert shown(done) == "42"
        row = done.one("execute_result")["data"][rows]["rows"][0]
        assert (row["fork_ns"] is not None, row["back_ns"] is not None) == (bool(line), bool(line))
        assert row["run_ns"] > 0
    assert row["cached"] is True


def test_it_keeps_no_open_file_of_the_kernel(numpy: Client):
    done = fine(
        numpy,
        '%%rust --isolated\nlet mut open: Vec<String> = std::fs::read_dir("/proc/self/fd")?\n'
        "    .filter_map(|one| std::fs::read_link(one.ok()?.path()).ok())\n"
        '    .map(|one| one.display().to_string()).filter(|one| one.contains("socket") || one.contains("eventfd"))\n'
        "    .collect();\nopen.sort();\nopen",
    )
    assert shown(done) == "[]"


def test_it_ends_with_the_kernel(launch):
    kernel = launch()
    client = kernel.connect()
    client.run(CHILDREN)
    begun = running(
        client,
        '%%rust --isolated\nprintln!("{} on", std::process::id());\nloop { std::thread::park(); }',
    )
    pid = int(begun.text().split()[0])
    client.close()
    kernel.clients.remove(client)
    kernel.process.kill()
    wait_until(lambda: not is_alive(pid), "the child has ended")


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_functions_run_in_processes_of_their_own(numpy: Client):
    fine(
        numpy,
        "%%rust --def --isolated\npub fn add(a: &mut [f64], x: f64) -> u32 {\n"
        "    for one in a.iter_mut() { *one += x }\n    assert!(x > 0.0);\n    std::process::id()\n}",
    )
    numpy.run("a = np.zeros(2)\npids = {add(a, 1.0), add(a, 2.0)}")
    assert numpy.value("a.tolist(), len(pids), __import__('os').getpid() in pids") == (
        "([3.0, 3.0], 2, False)"
    )
    assert numpy.execute("add(a, -1.0)").content["ename"] == "RustPanic"
    assert numpy.value("a.tolist()") == "[3.0, 3.0]"


def test_the_kernel_answers_while_it_runs(numpy: Client):
    begun = running(numpy, '%%rust --isolated\nprintln!("on");\nloop { std::thread::park(); }')
    reply = numpy.request("magic_request", {"name": "threads", "line": ""}, "control")
    assert reply.content["status"] == "ok"
    numpy.request("interrupt_request", {}, "control")
    assert numpy.finish(begun).content["status"] == "error"
