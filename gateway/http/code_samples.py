"""How to call a route with curl, Python and TypeScript: `x-codeSamples` of the OpenAPI document.

All three send the same request, made of the examples of the parameters and of the body. The one in Python
calls the method of `lbactors.client` that the route names. Tests run all of them against a server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from gateway.http.shapes import Schema

ADDRESS = "http://127.0.0.1:8080"
"""Of a server that is started without options. The reference page shows its own server's in its place."""
WIDTH = 88
_METHOD = re.compile(r"(\w+)\((.*)\)")


class Request(NamedTuple):
    """An example of a request.

    path: as in the document, with `parameters` by name. body: None for none. python: what to call, such as
    `submit(leaderboard_id, player_id, score, subscore=)`. Its arguments are names of parameters or of fields
    of the body; `body` is the whole body, `rest` its other fields. Without it the client's `call` is shown.
    answer: its schema; None for text.
    """

    method: str
    path: str
    keyed: bool
    parameters: Mapping[str, Any]
    query: Mapping[str, Any]
    body: Any
    python: str
    answer: Schema | None

    @property
    def target(self) -> str:
        """Path and query, percent-encoded."""
        path = re.sub(r"\{(\w+)\}", lambda name: quote(str(self.parameters[name[1]]), safe=""), self.path)
        query = urlencode({name: _text(value) for name, value in self.query.items()})
        return f"{path}?{query}" if query else path


class Language(NamedTuple):
    """How a language writes data."""

    indent: int
    names: Mapping[bool | None, str]
    bare_keys: bool = False
    brace_space: str = ""
    last_comma: bool = True


_JSON = Language(2, {None: "null", True: "true", False: "false"}, last_comma=False)
_PYTHON = Language(4, {None: "None", True: "True", False: "False"})
_TYPESCRIPT = Language(2, _JSON.names, bare_keys=True, brace_space=" ")


def code_samples(request: Request) -> list[dict[str, str]]:
    """One item for each language, as Redoc and others show them."""
    return [
        {"lang": "Shell", "label": "curl", "source": _curl(request)},
        {"lang": "Python", "label": "Python", "source": _python(request)},
        {"lang": "TypeScript", "label": "TypeScript", "source": _typescript(request)},
    ]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# Shell ----------------------------------------------------------------------------------------------------


def _curl(request: Request) -> str:
    verb = "" if request.method == "GET" else f"-X {request.method} "
    lines = [f"curl {verb}'{ADDRESS}{request.target}'"]
    if request.keyed:
        lines.append('-H "Authorization: Bearer $LBACTORS_KEY"')
    if request.body is not None:
        body = _literal(request.body, _JSON, before=len("  -d ''")).replace("'", "'\\''")
        lines += ["-H 'Content-Type: application/json'", f"-d '{body}'"]
    return " \\\n  ".join(lines) + "\n"


# Python ---------------------------------------------------------------------------------------------------


def _python(request: Request) -> str:
    client = (
        f'SyncClient("{ADDRESS}", os.environ["LBACTORS_KEY"])'
        if request.keyed
        else f'SyncClient("{ADDRESS}")'
    )
    call = _literal_call(*_call(request), indent=4, before=len("answer = client."))
    return (
        ("import os\n\n" if request.keyed else "")
        + "from lbactors.client import SyncClient\n\n"
        + f"with {client} as client:\n"
        + f"    answer = client.{call}\n"
        + "    print(answer)\n"
    )


def _call(request: Request) -> tuple[str, list[tuple[str, Any]]]:
    """The method, and its arguments: the keyword, or nothing, and the value."""
    match = _METHOD.fullmatch(request.python)
    if match is None:
        body = [] if request.body is None else [("body=", request.body)]
        return "call", [("", request.method), ("", request.target), *body]
    names = [argument for argument in match[2].split(", ") if argument]
    fields = request.body if isinstance(request.body, dict) else {}
    named = {name.removesuffix("=") for name in names}
    rest = {name: value for name, value in fields.items() if name not in named}
    values = {**fields, "body": request.body, "rest": rest, **request.query, **request.parameters}
    return match[1], [(name if name.endswith("=") else "", values[name.removesuffix("=")]) for name in names]


