"""The documents are in step with the code: what is generated is fresh, what is named exists.

Links, anchors, files and functions are looked up. What the pages show is tried without a server: command
lines are parsed by the real command line, requests are held against the OpenAPI document. Which pages are
run on a real server: tests/integration/pages.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from jsonschema.validators import Draft202012Validator

from lbactors.core.errors import ERROR_STATUS
from lbactors.settings import ServerSettings, env_name, option_name
from tests.support.command import understood
from tests.support.pages.reading import FENCE, read_blocks
from tests.support.repository import REPOSITORY as ROOT

DOCS = ROOT / "docs"
EXAMPLES = sorted((ROOT / "examples").rglob("*.md"))
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted(DOCS.rglob("*.md")),
    *EXAMPLES,
]
DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))
PACKAGES = ("lbactors", "gateway", "persistence")

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
ELSEWHERE = re.compile(r"/(?:work|tmp|home|root|mnt|Users)/|\bsessions?\b", re.IGNORECASE)

# Codes that no route of the document names in its answers, and why. All stand in its schema of errors.
UNNAMED_CODES = {
    "route_not_found": "the answer where there is no route",
    "method_not_allowed": "the answer where a route has no such method",
    "internal_error": "a bug; no route promises one",
    "rate_limited": "there are no rate limits yet",
}


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def each_page(pages: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", pages, ids=relative)


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def blocks(page: Path, *languages: str) -> Iterator[str]:
    for block in read_blocks(page):
        if block.language in languages:
            yield block.text


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = load_generator()


# What is generated ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GENERATOR.TEXTS)
def test_generated_files_are_fresh(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in {"LBACTORS_PORT": "no port", "LBACTORS_URL": "http://x", "COLUMNS": "40"}.items():
        monkeypatch.setenv(variable, value)  # which must not matter
    path = DOCS / name
    found = path.read_text(encoding="utf-8") if path.exists() else ""
    assert found == GENERATOR.TEXTS[name](), f"docs/{name} is out of date: run `python docs/generate.py`"


def test_every_setting_is_described() -> None:
    lines = (DOCS / "settings.md").read_text(encoding="utf-8").splitlines()
    for name, field in ServerSettings.model_fields.items():
        assert field.description, name
        start = f"| `{option_name(name)}` | `{env_name(name)}` |"
        (line,) = [line for line in lines if line.startswith(start)]
        assert line.endswith(f"| {field.description} |")


def test_every_metric_and_every_command_is_described() -> None:
    metrics = (DOCS / "metrics.md").read_text(encoding="utf-8")
    declared = re.findall(
        r'"(lbactors_\w+)"', (ROOT / "gateway" / "http" / "metrics.py").read_text(encoding="utf-8")
    )
    assert len(declared) >= 5
    for name in declared:
        assert f"| `{name}` |" in metrics
    headings = headings_of(DOCS / "cli.md")
    for context in GENERATOR.commands():
        assert slug(context.command_path) in headings


def test_every_error_code_is_in_the_openapi_document() -> None:
    document = openapi()
    code = document["components"]["schemas"]["Error"]["properties"]["error"]["properties"]["code"]
    assert code["enum"] == list(ERROR_STATUS)
    named: set[str] = set()
    for methods in document["paths"].values():
        for operation in methods.values():
            for status, answer in operation["responses"].items():
                if status >= "400":
                    codes = re.findall(r"`(\w+)`", answer["description"].partition("Codes: ")[2])
                    assert codes and all(ERROR_STATUS[code] == int(status) for code in codes)
                    named.update(codes)
    assert set(ERROR_STATUS) - named == set(UNNAMED_CODES)


# Links ----------------------------------------------------------------------------------------------------


def slug(heading: str) -> str:
    """The anchor of a heading, as code hosts make it: lower case, no punctuation, hyphens for spaces."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def headings_of(page: Path) -> set[str]:
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)}


def links(page: Path) -> Iterator[tuple[str, Path, str]]:
    """Relative links: as written, the file meant (a folder means its README), the anchor."""
    for target in LINK.findall(prose(page)):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            meant = (page.parent / path).resolve() if path else page
            yield target, meant / "README.md" if meant.is_dir() else meant, anchor


