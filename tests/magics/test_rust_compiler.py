"""What a Rust cell shows of its compiler: progress, warnings, why it ended; and how values display themselves."""

import json

import pytest

from support.client import Client
from support.rust import LONG, failed, fine, rust, shown

pytestmark = [pytest.mark.diaphane, pytest.mark.slow]


@pytest.fixture
def waiting_crate(tmp_path):
    """A crate whose build goes on when there is a file `go`."""
    crate = tmp_path / "waiting"
    (crate / "src").mkdir(parents=True)
    (crate / "Cargo.toml").write_text(
        '[package]\nname = "waiting"\nversion = "0.1.0"\nedition = "2024"\n'
    )
    (crate / "src/lib.rs").write_text("pub fn seven() -> i64 { 7 }\n")
    loop = 'while !std::path::Path::new("go").exists() { std::thread::yield_now(); }'
    (crate / "build.rs").write_text(f"fn main() {{ {loop} }}\n")
    return crate


def test_a_long_build_says_what_it_compiles_and_the_line_goes(client: Client, waiting_crate):
    fine(client, "%%rust\n1")
    begun = client.start(f'%%rust\n:dep waiting = {{ path = "{waiting_crate}" }}\nwaiting::seven()')

    def lines():
        kinds = ["display_data", "update_display_data"]
        return [shown["data"]["text/plain"] for kind in kinds for shown in begun.all(kind)]

    client.until(
        lambda: any(line.startswith("Compiling waiting v0.1.0") for line in lines()),
        "the line about the dependency",
        begun,
        patience=LONG,
    )
    (waiting_crate / "go").touch()
    client.until(lambda: begun.answered, "the cell", begun, patience=LONG)
    assert begun.content["status"] == "ok", begun.content
    kinds = [kind for kind in begun.trace if kind in ("display_data", "clear_output")]
    assert kinds == ["display_data", "clear_output", "display_data"]
    assert begun.all("display_data")[-1]["data"] == {"text/plain": "7"}


def test_a_compiler_that_ends_leaves_its_last_words(launch, tmp_path):
    program = tmp_path / "compiler"
    program.write_text("#!/bin/sh\necho 'no such library: libwanted.so' >&2\nexit 127\n")
    program.chmod(0o755)
    client = launch(env={"DIAPHANE_RUST": str(program)}).connect()
    said = rust(client, "%%rust\n1").text("stderr")
    assert "no such library: libwanted.so" in said
    assert "127" in said
    assert "\n" not in said.strip()
    assert client.run("1 + 1").result == "2"


def test_warnings_are_shown_with_the_lines_of_the_cell(client: Client):
    client.run("x = 1")
    code = "%%rust -i x\n// élan\nlet é = 1;\nfn Used() {}\nuse std::fmt::Write;\n5"
    for done in [fine(client, code), fine(client, code)]:
        text = done.text("stderr")
        number = done.content["execution_count"]
        assert "unused variable: `é`" in text
        assert f"In[{number}]:3:5" in text
        assert shown(done) == "5"
        # `x` is our own statement, and items are there for later cells.
        assert text.count("warning") == 2
        assert "should have a snake case name" in text
    assert fine(client, "%%rust\n6").text("stderr") == ""


DISPLAYS = r"""%%rust
struct Page(i64);
impl Page {
    fn evcxr_display(&self) {
        println!("EVCXR_BEGIN_CONTENT text/html\n<b>{}</b>\nEVCXR_END_CONTENT", self.0);
        println!("EVCXR_BEGIN_CONTENT application/json\n[{}]\nEVCXR_END_CONTENT", self.0);
        println!("beside");
    }
}
print!("before ");
Page(3)"""


def test_values_display_themselves_as_for_evcxr(client: Client):
    done = fine(client, DISPLAYS)
    data = done.one("display_data")["data"]
    assert data == {"text/html": "<b>3</b>", "application/json": [3]}
    assert json.dumps(data)
    assert done.text() == "before beside\n"


def block(mime: str, content: str) -> str:
    return f'println!("EVCXR_BEGIN_CONTENT {mime}\\n{content}\\nEVCXR_END_CONTENT");'


@pytest.mark.parametrize("option", ["", " --isolated"])
def test_displays_of_a_cell_stand_among_its_text(client: Client, option: str):
    png = "iVBORw0KGgo="
    cell = (
        f'%%rust{option}\nprintln!("a");\n{block("text/html", "<b>x</b>")}\n'
        f'println!("b EVCXR_BEGIN_CONTENT text/html");\n{block("image/png", png)}\n'
        f'{block("application/json", "[1]")}\nprint!("c");'
    )
    for _ in range(2):
        done = fine(client, cell)
        seen = []
        for message in done.iopub:
            if message["msg_type"] == "stream":
                seen.append(message["content"]["text"])
            elif message["msg_type"] == "display_data":
                seen.append(message["content"]["data"])
        assert seen[-6:] == [
            "a\n",
            {"text/html": "<b>x</b>"},
            "b EVCXR_BEGIN_CONTENT text/html\n",
            {"image/png": png},
            {"application/json": [1]},
            "c",
        ]


def test_what_others_print_is_text_and_a_display_without_its_end_too(client: Client):
    mark = "EVCXR_BEGIN_CONTENT text/html"
    done = fine(client, f'%%rust\nprintln!("{mark}\\n<b>x</b>");')
    assert done.all("display_data") == []
    assert done.text() == f"{mark}\n<b>x</b>\n"
    done = client.run(f"import os\n_ = os.system('printf \"{mark}\\n1\\nEVCXR_END_CONTENT\\n\"')")
    assert done.all("display_data") == []
    assert done.text() == f"{mark}\n1\nEVCXR_END_CONTENT\n"


def test_standard_output_is_there_again_after_a_fault_in_a_display(client: Client):
    head = "%%rust\nstruct Bad;\nimpl Bad { fn evcxr_display(&self) { "
    panics = failed(client, head + 'panic!("no") } }\nBad')
    assert panics["ename"] == "RustPanic"
    faults = failed(client, head + "unsafe { *(0x1230 as *mut u8) = 1 } } }\nBad")
    assert faults["ename"] == "RustCrash"
    assert "here\n" in client.run("import os; _ = os.system('echo here')").text()


def test_a_value_that_cannot_be_shown_is_named(client: Client):
    content = failed(client, "%%rust\nstruct Bare;\n(1, Bare)")
    assert "cannot be displayed" in content["evalue"]
    assert ":3)" in content["evalue"]
    assert "evcxr_display" not in "\n".join(content["traceback"])


@pytest.mark.parametrize("opening", ["(", "{", "!", "|| ", "return ", "match a { _ => "])
def test_a_cell_that_is_nested_too_deeply_leaves_the_compiler_alone(client: Client, opening: str):
    """Each parser of Rust calls itself for each level, so its stack would end, and the items of all cells with it."""
    fine(client, "%%rust\nfn seven() -> i32 { 7 }")
    told = failed(client, "%%rust\n" + opening * 20_000)
    assert "nested" in told["evalue"], told
    assert shown(fine(client, "%%rust\nseven()")) == "7"
