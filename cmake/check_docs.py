"""What the documentation names exists: links and their anchors, source files, test cases.

Usage: check_docs.py SOURCE_FOLDER. Prints each offence and exits with 1 when there is one."""

import fnmatch
import pathlib
import re
import sys
from collections.abc import Iterator

FOLDERS = "src|tests|bench|cmake|docs|data|examples|python"


def pages(root: pathlib.Path) -> list[pathlib.Path]:
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def anchors(page: pathlib.Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(root: pathlib.Path, page: pathlib.Path, text: str) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or not file.is_relative_to(root):
            yield f"dead link {target}"
        elif anchor and anchor not in anchors(file):
            yield f"no heading for the link {target}"


def missing_files(root: pathlib.Path, text: str) -> Iterator[str]:
    """Paths in backticks; NAME and other capitals stand for what a reader fills in, * for several."""
    for name in re.findall(rf"`((?:{FOLDERS})/[\w./*\-]+)`", text):
        if not re.search(r"[A-Z]{2}", name.replace("README", "").replace("CMakeLists", "")):
            if not any(True for _ in root.glob(name.rstrip("/"))):
                yield f"no such file {name}"


def missing_cases(cases: set[str], text: str) -> Iterator[str]:
    """doctest's --test-case='PATTERN,PATTERN'; every pattern finds a case."""
    for patterns in re.findall(r"--test-case='([^']+)'", text):
        for pattern in patterns.split(","):
            if not any(fnmatch.fnmatch(case.lower(), pattern.lower()) for case in cases):
                yield f"no test case {pattern}"


def offences(root: pathlib.Path) -> list[str]:
    cases = set()
    for test in (root / "tests").rglob("*.cpp"):
        cases.update(re.findall(r'TEST_CASE(?:_TEMPLATE)?\(\s*"([^"]+)"', test.read_text()))
    found = []
    for page in pages(root):
        text = page.read_text()
        prose = re.sub(r"\s+", " ", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
        for check in (dead_links(root, page, prose), missing_files(root, prose), missing_cases(cases, prose)):
            found += [f"{page.relative_to(root)}: {what}" for what in check]
    return found


if __name__ == "__main__":
    problems = offences(pathlib.Path(sys.argv[1]).resolve())
    print("\n".join(problems) if problems else "docs: links, files and test cases exist")
    sys.exit(1 if problems else 0)
