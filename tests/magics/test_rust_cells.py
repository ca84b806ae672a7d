"""%%rust: cells in Rust on NumPy's own memory, compiled by evcxr and loaded into the process."""

import os
from pathlib import Path

import pytest

from support.client import Client
from support.patience import wait_until
from support.rust import LONG, failed, fine, rust, shown

pytestmark = [pytest.mark.diaphane, pytest.mark.slow]


@pytest.fixture
def numpy(client: Client) -> Client:
    client.run("import numpy as np")
    return client


@pytest.mark.core
def test_a_cell_prints_and_shows_its_last_value(client: Client):
    client.run("x, n, s, b, t = 2.5, 7, 'héllo', b'abc', True")
    done = fine(client, '%%rust -i x,n,s -i b,t\nprint!("{s} {t}");\nx * n as f64 + b.len() as f64')
    assert done.text() == "héllo true"
    assert shown(done) == "20.5"
    assert fine(client, "%%rust\nlet a = 1;").all("display_data") == []


def test_a_new_compiler_has_new_libraries(client: Client):
    """Those of the one before may have been for a cell of the same number, and stay loaded."""
    client.run(
        "import psutil\nfrom IPython.core.error import UsageError\nrust = get_ipython().run_cell_magic\n"
        "def again(out, source):\n"
        "    for _ in range(9):\n"
        "        try:\n            return rust('rust', '-o ' + out, source)\n"
        "        except UsageError:\n            pass"
    )
    fine(
        client,
        "rust('rust', '-o a', 'let a = 1;')\n"
        "[compiler] = [one for one in psutil.Process().children() if one.name() == 'diaphane-rust']\n"
        "compiler.kill()\nagain('b', 'let b = 2;')",
    )
    assert client.value("(a, b)") == "(1, 2)"


@pytest.mark.core
def test_an_array_is_changed_where_it_is(numpy: Client):
    numpy.run("a = np.arange(12.).reshape(3, 4)\nbefore = a.ctypes.data")
    code = (
        "%%rust -m a -o address,total\n"
        "let address = a.as_ptr() as usize;\na.mapv_inplace(|x| 2.0 * x);\nlet total = a.sum();"
    )
    fine(numpy, code)
    assert numpy.value("address == before == a.ctypes.data") == "True"
    assert numpy.value("(a == 2 * np.arange(12.).reshape(3, 4)).all(), total") == (
        "(np.True_, 132.0)"
    )


@pytest.mark.parametrize(
    "view",
    ["a[::-1, ::2]", "a.T", "a[1:, ::-3]", "a[:0]", "a[2, 1:3]", "a[1:2, 1].reshape(())"],
)
def test_views_of_any_strides_are_seen_as_numpy_sees_them(numpy: Client, view: str):
    numpy.run(f"a = np.arange(28, dtype='i4').reshape(4, 7)\nv = {view}\nwanted = v.tolist()")
    fine(
        numpy,
        "%%rust -i v -o items,shape\nlet items: Vec<i32> = v.iter().copied().collect();\n"
        "let shape: Vec<u64> = v.shape().iter().map(|n| *n as u64).collect();",
    )
    assert numpy.value("items.reshape(shape.astype(int)).tolist() == wanted") == "True"


def test_every_kind_of_number_goes_there_and_back(numpy: Client):
    numpy.run("kinds = 'b1 i1 i2 i4 i8 u1 u2 u4 u8 f4 f8 c8 c16'.split()")
    kinds = ["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8", "c8", "c16"]
    names = ",".join(kinds)
    numpy.run("for k in kinds: globals()[k] = np.array([0, 1, 1], k)")
    copies = "".join(f"let out_{kind} = {kind}.to_owned();\n" for kind in kinds)
    outputs = ",".join(f"out_{kind}" for kind in kinds)
    fine(numpy, f"%%rust -i {names} -o {outputs}\n{copies}")
    same = "all((o := globals()['out_' + k]).dtype == k and o.tolist() == globals()[k].tolist() for k in kinds)"
    assert numpy.value(same) == "True"


