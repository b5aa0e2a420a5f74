"""Python scripts in processes of their own, with a time limit and a readable failure."""

import json
import os
import subprocess
from pathlib import Path


def run(python: Path, script: Path, spec: dict, folder: Path, *, environment=None, seconds=300):
    """Runs `script` with `spec` as its JSON argument; its output goes to a file in `folder`.

    Raises:
        AssertionError: it ended with an error or took more than `seconds`; with the end of its
            output, stack frames of Java left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    argument = folder / "spec.json"
    argument.write_text(json.dumps(spec))
    output = folder / "output.txt"
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SPARK_", "PYSPARK_"))}
    with output.open("wb") as sink:
        process = subprocess.Popen(
            [str(python), str(script), str(argument)],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=inherited | (environment or {}),
            cwd=folder,
        )
        try:
            status = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            status = f"no end within {seconds} s"
    if status != 0:
        lines = output.read_text(errors="replace").splitlines()
        told = [line for line in lines if not line.lstrip().startswith(("at ", "... "))]
        end = "\n".join(told)[-6000:]
        raise AssertionError(f"{script.name} ended with {status}:\n{end}")

    return output
