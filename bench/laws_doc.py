"""Puts the figures of `law_coverage` into docs/laws.md: python3 bench/laws_doc.py RESULT.md...

RESULT.md is what law_coverage printed; later files win. Rows of the table under Coverage are rewritten; laws that it does
not have are named."""

import re
import sys
from pathlib import Path

document = Path(__file__).resolve().parent.parent / "docs" / "laws.md"
rows = {}
for name in sys.argv[1:]:
    for line in Path(name).read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 11 and cells[0] != "law" and not cells[0].startswith("---"):
            rows[cells[0]] = cells

text = document.read_text(encoding="utf-8")
for law, cells in rows.items():
    _, points, ladders, refused, _, covered, predicted, error, width, _, seconds = cells
    row = " | ".join([law, points, ladders, refused, covered, predicted, f"{100 * float(error):.2g}",
                      f"{100 * float(width):.2g}", seconds])
    text, table = re.subn(rf"^\| {re.escape(law)} \| \d.*$", lambda _: f"| {row} |", text, flags=re.MULTILINE)
    if not table:
        print(f"docs/laws.md has no coverage of {law}; write it by hand: | {row} |")
document.write_text(text, encoding="utf-8")
