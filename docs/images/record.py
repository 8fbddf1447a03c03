#!/usr/bin/env python3
"""Records docs/images/walk.svg: three real nodes in the lab, used as a person uses them.

    cargo build --release
    pip install rich==15.0.0
    python3 docs/images/record.py

What the picture shows is what the programs printed; nothing is typed in by hand but the
commands.
"""

import pathlib
import re
import subprocess
import tempfile

from rich.console import Console
from rich.text import Text

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / "target" / "release"
NAMES = ["anna", "ben", "carol"]
WIDTH = 104


class Lab:
    """The program `lab` with one node for each name."""

    def __init__(self):
        command = [BIN / "lab", "-n", str(len(NAMES)), "-b", BIN / "node"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.until_prompt()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="walk-"))

    def until_prompt(self):
        text = ""
        while not text.endswith("lab> "):
            more = self.process.stdout.read(1)
            if not more:
                raise SystemExit(f"the lab ended: {text}")
            text += more
        return text

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.until_prompt()

    def shell(self, node, command):
        """Runs a command in a node's namespace; returns what it printed."""
        out = self.directory / "out"
        script = self.directory / "script"
        script.write_text(
            f"cd {self.directory}; export HEDGEROW_HOME=$HOME_DIR PATH={BIN}:$PATH\n{command}\n"
        )
        status = self.tell(f"exec {node} bash {script} > {out} 2>&1")
        text = out.read_text()
        if "exit status: 0" not in status:
            raise SystemExit(f"{command}: {status}{text}")
        return text.rstrip("\n")


def main():
    lab = Lab()
    console = Console(record=True, width=WIDTH, file=open("/dev/null", "w"), color_system="truecolor")

    def show(node, typed, output=None):
        prompt = Text(f"{NAMES[node]} $ ", style="bold green")
        console.print(prompt + Text(typed, style="bold white"))
        if output:
            for line in output.splitlines():
                line = line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"
                console.print(Text(line), soft_wrap=False, highlight=False)

    def run(node, typed):
        output = lab.shell(node, typed)
        show(node, typed, output)
        return output

    def note(text):
        console.print(Text(text, style="italic cyan"))

    note("# Three machines on one switch. On each: node start. Nothing is configured.")
    run(0, "hedgerow peers ls")
    lab.shell(0, "head -c 5000000 /dev/urandom > holiday.jpg")
    note("# Anna puts a file in. The answer is its CID, the one IPFS tools give it.")
    cid = run(0, "hedgerow object put holiday.jpg")
    run(0, "sha256sum holiday.jpg")
    lab.tell("kill 0")
    note("# Anna's machine dies. Ben gets the file.")
    run(1, f"hedgerow object get {cid} -o copy.jpg")
    run(1, "sha256sum copy.jpg")
    note("# Small signed values under a name; and the way a message takes to one.")
    run(1, "hedgerow dht put motd 'tea at four'")
    run(2, "hedgerow dht get motd")
    run(2, "hedgerow overlay trace motd")
    lab.process.stdin.write("quit\n")
    lab.process.stdin.close()
    lab.process.wait()
    target = pathlib.Path(__file__).with_name("walk.svg")
    svg = console.export_svg(title="hedgerow")
    # A picture fetches nothing: the reader's own monospaced font will do.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    target.write_text(svg)
    print(f"written: {target.relative_to(ROOT)}")


main()