def test_results_are_handed_over_without_a_copy(numpy: Client):
    code = (
        "%%rust -o v,address,grid,word,none\nlet mut v = vec![1.5f64; 100_000];\n"
        "let address = v.as_ptr() as usize;\nlet grid = ndarray::Array2::<i16>::ones((2, 3));\n"
        'let word = String::from("é");\nlet none: Option<i64> = None;'
    )
    fine(numpy, code)
    assert numpy.value("v.ctypes.data == address, v.flags.writeable, v.sum()") == (
        "(True, True, np.float64(150000.0))"
    )
    assert numpy.value("grid.tolist(), grid.dtype.name, word, none") == (
        "([[1, 1, 1], [1, 1, 1]], 'int16', 'é', None)"
    )
    # Freed by the library that made it; a wrong allocator would end the kernel.
    numpy.run("w = v[5:]; del v; w[0] = 3; del w; import gc; gc.collect()")


def test_items_stay_and_are_replaced(client: Client):
    fine(
        client,
        "%%rust\nmacro_rules! two { () => { 2 } }\nstruct P { x: i64 }\n"
        "impl P { fn twice(&self) -> i64 { two!() * self.x } }\nuse std::collections::HashMap;",
    )
    done = fine(
        client,
        "%%rust\nlet m: HashMap<i64, i64> = HashMap::new();\nP { x: 4 }.twice() + m.len() as i64",
    )
    assert shown(done) == "8"
    fine(client, "%%rust\nimpl P { fn twice(&self) -> i64 { 10 * self.x } }")
    assert shown(fine(client, "%%rust\nP { x: 4 }.twice()")) == "40"
    rows = client.run("%rust_status").one("execute_result")["data"][
        "application/vnd.diaphane.rust_status+json"
    ]["rows"]
    assert {("struct", "P"), ("use", "HashMap"), ("macro", "two")} <= {
        (row["kind"], row["name"]) for row in rows
    }
    client.run("%rust_reset")
    assert failed(client, "%%rust\nP { x: 4 }.twice()")["ename"] == "RustCompileError"


def test_an_unchanged_cell_is_not_compiled_again(numpy: Client):
    code = "%%rust -m a --time\na[0] += 1.0;"
    numpy.run("a = np.zeros(3)")
    rows = "application/vnd.diaphane.rust+json"
    first = fine(numpy, code).one("execute_result")["data"][rows]["rows"][0]
    numpy.run("a = np.ones(5)")
    again = fine(numpy, code).one("execute_result")["data"][rows]["rows"][0]
    assert (first["cached"], again["cached"]) == (False, True)
    assert first["library"] == again["library"]
    assert numpy.value("a.tolist()") == "[2.0, 1.0, 1.0, 1.0, 1.0]"
    maps = client_maps(numpy)
    assert first["library"] in maps
    assert "libstd-" in maps


def client_maps(client: Client) -> str:
    pid = client.value("__import__('os').getpid()")
    return Path(f"/proc/{pid}/maps").read_text()


def test_errors_have_the_lines_of_the_cell(client: Client):
    client.run("known = 1")
    content = failed(client, '%%rust\n// é\nlet é = "ü"; let y: i64 = é;\nknown + 1')
    text = "\n".join(content["traceback"])
    assert content["ename"] == "RustCompileError"
    number = content["execution_count"]
    assert f"In[{number}]:3:" in text
    assert f"In[{number}]:4:" in text
    assert "-i known" in text


def test_a_dependency_that_is_not_there_is_named_at_its_line(client: Client):
    content = failed(client, '%%rust\n\n:dep nothing = { path = "/nowhere/at/all" }\n1')
    assert "/nowhere/at/all" in "\n".join(content["traceback"])
    assert "\x1b" not in content["evalue"]
    assert ":3)" in content["evalue"]


def test_unsafe_code_has_to_say_so(client: Client):
    assert "E0133" in failed(client, "%%rust\n*(8 as *const u8)")["evalue"]


def test_a_panic_and_an_error_are_exceptions_with_a_line(client: Client):
    fine(client, "%%rust\nfn pick(v: &[i64], i: usize) -> i64 {\n    v[i]\n}")
    there = client.value("len(In) - 1")
    content = failed(client, "%%rust\n\npick(&[1], 3)")
    assert content["ename"] == "RustPanic"
    assert content["evalue"].startswith("index out of bounds: the len is 1 but the index is 3")
    assert f"(In[{there}]:3)" in content["evalue"]
    content = failed(client, '%%rust\nlet n: i64 = "x".parse()?;')
    assert (content["ename"], content["evalue"]) == ("RustError", "invalid digit found in string")
    caught = (
        "try:\n    get_ipython().run_cell_magic('rust', '', 'panic!(\"no\")')\n"
        "except RuntimeError as error:\n    print(type(error).__name__, error)"
    )
    assert fine(client, caught).text().startswith("RustPanic no")


