"""Where a kernel can be started: folders that are gone, systems that show nothing of themselves."""

import subprocess

import pytest

pytestmark = pytest.mark.diaphane

HIDE = 'mount -t tmpfs none /proc && exec "$@"'
NAMESPACE = ["unshare", "--mount", "--map-root-user", "sh", "-c", HIDE, "sh"]


def test_a_deleted_folder(launch, tmp_path):
    """IPython would not start there, so the kernel goes to the nearest folder that is left, and says so."""
    folder = tmp_path / "kept" / "gone" / "too"
    folder.mkdir(parents=True)
    kernel = launch(
        cwd=folder, under=["sh", "-c", f'rmdir "$PWD" "{folder.parent}" && exec "$@"', "sh"]
    )
    client = kernel.connect()
    assert client.value("__import__('os').getcwd()") == repr(str(tmp_path / "kept"))
    assert f"the working folder {folder} is not there" in kernel.log
    assert client.run("6 * 7").result == "42"


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("ulimit -n 16", "only 16 open files here"),
        ("ulimit -v 100000", "only 97 MiB of addresses here"),
    ],
)
def test_limits_that_are_too_low_are_named(launch, limit, said):
    kernel = launch(under=["sh", "-c", f'{limit} && exec "$@"', "sh"])
    assert kernel.wait() == 1
    assert said in kernel.log
    assert len(kernel.log.splitlines()) == 1


def test_files_may_be_limited(launch):
    """The kernel's own files are larger, and it does without them."""
    kernel = launch(under=["sh", "-c", 'ulimit -f 128 && exec "$@"', "sh"])
    assert kernel.connect().run("6 * 7").result == "42"


def can_hide_proc() -> bool:
    return subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_hide_proc(), reason="no namespace can be made here")
def test_without_proc(launch):
    """The kernel runs all that needs no word of the system, and the magics name what is missing."""
    kernel = launch(under=NAMESPACE)
    client = kernel.connect()
    done = client.run(
        "import subprocess\nprint(subprocess.run(['echo', 'child'], capture_output=True).stdout)\n6 * 7"
    )
    assert (done.text(), done.result) == ("b'child\\n'\n", "42")
    assert client.request("interrupt_request", {}, "control").content == {"status": "ok"}
    for magic in (
        "%threads",
        "%loaded_libs",
        "%addr_map",
        "%native_doctor",
        "%process_tree",
        "%stack",
    ):
        told = client.execute(magic)
        text = str(told.content) + str(told.iopub)
        assert "is /proc mounted" in text, (magic, text[:2000])
    answer = client.request("magic_request", {"name": "threads"}, "control").content
    assert "mounted" in answer["evalue"]
