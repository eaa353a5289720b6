"""Writes the parts of the Python client that follow from others: `python docs/generate_client.py`.

    lbactors/client/sync_client.py    from the async methods of `Client`

A test (`tests/unit/client/test_sync_client.py`) compares the text with the file. Tools that turn async code
into sync code (unasync and its like) rewrite a whole client, HTTP library included. Here only the signatures
change, and each method runs the async one.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

CLIENT = Path(__file__).resolve().parent.parent / "lbactors" / "client"
SOURCES = {"client.py": "Client", "scores.py": "Scores", "administration.py": "Administration"}
WIDTH = 110
NOT_CALLS = {"close"}  # `Blocking` has its own

HEADER = '''"""`SyncClient`: every method of `Client`, without `await`.

Written by `docs/generate_client.py` from `client.py`, `scores.py` and `administration.py`: change it there.
"""

from __future__ import annotations

{imports}


class SyncClient(Blocking):
    """`Client` for programs without an event loop: the same methods, arguments, answers and errors.

        with SyncClient("http://127.0.0.1:8080", key) as client:
            client.submit("xp", "maya", 5100)

    Inside a running event loop (a coroutine, a notebook) every call raises RuntimeError: use `Client` there.
    Threads may share one; their calls take turns.
    """
'''


def sync_client_text() -> str:
    methods, imports = [], {"lbactors.client.blocking": {"Blocking"}}
    for name, of_class in SOURCES.items():
        source = (CLIENT / name).read_text(encoding="utf-8")
        module = ast.parse(source)
        known = imported_names(module)
        for method in async_methods(module, of_class):
            methods.append(method_text(method, source))
            for used in names_of(method):
                if used in known:
                    imports.setdefault(known[used], set()).add(used)
    return HEADER.format(imports=import_text(imports)) + "\n" + "\n".join(methods)


def imported_names(module: ast.Module) -> dict[str, str]:
    """Name -> the module that it comes from. An async iterator becomes a plain one."""
    names = {
        alias.name: node.module
        for node in module.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    return {**names, "Iterator": "collections.abc"}


def async_methods(module: ast.Module, of_class: str) -> Iterator[ast.AsyncFunctionDef]:
    (found,) = [node for node in module.body if isinstance(node, ast.ClassDef) and node.name == of_class]
    methods = (node for node in found.body if isinstance(node, ast.AsyncFunctionDef))
    return (node for node in methods if not node.name.startswith("_") and node.name not in NOT_CALLS)


def annotations_of(method: ast.AsyncFunctionDef) -> Iterator[ast.expr]:
    arguments = method.args
    for argument in (*arguments.args, *arguments.kwonlyargs, arguments.kwarg):
        if argument is not None and argument.annotation is not None:
            yield argument.annotation
    if method.returns is not None:
        yield method.returns


def names_of(method: ast.AsyncFunctionDef) -> set[str]:
    found = {
        node.id
        for annotation in annotations_of(method)
        for node in ast.walk(annotation)
        if isinstance(node, ast.Name)
    }
    return {name.removeprefix("Async") for name in found}


def import_text(imports: dict[str, set[str]]) -> str:
    """In the order that ruff wants: the standard library, then the project."""
    lines = {name: import_line(name, sorted(imports[name])) for name in sorted(imports)}
    own = [line for name, line in lines.items() if name.startswith("lbactors")]
    return "\n".join([*(line for line in lines.values() if line not in own), "", *own])


def import_line(module: str, names: list[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    return line if len(line) <= WIDTH else listed(f"from {module} import", names)


def listed(start: str, items: list[str], end: str = "", indent: str = "") -> str:
    """`start(items)end`, on one line if it fits, else an item a line, as ruff formats it."""
    line = f"{indent}{start}({', '.join(items)}){end}"
    if len(line) <= WIDTH:
        return line
    inner = "".join(f"{indent}    {item},\n" for item in items)
    return f"{indent}{start}(\n{inner}{indent}){end}"


def method_text(method: ast.AsyncFunctionDef, source: str) -> str:
    parameters, arguments = list(parameters_of(method)), list(arguments_of(method))
    assert method.returns is not None
    returns = ast.unparse(method.returns)
    run = "_iterate" if returns.startswith("AsyncIterator[") else "_run"
    head = listed(f"def {method.name}", parameters, f" -> {returns.removeprefix('Async')}:", "    ")
    body = f"        return self.{run}(self._client.{method.name}({', '.join(arguments)}))"
    if len(body) > WIDTH:
        call = listed(f"self._client.{method.name}", arguments, "", " " * 12)
        body = f"        return self.{run}(\n{call}\n        )"
    return f"{head}\n{docstring_text(method, source)}{body}\n"


def parameters_of(method: ast.AsyncFunctionDef) -> Iterator[str]:
    """As in the signature, with `self`."""
    arguments = method.args
    assert not arguments.posonlyargs and arguments.vararg is None, f"{method.name}: add this kind here"
    required = len(arguments.args) - len(arguments.defaults)
    for argument, default in zip(arguments.args, [None] * required + arguments.defaults, strict=True):
        yield parameter(argument, default)
    if arguments.kwonlyargs:
        yield "*"
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield parameter(argument, default)
    if arguments.kwarg is not None:
        yield "**" + parameter(arguments.kwarg, None)


def arguments_of(method: ast.AsyncFunctionDef) -> Iterator[str]:
    """What a call of it passes on."""
    yield from (argument.arg for argument in method.args.args[1:])
    yield from (f"{argument.arg}={argument.arg}" for argument in method.args.kwonlyargs)
    if method.args.kwarg is not None:
        yield f"**{method.args.kwarg.arg}"


def parameter(argument: ast.arg, default: ast.expr | None) -> str:
    annotation = f": {ast.unparse(argument.annotation)}" if argument.annotation is not None else ""
    if default is None:
        return argument.arg + annotation
    text = ast.unparse(default).replace("'", '"')
    return f"{argument.arg}{annotation} = {text}"


def docstring_text(method: ast.AsyncFunctionDef, source: str) -> str:
    """As it is written, but for `await` and `async` in its examples."""
    first = method.body[0]
    if not (isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)):
        return ""
    written = ast.get_source_segment(source, first)
    assert written is not None
    return f"        {without_async(written)}\n"


def without_async(text: str) -> str:
    return re.sub(r"\b(?:await|async) ", "", text)


TEXTS: dict[Path, Callable[[], str]] = {CLIENT / "sync_client.py": sync_client_text}

if __name__ == "__main__":
    for path, text in TEXTS.items():
        path.write_text(text(), encoding="utf-8")
        print(path.relative_to(CLIENT.parent.parent))
