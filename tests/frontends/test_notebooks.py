"""Notebooks through nbclient: what it stores of outputs, errors, updates and widgets. The tutorials have their own tests."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from support import process


def execute(notebook, directory: Path):
    client = NotebookClient(
        notebook,
        timeout=120,
        kernel_name=process.NAME,
        resources={"metadata": {"path": str(directory)}},
    )
    return client.execute()


def cells(*sources: str):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])


def test_outputs_are_kept(tmp_path: Path):
    notebook = execute(
        cells("print('out')\n1 + 1", "display({'a': 1})", "import sys; print(1, file=sys.stderr)"),
        tmp_path,
    )
    kinds = [[o.output_type for o in cell.outputs] for cell in notebook.cells]
    assert kinds == [["stream", "execute_result"], ["display_data"], ["stream"]]


def test_an_error_stops_and_is_kept(tmp_path: Path):
    notebook = cells("1/0", "print('never')")
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        execute(notebook, tmp_path)
    assert notebook.cells[0].outputs[-1].ename == "ZeroDivisionError"
    assert notebook.cells[1].outputs == []


def test_updates_and_clearing(tmp_path: Path):
    notebook = execute(
        cells(
            "h = display('old', display_id=True)",
            "h.update('new')",
            "from IPython.display import clear_output\nprint('gone'); clear_output(); print('kept')",
        ),
        tmp_path,
    )
    assert notebook.cells[0].outputs[0].data["text/plain"] == "'new'"
    assert [o.text for o in notebook.cells[2].outputs] == ["kept\n"]


def test_widget_state_is_saved(tmp_path: Path):
    notebook = execute(cells("import ipywidgets as w\nw.IntSlider(4)"), tmp_path)
    state = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    assert any(s["state"].get("value") == 4 for s in state.values())
