"""Writes the modules of the Python client that follow from others: `python docs/generate_client.py`.

    lbactors/client/types.py          from the answers in docs/openapi.json
    lbactors/client/sync_client.py    from the async methods of `Client`

`tests/unit/client/test_generated.py` compares the texts with the files. Tools that turn async code into sync
code (unasync and its like) rewrite a whole client, HTTP library included. Here only the signatures change,
and each method runs the async one.
"""

from __future__ import annotations

import ast
import json
import keyword
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CLIENT = ROOT / "lbactors" / "client"


def formatted(text: str) -> str:
    """As ruff formats it, by the settings of the project."""
    ruff = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(CLIENT / "generated.py"), "-"]
    return subprocess.run(ruff, input=text, cwd=ROOT, capture_output=True, text=True, check=True).stdout


# Sync client ----------------------------------------------------------------------------------------------

SOURCES = {
    "client.py": "Client",
    "scores.py": "Scores",
    "sources.py": "Sources",
    "administration.py": "Administration",
}
NOT_CALLS = {"close"}  # `Blocking` has its own

SYNC_CLIENT = '''"""`SyncClient`: every method of `Client`, without `await`.

Written by `docs/generate_client.py` from `client.py`, `scores.py`, `sources.py` and `administration.py`:
change it there.
"""

from __future__ import annotations

{imports}


class SyncClient(Blocking):
    """`Client` for programs without an event loop: the same methods, arguments, answers and errors.

        with SyncClient("http://127.0.0.1:8080", key) as client:
            client.submit("xp", "maya", 5100)

    It takes the arguments of `Client`. Inside a running event loop (a coroutine, a notebook) every call
    raises RuntimeError: use `Client` there. Threads may share one; their calls take turns.
    """

{methods}
'''


def sync_client_text() -> str:
    methods, imports = [], {"lbactors.client.blocking": {"Blocking"}}
    for name, of_class in SOURCES.items():
        source = (CLIENT / name).read_text(encoding="utf-8")
        module = ast.parse(source)
        known = imported_names(module)
        for method in async_methods(module, of_class):
            methods.append(method_text(method, source))
            for used in names_of(method) & known.keys():
                imports.setdefault(known[used], set()).add(used)
    return formatted(SYNC_CLIENT.format(imports=import_text(imports), methods="\n".join(methods)))


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


def names_of(method: ast.AsyncFunctionDef) -> set[str]:
    """What the annotations of a sync method need."""
    written = (method.args, method.returns) if method.returns is not None else (method.args,)
    nodes = (node for part in written for node in ast.walk(part))
    return {node.id.removeprefix("Async") for node in nodes if isinstance(node, ast.Name)}


def import_text(imports: dict[str, set[str]]) -> str:
    """In the order that ruff wants: the standard library, then the project."""
    lines = {name: f"from {name} import {', '.join(sorted(imports[name]))}" for name in sorted(imports)}
    own = [line for name, line in lines.items() if name.startswith("lbactors")]
    return "\n".join([*(line for line in lines.values() if line not in own), "", *own])


def method_text(method: ast.AsyncFunctionDef, source: str) -> str:
    assert method.returns is not None and not method.args.posonlyargs and method.args.vararg is None
    returns = ast.unparse(method.returns)
    run = "_iterate" if returns.startswith("AsyncIterator[") else "_run"
    passed = [argument.arg for argument in method.args.args[1:]]
    passed += [f"{argument.arg}={argument.arg}" for argument in method.args.kwonlyargs]
    if method.args.kwarg is not None:
        passed.append(f"**{method.args.kwarg.arg}")
    return f"""
    def {method.name}({ast.unparse(method.args)}) -> {returns.removeprefix("Async")}:
        {docstring_text(method, source)}
        return self.{run}(self._client.{method.name}({", ".join(passed)}))
"""


def docstring_text(method: ast.AsyncFunctionDef, source: str) -> str:
    """As it is written, but for `await` and `async` in its examples."""
    first = method.body[0]
    if not (isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)):
        return ""
    return re.sub(r"\b(?:await|async) ", "", ast.get_source_segment(source, first) or "")


# Types of answers -----------------------------------------------------------------------------------------

TYPES = '''"""The shapes of the API's answers, for type checkers and editors; at run time they are dicts.

Written by `docs/generate_client.py` from `docs/openapi.json`, whose schemas have these names and describe
what the fields mean. A key that is `NotRequired` may be absent.
"""

from typing import Any, Literal, NotRequired, TypedDict, final

Json = dict[str, Any]
"""An object whose keys are those that you sent, or are described in the API reference alone."""

{types}
'''
PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
# Objects that have no name in the document, where a name made of their place would not say what they are.
NAMES = {"RemovedEntriesRemoved": "WindowEntry", "RewardPageItemReward": "WonReward"}
# A longer list of values grows with the server: a plain string.
MOST_VALUES = 10