@each_page(PAGES)
def test_links_lead_somewhere(page: Path) -> None:
    for target, meant, anchor in links(page):
        assert meant.is_file(), f"{relative(page)}: {target}"
        assert not anchor or anchor in headings_of(meant), f"{relative(page)}: {target}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, found = {PAGES[0]}, [PAGES[0]]
    while found:
        for _, meant, _ in links(found.pop()):
            if meant.suffix == ".md" and meant not in reached and meant.is_file():
                reached.add(meant)
                found.append(meant)
    assert set(PAGES) <= reached, [relative(page) for page in set(PAGES) - reached]


def test_the_index_of_decisions_has_each_under_its_title() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    index = (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^- \[(.+)\]\((\S+)\)$", index, re.MULTILINE)
    titles = [path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ") for path in DECISIONS]
    assert listed == [(title, path.name) for title, path in zip(titles, DECISIONS, strict=True)]


# What the pages name --------------------------------------------------------------------------------------


def named_paths(page: Path) -> Iterator[tuple[str, list[Path]]]:
    """Paths in backticks, and what they mean. One may leave out the folder of one before it in its line."""
    for line in prose(page).splitlines():
        folders = [ROOT, page.parent] if page in EXAMPLES else [ROOT]
        for name in re.findall(r"`([\w.*/-]+)`", line):
            if name.startswith("/") or not (name.endswith(("/", ".py")) or name.split("/")[0] == "tests"):
                continue
            pattern = name.rstrip("/")
            found = [path for folder in folders for path in folder.glob(pattern)]
            folders += [path if path.is_dir() else path.parent for path in found]
            yield name, found


@each_page(PAGES)
def test_files_that_are_named_exist(page: Path) -> None:
    names = list(named_paths(page))
    if page.stem in ("architecture", "guarantees"):
        assert len(names) > 8  # else the pattern finds nothing any more
    for name, found in names:
        assert found, f"{relative(page)} names {name}"


def test_functions_that_are_named_exist() -> None:
    """`file.py` (`function`, `function`) in the architecture."""
    text = prose(DOCS / "architecture.md")
    found = re.findall(r"`([\w/]+\.py)` \((`\w+`(?:,\s+(?:`\w+`|…))*)\)", text)
    assert len(found) >= 4
    for path, names in found:
        source = (ROOT / path).read_text(encoding="utf-8")
        for name in re.findall(r"`(\w+)`", names):
            assert re.search(rf"^\s*(?:async )?(?:def|class) {name}\b", source, re.MULTILINE), (path, name)


def test_the_architecture_places_every_module() -> None:
    placed = {path for _, found in named_paths(DOCS / "architecture.md") for path in found}
    modules = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    for module in modules:
        if module.name != "__init__.py":
            assert placed & {module, *module.parents} - {ROOT}, f"{relative(module)} is in no row of `Files`"


def sources() -> Iterator[tuple[Path, str]]:
    """What developers read beside the pages: the code and the project's file."""
    modules = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    for path in (*modules, ROOT / "pyproject.toml"):
        yield path, path.read_text(encoding="utf-8")


def test_pages_that_the_code_names_exist() -> None:
    named = [
        (path, page, anchor)
        for path, text in sources()
        for page, anchor in re.findall(r"(?<![\w/])(docs/[\w/.-]+\.(?:md|json))(?:#([\w-]+))?", text)
    ]
    assert len(named) >= 5
    for path, page, anchor in named:
        meant = ROOT / page
        assert meant.is_file(), f"{relative(path)} names {page}"
        assert not anchor or anchor in headings_of(meant), f"{relative(path)} names {page}#{anchor}"


def test_modules_that_the_code_names_exist() -> None:
    """`package.module` or `package.module.name` in docstrings and comments."""
    named = [
        (path, name)
        for path, text in sources()
        for name in re.findall(rf"`((?:{'|'.join(PACKAGES)})(?:\.\w+)+)`", text)
    ]
    assert len(named) > 50
    for path, name in named:
        meant, rest = ROOT, name.split(".")
        while rest and ((meant / rest[0]).is_dir() or (meant / f"{rest[0]}.py").is_file()):
            meant /= rest.pop(0)
        source = meant.with_suffix(".py") if meant.with_suffix(".py").is_file() else meant / "__init__.py"
        found = not rest or re.search(rf"\b{rest[0]}\b", source.read_text(encoding="utf-8"))
        assert meant != ROOT and found, f"{relative(path)} names {name}"


@each_page([*PAGES, DOCS / "openapi.json"])
def test_pages_speak_of_the_product_alone(page: Path) -> None:
    """Neither of a place on some machine, nor of how the text came about."""
    assert not ELSEWHERE.findall(page.read_text(encoding="utf-8"))


# What the pages show --------------------------------------------------------------------------------------


def command_lines(page: Path) -> Iterator[list[str]]:
    """Words of every command line of lbactors in a page's blocks, without `lbactors` or `./run`."""
    for block in blocks(page, "sh", "console"):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r" [|<>] ?", line.removeprefix("$ ")):
                match = re.match(r"(?:[A-Z_]+=\S+ )*(?:lbactors|\./run) (?!test|lint)", part)
                if match is not None:
                    yield shlex.split(part[match.end() :], comments=True)


def test_command_lines_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [words for page in PAGES for words in command_lines(page)]
    assert len(lines) > 50
    for words in lines:
        for name in words:
            if name.endswith((".json", ".jsonl")):
                (tmp_path / name).touch()
        with understood(words):
            pass


def openapi() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((DOCS / "openapi.json").read_text(encoding="utf-8"))
    return document


def requests_of(page: Path) -> Iterator[tuple[str, str, Any]]:
    """Method, target and JSON body of every request to the API by curl in a page's blocks.

    The body is None where it comes from a file or from standard input.
    """
    for block in blocks(page, "sh"):
        plain = re.sub(r"(^|\s)#.*$", "", block.replace("\\\n", " "), flags=re.MULTILINE)
        lexer = shlex.shlex(plain, posix=True, punctuation_chars="();<>|&\n")
        lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, ""
        words = list(lexer)
        for at, word in enumerate(words):
            if word == "curl":
                arguments = itertools.takewhile(lambda word: word[0] not in "();<>|&\n", words[at + 1 :])
                yield from request_of(list(arguments))


def request_of(words: list[str]) -> Iterator[tuple[str, str, Any]]:
    options, target, rest = {}, "", iter(words)
    for word in rest:
        if word in ("-H", "-X", "-d", "-o", "--json"):
            options[word] = next(rest)
        elif not word.startswith("-"):
            target = word
    if target.startswith("$LB"):
        text = options.get("--json", options.get("-d"))
        body = json.loads(text) if text and not text.startswith("@") else None
        yield options.get("-X", "GET" if text is None else "POST"), target.removeprefix("$LB"), body


def operation_of(method: str, path: str, document: dict[str, Any]) -> dict[str, Any]:
    patterns = {known: re.sub(r"\{\w+\}", "[^/]+", known) for known in document["paths"]}
    found = [known for known, pattern in patterns.items() if re.fullmatch(pattern, path)]
    operations = [document["paths"][known].get(method.lower()) for known in sorted(found, key=plainness)]
    return next(operation for operation in operations if operation is not None)


def plainness(path: str) -> int:
    """Sorts routes by how many parameters they have: `/rankings/at` comes before `/{anything}`."""
    return path.count("{")


@each_page(PAGES)
def test_requests_are_in_the_openapi_document(page: Path) -> None:
    document = openapi()
    shown = list(requests_of(page))
    if page.name == "README.md" and page.parent == ROOT:
        assert len(shown) > 5  # else the pattern finds nothing any more
    for method, target, body in shown:
        url = urlsplit(target)
        operation = operation_of(method, url.path, document)
        known = {p["name"] for p in operation["parameters"] if p["in"] == "query"}
        assert {name for name, _ in parse_qsl(url.query)} <= known, target
        if body is not None:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            checked = Draft202012Validator({"components": document["components"], **schema})
            assert not [error.message for error in checked.iter_errors(body)], target
