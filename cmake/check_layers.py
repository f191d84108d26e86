"""Dependencies point down only: every #include "LAYER/..." below src obeys the graph of CMakeLists.txt.

Usage: check_layers.py SOURCE_FOLDER. Prints each offence and exits with 1 when there is one."""

import pathlib
import re
import sys

TORCH_FREE = {"core", "config", "scaling", "law", "plan", "report", "data"}


def declared_layers(cmake: str) -> dict[str, set[str]]:
    """Layer -> the layers it sees, itself included, from the rung_layer(...) lines."""
    sees: dict[str, set[str]] = {}
    for name, arguments in re.findall(r"rung_layer\((\w+)\s+([^)]*)\)", cmake):
        links = [word.removeprefix("rung_") for word in arguments.split() if word.startswith("rung_")]
        sees[name] = {name}.union(*(sees.get(link, set()) for link in links))
    return sees


def offences(root: pathlib.Path) -> list[str]:
    sees = declared_layers((root / "CMakeLists.txt").read_text())
    sees["cli"] = {"cli"}.union(*sees.values())
    found = []
    for layer in sorted(path.name for path in (root / "src").iterdir() if path.is_dir()):
        if layer not in sees:
            found.append(f"src/{layer} is no declared layer")
    for path in sorted((root / "src").rglob("*")):
        if path.suffix not in {".h", ".cpp", ".cu", ".cuh"}:
            continue
        layer = path.relative_to(root / "src").parts[0]
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+"([^"/]+)/', line)
            where = f"{path.relative_to(root)}:{number}"
            if match and match[1] in sees and match[1] not in sees.get(layer, set()):
                found.append(f"{where}: layer {layer} must not include {match[1]}")
            elif re.match(r'\s*#\s*include\s+"\.\./', line):
                found.append(f"{where}: includes name their layer, not ../")
            # rung-law has no torch: its verbs and the layers below it may not reach for it.
            inside = path.relative_to(root / "src").as_posix()
            lean = layer in TORCH_FREE or (
                layer == "cli" and not inside.startswith("cli/torch/") and inside != "cli/main_rung.cpp")
            torch = re.match(r"\s*#\s*include\s+<(torch|ATen|c10)/", line)
            if torch and lean:
                found.append(f"{where}: this file is free of torch")
    return found


if __name__ == "__main__":
    problems = offences(pathlib.Path(sys.argv[1]))
    print("\n".join(problems) if problems else "layers: every include points down")
    sys.exit(1 if problems else 0)