def types_text() -> str:
    document = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    types = Types(document["components"]["schemas"])
    for methods in document["paths"].values():
        for operation in methods.values():
            for status, answer in operation["responses"].items():
                for content in answer.get("content", {}).values() if status < "300" else ():
                    types.annotation(content["schema"], "")
    return formatted(TYPES.format(types="\n".join(types.texts())))


class Types:
    """A class for each schema, after the classes that it is made of."""

    def __init__(self, schemas: dict[str, Any]) -> None:
        self._schemas = schemas
        self._fields: dict[str, dict[str, str]] = {}

    def annotation(self, schema: dict[str, Any], name: str) -> str:
        """What a schema's values are. name: of an object in it that has none of its own."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            self._named(name)
            return name if name in self._fields else self.annotation(self._schemas[name], name)
        if "anyOf" in schema:
            return union(self.annotation(one, name) for one in schema["anyOf"])
        values = [schema["const"]] if "const" in schema else schema.get("enum", ())
        if values and len(values) <= MOST_VALUES:
            return f"Literal[{', '.join(map(literal, values))}]"
        if "allOf" in schema:
            return self._unnamed(schema, name)
        kinds = schema["type"] if isinstance(schema.get("type"), list) else [schema.get("type")]
        return union(self._of_kind(kind, schema, name) for kind in kinds)

    def texts(self) -> Iterator[str]:
        for name, fields in self._fields.items():
            about = self._schemas.get(name, {}).get("description", "")
            yield typed_dict(name, fields, about)

    def _of_kind(self, kind: str | None, schema: dict[str, Any], name: str) -> str:
        if kind == "array":
            return f"list[{self.annotation(schema['items'], singular(name))}]"
        if kind != "object":
            return PLAIN.get(kind or "", "Any")
        values = schema.get("additionalProperties")
        if "properties" not in schema and isinstance(values, dict):
            return f"dict[str, {self.annotation(values, name)}]"
        return self._unnamed(schema, name) if "properties" in schema else "Json"

    def _named(self, name: str) -> None:
        schema = self._schemas[name]
        if name not in self._fields and "properties" in schema:
            fields = self._fields_of(schema, name)
            self._fields[name] = fields

    def _unnamed(self, schema: dict[str, Any], name: str) -> str:
        """An object without a name of its own has that of one with the same fields, if there is one."""
        fields = self._fields_of(schema, name)
        same = (one for one, known in self._fields.items() if known == fields and one not in self._schemas)
        found = next(same, NAMES.get(name, name))
        self._fields.setdefault(found, fields)
        return found

    def _fields_of(self, schema: dict[str, Any], name: str) -> dict[str, str]:
        fields: dict[str, str] = {}
        for part in (schema, *schema.get("allOf", ())):  # what has no properties there is a condition
            found = self._schemas[part["$ref"].rpartition("/")[2]] if "$ref" in part else part
            for key, value in found.get("properties", {}).items():
                annotation = self.annotation(value, name + camel(key))
                # Schemas that are closed are also those of what is sent. Answers have all of their fields,
                # unless they have those that were sent and no others.
                written = found.get("x-as-written", [])  # true: any field
                whole = found.get("additionalProperties") is False and written is not True
                whole = whole and key not in written
                present = whole or key in found.get("required", ())
                fields[key] = annotation if present else f"NotRequired[{annotation}]"
        return fields


def union(annotations: Iterable[str]) -> str:
    return " | ".join(dict.fromkeys(annotations))


def literal(value: object) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)


def camel(key: str) -> str:
    return key.title().replace("_", "")


def singular(name: str) -> str:
    return re.sub("ies$", "y", name) if name.endswith("ies") else name.removesuffix("s")


def typed_dict(name: str, fields: dict[str, str], about: str) -> str:
    if any(keyword.iskeyword(key) for key in fields):  # such a key needs the other syntax
        items = ", ".join(f"{key!r}: {annotation}" for key, annotation in fields.items())
        return f"{name} = TypedDict({name!r}, {{{items}}})\n"
    docstring = textwrap.indent(textwrap.fill(f'"""{about}"""', 100), "    ") + "\n\n" if about else ""
    lines = "".join(f"    {key}: {annotation}\n" for key, annotation in fields.items())
    return f"@final\nclass {name}(TypedDict):\n{docstring}{lines}"


TEXTS: dict[Path, Callable[[], str]] = {
    CLIENT / "types.py": types_text,
    CLIENT / "sync_client.py": sync_client_text,
}

if __name__ == "__main__":
    for path, text in TEXTS.items():
        path.write_text(text(), encoding="utf-8")
        print(path.relative_to(ROOT))
