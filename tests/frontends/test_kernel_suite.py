"""jupyter_kernel_test in full: every optional sample is filled in."""

from jupyter_kernel_test import KernelTests

from support import process

BUNDLE = "class R:\n    def _repr_mimebundle_(self, **kw): return {'%s': '1'}\n"


class TestKernelSuite(KernelTests):
    """The community's own conformance test."""

    kernel_name = process.NAME
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    completion_samples = [
        {"text": "zi", "matches": {"zip"}},
        {"text": "isinstanc", "matches": {"isinstance"}},
    ]
    complete_code_samples = ["1", "print('hello, world')", "def f(x):\n  return x*2\n\n\n"]
    incomplete_code_samples = ["print('''hello", "def f(x):\n  x*2"]
    invalid_code_samples = ["import = 7q"]
    code_page_something = "zip?"
    code_generate_error = "raise"
    code_execute_result = [
        {"code": "1+2+3", "result": "6"},
        {"code": "[n*n for n in range(1, 4)]", "result": "[1, 4, 9]"},
        {"code": BUNDLE % "text/html" + "R()", "result": "1", "mime": "text/html"},
    ]
    code_display_data = [
        {
            "code": "from IPython.display import HTML; display(HTML('<b>x</b>'))",
            "mime": "text/html",
        },
        {"code": "from IPython.display import Math; display(Math('x'))", "mime": "text/latex"},
    ]
    code_history_pattern = "1?2*"
    # ipykernel answers a range of the current session with the session number 0.
    supported_history_operations = (
        ("tail", "search") if process.NAME == "python3" else ("tail", "range", "search")
    )
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output; clear_output()"


# unittest must not collect the abstract class as well.
del KernelTests
