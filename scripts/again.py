"""Which tests may be run once more, alone, by what `cargo test` printed.

usage: again.py LOG

A wait that ran out of patience says nothing of the program while the machine is busy with other tests;
alone it must come. Whatever else a test says, that something was lost, doubled or wrong, stands: then
none is named, and this fails. So it does where many ran out of patience, which is no accident.
"""

import re
import sys
from pathlib import Path

# What a test of `tests/main.rs` says that waited in vain, and what a browser's page says.
IMPATIENT = re.compile(r"waited in vain: |Timeout \d+ms exceeded")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
MOST = 3
SUITE = "tests/main.rs"


def sections(log: str) -> dict[str, str]:
    """What each failed test of the suite printed; of another binary's, nothing that would count."""
    found: dict[str, str] = {}
    log = COLOURS.sub("", log)
    # Each binary's run begins with a line that names it, and lists its failures twice: what they
    # printed, and their names.
    for run in re.split(r"^ +Running ", log, flags=re.MULTILINE)[1:]:
        for listed in re.findall(r"^failures:\n((?:    \S+\n)+)\ntest result", run, flags=re.MULTILINE):
            for name in listed.split():
                printed = re.search(
                    rf"^---- {re.escape(name)} stdout ----\n(.*?)(?=^---- \S+ stdout ----$|^failures:$)",
                    run,
                    flags=re.MULTILINE | re.DOTALL,
                )
                counts = printed and run.startswith(SUITE)
                found[name] = printed[1] if counts else ""
    return found


def again(log: str) -> list[str]:
    """The tests to run again; none if any failed otherwise, or too many did."""
    failed = sections(log)
    fits = failed and all(IMPATIENT.search(printed) for printed in failed.values())
    return sorted(failed) if fits and len(failed) <= MOST else []


if __name__ == "__main__":
    names = again(Path(sys.argv[1]).read_text(errors="replace"))
    print("\n".join(names))
    sys.exit(0 if names else 1)
