"""Runs a notebook in a kernel of this Python.

Takes one argument, a JSON file:

- `notebook`: its path;
- `result`: file that takes the texts of what each cell shows, in order;
- `keep`: path of a notebook that takes them too, `null` for none.
"""

import json
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def main(spec: dict):
    """Runs it in the folder of the process."""
    notebook = nbformat.read(spec["notebook"], as_version=4)
    client = NotebookClient(notebook, timeout=280)
    client.km = client.create_kernel_manager()
    kernel = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    client.km.kernel_spec.argv = kernel
    client.execute()
    if spec["keep"]:
        _keep(notebook, Path(spec["keep"]))
    Path(spec["result"]).write_text(json.dumps([_texts(cell) for cell in notebook.cells]))


def _texts(cell) -> list[str]:
    return [output.data["text/plain"] for output in _results(cell)]


def _results(cell) -> list:
    outputs = cell.get("outputs", [])

    return [output for output in outputs if output.output_type == "execute_result"]


def _keep(notebook, path: Path):
    # What it ran on is not the reader's business.
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.metadata.pop("execution", None)
            cell.outputs = _results(cell)
            for output in cell.outputs:
                output.execution_count = None
                output.data = {"text/plain": output.data["text/plain"]}
    path.write_text(nbformat.writes(notebook, indent=1) + "\n")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