@pytest.mark.parametrize(
    ("code", "signal"),
    [
        ("unsafe { *(0x1230 as *mut u8) = 1; }", "SIGSEGV"),
        ("std::process::abort();", "SIGABRT"),
        (
            "fn down(n: u64) -> u64 { let p = std::hint::black_box([n; 512]); "
            "if n == u64::MAX { 0 } else { down(n + 1) + p[3] } }\ndown(0)",
            "SIGSEGV",
        ),
    ],
)
def test_the_kernel_survives_a_fault(numpy: Client, code: str, signal: str):
    content = failed(numpy, f"%%rust\n{code}")
    assert content["ename"] == "RustCrash"
    assert signal in content["evalue"]
    assert numpy.value("np.arange(10).sum()") == "np.int64(45)"
    assert shown(fine(numpy, "%%rust\n1 + 1")) == "2"


def test_the_first_interrupt_is_heard_and_the_second_ends_a_loop(client: Client):
    heard = 'println!("on");\nlet mut n = 0u64;\nwhile !diaphane_cell::interrupted() { n = n.wrapping_add(1); }'
    deaf = 'println!("on");\nlet mut n = 1u64;\nwhile n != 0 { n = std::hint::black_box(n | 1); }'
    for code in [heard, deaf, deaf]:
        begun = client.start(f"%%rust\n{code}")
        client.until(
            lambda begun=begun: "on" in begun.text(), "the cell's output", begun, patience=LONG
        )
        # Two signals that come at the same time are one; one that comes later meets IPython.
        for _ in range(10):
            client.request("interrupt_request", {}, "control")
            for _ in range(10):
                begun.answered or client.pump(100)
            if begun.answered:
                break
        assert client.finish(begun).content["ename"] == "KeyboardInterrupt"
    assert shown(fine(client, "%%rust\n3")) == "3"


@pytest.mark.parametrize(
    ("line", "make", "why"),
    [
        ("-i a", "a = np.array([{}])", "Python objects"),
        ("-i a", "a = np.zeros(3, '>f8')", "other order"),
        ("-i a", "a = np.zeros(3, 'U3')", "texts"),
        ("-i a", "a = np.zeros(3, [('x', 'f8')])", "records"),
        ("-i a", "a = np.zeros(17, 'u1')[1:].view('f8')", "aligned"),
        ("-m a", "a = np.zeros(3); a.flags.writeable = False", "read-only"),
        ("-m a -i b", "a = np.zeros(9); b = a[::2]", "borrowed already"),
        (
            "-m a",
            "a = np.lib.stride_tricks.as_strided(np.zeros(9), (3, 3), (8, 8))",
            "share memory",
        ),
        ("-i a --slices", "a = np.zeros((3, 3)).T[1:]", "without gaps"),
        ("-m a", "a = 3", "changed in place"),
        ("-i a", "a = 2**70", "64 bits"),
        ("-i a", "a = {}", "no form in Rust"),
        ("-i aa", "a = 1", "did you mean a?"),
    ],
)
def test_what_cannot_be_borrowed_is_refused_in_one_line(
    numpy: Client, line: str, make: str, why: str
):
    numpy.run("b = None\n" + make)
    done = rust(numpy, f"%%rust {line}\n1")
    said = done.text("stderr")
    assert done.content["status"] == "error"
    assert why in said
    assert "\n" not in said.strip()


def test_functions_are_called_from_python(numpy: Client):
    defined = numpy.run(
        "%%rust --def\nuse ndarray::{ArrayView2, ArrayViewMut1};\n"
        "/// The sum of all items.\n"
        "pub fn total(a: ArrayView2<f64>, scale: f64) -> f64 { helper(a.sum(), scale) }\n"
        "fn helper(x: f64, y: f64) -> f64 { x * y }\n"
        "pub fn fill(mut a: ArrayViewMut1<i32>, items: &[i32]) {\n"
        "    for (to, from) in a.iter_mut().zip(items) { *to = *from }\n}\n"
        "pub fn parse(text: &str) -> Result<i64, std::num::ParseIntError> { text.parse() }\n"
        "pub fn ramp(n: u32) -> Vec<f32> { (0..n).map(|x| x as f32).collect() }",
    )
    assert defined.result == "defined total, fill, parse, ramp"
    assert numpy.value("total(np.ones((2, 3)), scale=2)") == "12.0"
    assert numpy.value("total.__doc__, total.__name__") == "('The sum of all items.', 'total')"
    assert numpy.value("list(__import__('inspect').signature(total).parameters)") == (
        "['a', 'scale']"
    )
    numpy.run("v = np.zeros(3, 'i4')\nassert fill(v[::-1], np.arange(3, dtype='i4')) is None")
    assert numpy.value("v.tolist(), ramp(3).tolist(), parse('42')") == (
        "([2, 1, 0], [0.0, 1.0, 2.0], 42)"
    )
    for call, name, why in [
        ("parse('x')", "RustError", "invalid digit"),
        ("total(np.ones(3), 1)", "TypeError", "an array of f64 with 2 dimensions"),
        ("total(np.ones((2, 3), 'f4'), 1)", "TypeError", "f32"),
        ("total(np.ones((2, 3)))", "TypeError", "lacks its argument scale"),
        ("total(np.ones((2, 3)), 1, 2)", "TypeError", "takes 2 arguments"),
        ("ramp(-1)", "OverflowError", ""),
        ("fill(v, v)", "TypeError", "borrowed already"),
    ]:
        content = numpy.execute(call).content
        assert (content["ename"], why in content["evalue"]) == (name, True), content["evalue"]