def _literal_call(name: str, arguments: list[tuple[str, Any]], indent: int, before: int) -> str:
    line = f"{name}({', '.join(keyword + _flat(value, _PYTHON) for keyword, value in arguments)})"
    if indent + before + len(line) <= WIDTH:
        return line
    inner = indent + _PYTHON.indent
    shown = [keyword + _literal(value, _PYTHON, inner, len(keyword)) for keyword, value in arguments]
    return f"{name}{_block('()', shown, _PYTHON, indent)}"


# TypeScript -----------------------------------------------------------------------------------------------


def _typescript(request: Request) -> str:
    headers = ["Authorization: `Bearer ${process.env.LBACTORS_KEY}`"] if request.keyed else []
    options = [] if request.method == "GET" else [f'method: "{request.method}"']
    if request.body is not None:
        headers.append('"Content-Type": "application/json"')
    if len(headers) == 1:
        options.append(f"headers: {{ {headers[0]} }}")
    elif headers:
        options.append(f"headers: {_block('{}', headers, _TYPESCRIPT, 2)}")
    if request.body is not None:
        body = _literal(request.body, _TYPESCRIPT, 2, len("body: JSON.stringify("))
        options.append(f"body: JSON.stringify({body})")
    given = f", {_block('{}', options, _TYPESCRIPT, 0)}" if options else ""
    kind = f"type Answer = {_answer_type(request.answer)};\n" if request.answer is not None else ""
    return (
        f'const response = await fetch("{ADDRESS}{request.target}"{given});\n'
        + "if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);\n\n"
        + kind
        + f"const answer: {'Answer' if kind else 'string'} = await response.{'json' if kind else 'text'}();\n"
        + "console.log(answer);\n"
    )


def _answer_type(schema: Schema) -> str:
    """A type for the fields of an answer; what lies deeper is left open."""
    fields = schema.get("properties", {})
    if not fields:
        return "Record<string, unknown>"
    required = schema.get("required", ())
    shown = [f"{name}{'' if name in required else '?'}: {_type(field)};" for name, field in fields.items()]
    lines = [""]
    for field in shown:
        if len(lines[-1]) + len(field) + 3 > WIDTH:
            lines.append("")
        lines[-1] += f" {field}"
    return "{\n" + "".join(f" {line}\n" for line in lines) + "}"


def _type(schema: Schema) -> str:
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(option) for option in schema["anyOf"]))
    if "const" in schema:
        return json.dumps(schema["const"])
    kinds = schema.get("type", "object")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return " | ".join(dict.fromkeys(_plain_type(kind, schema) for kind in kinds))


def _plain_type(kind: str, schema: Schema) -> str:
    if kind == "array":
        item = _type(schema.get("items", {}))
        return f"({item})[]" if "|" in item else f"{item}[]"
    return {"integer": "number", "object": "Record<string, unknown>"}.get(kind, kind)


# Values ---------------------------------------------------------------------------------------------------


def _flat(value: Any, language: Language) -> str:
    """A value as the language writes it, in one line."""
    if isinstance(value, dict):
        items = [f"{_key(name, language)}: {_flat(inner, language)}" for name, inner in value.items()]
        space = language.brace_space if items else ""
        return f"{{{space}{', '.join(items)}{space}}}"
    if isinstance(value, list):
        return f"[{', '.join(_flat(inner, language) for inner in value)}]"
    if value is None or isinstance(value, bool):
        return language.names[value]
    return json.dumps(value, ensure_ascii=False)


def _key(name: str, language: Language) -> str:
    return name if language.bare_keys and name.isidentifier() else json.dumps(name, ensure_ascii=False)


def _literal(value: Any, language: Language, indent: int = 0, before: int = 0) -> str:
    """The same in as many lines as it needs. before: characters before it in its line, after the indent."""
    line = _flat(value, language)
    if not isinstance(value, dict | list) or indent + before + len(line) + 2 <= WIDTH:
        return line
    deeper = indent + language.indent
    if isinstance(value, dict):
        names = [f"{_key(name, language)}: " for name in value]
        values = zip(names, value.values(), strict=True)
        items = [name + _literal(inner, language, deeper, len(name)) for name, inner in values]
    else:
        items = [_literal(inner, language, deeper) for inner in value]
    return _block("{}" if isinstance(value, dict) else "[]", items, language, indent)


def _block(brackets: str, items: list[str], language: Language, indent: int) -> str:
    """Items in brackets, each in a line of its own."""
    inner = "\n" + " " * (indent + language.indent)
    lines = f",{inner}".join(items) + "," * language.last_comma
    return f"{brackets[0]}{inner}{lines}\n{' ' * indent}{brackets[1]}"
