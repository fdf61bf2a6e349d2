"""The code that a registered model brings along: a package whose name says which code it is."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pipeline

_ROOT = "pipeline"
_MODEL = "serving/pyfunc.py"
_IMPORT = re.compile(rf"(from\s+){_ROOT}\b")
_DIGITS = 8


@dataclass(frozen=True)
class ShippedCode:
    """Sources that import each other by their new name only.

    Attributes:
        package: the name, which holds a hash of the sources: other code has another name.
        files: source by path inside the package.
        model: source of the file that MLflow runs, which imports the package.
    """

    package: str
    files: Mapping[str, str]
    model: str

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write the package and the model's file into a folder; returns both paths."""
        for name, source in self.files.items():
            path = folder / self.package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source, encoding="utf-8")
        model = folder / Path(_MODEL).name
        model.write_text(self.model, encoding="utf-8")
        return folder / self.package, model


def shipped_code(sources: Path | None = None) -> ShippedCode:
    """All that prediction imports from this project, under a name of its own.

    Args:
        sources: the folder of the package `pipeline`; the one that runs by default.
    Raises:
        ValueError: a file imports `pipeline` in a way that cannot be renamed.
    """
    root = sources or Path(pipeline.__file__).parent
    originals = {name: (root / name).read_text(encoding="utf-8") for name in _needed(root)}
    digest = hashlib.sha256()
    for name, source in sorted(originals.items()):
        digest.update(f"{name}\0{source}\0".encode())
    package = f"croft_serving_{digest.hexdigest()[:_DIGITS]}"
    renamed = {name: renamed_imports(source, package, name) for name, source in originals.items()}
    return ShippedCode(package, {name: renamed[name] for name in sorted(renamed) if name != _MODEL}, renamed[_MODEL])


def renamed_imports(source: str, package: str, name: str = "") -> str:
    """The source with each `from pipeline...` written as `from package...`; nothing else changes.

    Args:
        source: of one Python file.
        package: what the imports name instead.
        name: of the file, in errors.
    Raises:
        ValueError: an `import pipeline...`, whose uses a change of the import alone would break, or a relative import.
    """
    lines = source.split("\n")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import) and any(_is_ours(alias.name) for alias in node.names):
            raise ValueError(f"{name}:{node.lineno}: expected `from {_ROOT}... import ...`")
        if isinstance(node, ast.ImportFrom) and node.level:
            raise ValueError(f"{name}:{node.lineno}: expected `from {_ROOT}... import ...`, found a relative import")
        if isinstance(node, ast.ImportFrom) and _is_ours(node.module or ""):
            # ast counts bytes of UTF-8.
            line = lines[node.lineno - 1].encode()
            before, after = line[: node.col_offset].decode(), line[node.col_offset :].decode()
            after, count = _IMPORT.subn(rf"\g<1>{package}", after, count=1)
            if count != 1:
                raise ValueError(f"{name}:{node.lineno}: expected `from {_ROOT}...` on one line")
            lines[node.lineno - 1] = before + after
    return "\n".join(lines)


def _needed(root: Path) -> list[str]:
    """Files of `root` that the model's file imports, directly or not, the packages above them, and itself."""
    needed: set[str] = set()
    waiting = [_MODEL]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += [f"{folder}/__init__.py" for folder in Path(name).parents if folder != Path(".")]
            waiting += _imported(root, name)
    return sorted({"__init__.py", *needed})


def _imported(root: Path, name: str) -> Iterator[str]:
    for node in ast.walk(ast.parse((root / name).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and _is_ours(node.module or ""):
            module = Path(*str(node.module).split(".")[1:])
            # What is imported from a package may be one of its modules.
            for candidate in (module, *(module / alias.name for alias in node.names)):
                for file in (candidate.with_suffix(".py"), candidate / "__init__.py"):
                    if candidate != Path(".") and (root / file).is_file():
                        yield file.as_posix()


def _is_ours(module: str) -> bool:
    return module == _ROOT or module.startswith(f"{_ROOT}.")