def test_a_function_that_python_cannot_call_is_refused(client: Client):
    content = failed(client, "%%rust --def\n\npub fn f(x: Vec<f64>) {}")
    assert "`x` is of type `Vec<f64>`" in content["evalue"]
    assert ":3)" in content["evalue"]
    assert "pub fn" in failed(client, "%%rust --def\nfn f() {}")["evalue"]


def test_without_rust_one_sentence_says_what_to_install(launch, tmp_path):
    kernel = launch(env={"PATH": str(tmp_path)})
    client = kernel.connect()
    done = client.execute("%%rust\n1")
    assert "https://sh.rustup.rs" in done.text("stderr")
    assert client.run("1 + 1").result == "2"


def test_rustup_is_not_asked_for_anything(launch, tmp_path):
    log = tmp_path / "asked"
    fake = tmp_path / "rustup"
    real = os.popen("command -v rustup").read().strip()
    fake.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec {real} "$@"\n')
    fake.chmod(0o755)
    client = launch(env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}).connect()
    assert shown(fine(client, "%%rust\n1 + 1")) == "2"
    asked = log.read_text() if log.exists() else ""
    assert "component" not in asked
    assert "toolchain" not in asked


def test_two_kernels_build_at_once(launch):
    clients = [launch().connect() for _ in range(2)]
    begun = [client.start(f"%%rust\n{n} + 1") for n, client in enumerate(clients)]
    for client, exchange in zip(clients, begun, strict=True):
        client.until(lambda e=exchange: e.answered, "the cell", exchange, patience=LONG)
    assert [shown(exchange) for exchange in begun] == ["1", "2"]


def test_the_compiler_ends_with_the_kernel(launch):
    kernel = launch()
    client = kernel.connect()
    fine(client, "%%rust\n1")
    children = Path(f"/proc/{kernel.pid}/task/{kernel.pid}/children").read_text().split()
    compilers = [
        pid for pid in children if Path(f"/proc/{pid}/comm").read_text().strip() == "diaphane-rust"
    ]
    assert len(compilers) == 1
    client.close()
    kernel.clients.remove(client)
    kernel.process.kill()
    wait_until(lambda: not Path(f"/proc/{compilers[0]}").exists(), "the compiler has ended")


def test_a_cell_that_only_defines_says_what_and_for_whom(client: Client):
    done = fine(
        client,
        "%%rust\n/// Twice.\nfn defined_twice(x: f64) -> f64 { x * 2.0 }\nstruct Pair(i32, i32);",
    )
    said = done.one("execute_result")["data"]["text/plain"]
    assert "for later Rust cells: fn defined_twice(x: f64) -> f64, struct Pair" in " ".join(
        said.split()
    )
    assert "--def" in said
    # Neither is a cell that shows or does something.
    for code in ("defined_twice(2.0)", 'let pair = Pair(1, 2); println!("{}", pair.0 + pair.1);'):
        assert fine(client, f"%%rust\n{code}").all("execute_result") == []


def test_what_helps_is_said_of_a_variable_that_ends_with_its_cell(client: Client):
    done = fine(client, "%%rust\nlet lonely = 5;")
    assert "--keep lonely" in done.text("stderr")
    assert "_lonely" not in done.text("stderr")
    done = client.execute("%%rust --def\nfn hidden_one(x: f64) -> f64 { x }")
    assert "write `pub fn hidden_one`" in "\n".join(done.content["traceback"])
