"""What is around Rust cells: no network, no linker, folders in the user's home, pools of threads."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from support.client import Client
from support.rust import failed, fine, rust, shown

pytestmark = [pytest.mark.diaphane, pytest.mark.slow]


def rustc(*words: str) -> Path:
    done = subprocess.run(["rustc", *words], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())


def test_without_a_network_what_is_there_works_and_the_rest_is_named(launch, tmp_path):
    crate = tmp_path / "there"
    (crate / "src").mkdir(parents=True)
    (crate / "Cargo.toml").write_text(
        '[package]\nname = "there"\nversion = "0.1.0"\nedition = "2024"\n'
    )
    (crate / "src/lib.rs").write_text("pub fn seven() -> i64 { 7 }\n")
    client = launch(env={"CARGO_NET_OFFLINE": "true"}).connect()
    done = fine(client, f'%%rust\n:dep there = {{ path = "{crate}" }}\nthere::seven()')
    assert shown(done) == "7"
    content = failed(client, '%%rust\n:dep no-such-crate-anywhere = "1"\n1')
    assert "no-such-crate-anywhere" in content["evalue"]
    assert "CARGO_NET_OFFLINE" in content["evalue"]
    assert ":2)" in content["evalue"]
    assert "\n" not in content["evalue"]
    assert shown(fine(client, "%%rust\nthere::seven() + 1")) == "8"


def test_without_a_linker_one_sentence_says_what_to_install(launch, tmp_path):
    for program in ("rustc", "cargo"):
        (tmp_path / program).symlink_to(rustc("--print", "sysroot") / "bin" / program)
    client = launch(env={"PATH": str(tmp_path)}).connect()
    said = rust(client, "%%rust\n1").text("stderr")
    assert "no linker was found" in said
    assert "install gcc" in said
    assert "\n" not in said.strip()
    assert client.run("1 + 1").result == "2"


def test_rustup_installs_nothing_for_completion(launch, tmp_path):
    log = tmp_path / "asked"
    fake = tmp_path / "rustup"
    real = shutil.which("rustup")
    fake.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec {real} "$@"\n')
    fake.chmod(0o755)
    client = launch(env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}).connect()
    code = "%%rust\nstruct P { width: i64 }\nlet p = P { width: 1 };\np.w"
    for _ in range(120):
        reply = client.request("complete_request", {"code": code, "cursor_pos": len(code)}).content
        if "width" in reply["matches"]:
            break
    assert reply["matches"] == ["width"]
    asked = log.read_text() if log.exists() else ""
    assert "component" not in asked
    assert "install" not in asked


def test_the_standard_library_is_found_from_a_cache_in_the_home(launch):
    """The path that cargo writes into a cell leads nowhere if both are below one folder."""
    home = Path(os.environ["RUSTUP_HOME"]).parent
    with tempfile.TemporaryDirectory(dir=home, prefix=".diaphane-test-") as cache:
        kernel = launch(env={"DIAPHANE_RUST_CACHE": cache})
        client = kernel.connect()
        assert shown(fine(client, "%%rust\n1 + 1")) == "2"
        maps = Path(f"/proc/{kernel.pid}/maps").read_text()
        paths = {line.split(maxsplit=5)[-1] for line in maps.splitlines() if "libstd-" in line}
        [libstd] = paths
        assert Path(libstd).resolve().parent == rustc("--print", "target-libdir").resolve()
        assert cache in maps


POOL = """%%rust -o threads
:dep rayon = "1.10"
use rayon::prelude::*;
let total: u64 = (0..1000u64).into_par_iter().sum();
let threads = rayon::current_num_threads();
total"""


def test_each_compiled_cell_has_a_pool_of_its_own(client: Client):
    client.run("import os\ncount = lambda: len(os.listdir('/proc/self/task'))\nbefore = count()")
    assert shown(fine(client, POOL)) == "499500"
    # The compiler's answers have a thread too.
    first = int(client.value("count() - before"))
    threads = int(client.value("threads"))
    assert first >= threads
    fine(client, POOL)
    assert int(client.value("count() - before")) == first
    fine(client, POOL + " + 1")
    assert int(client.value("count() - before")) == first + threads
