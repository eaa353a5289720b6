"""What a Redis URL says, checked before anything connects; every error names the part that is wrong.

    redis://[user:password@]host[:port][/db][?options]              one server, or a primary with replicas
    redis+sentinel://[user:password@]host[:port],…/service[/db]     the primary that the Sentinels name
    redis+cluster://[user:password@]host[:port],…                   a Redis Cluster, found through any node
    rediss://, rediss+sentinel://, rediss+cluster://                the same with TLS

Options: `prefix` (of every key: `lbactors`), `timeout_ms` (of one exchange with Redis: 5000),
`wait_replicas` (replicas that must have a write before it is acknowledged: 0), `wait_fsync` (yes: they and
the primary must have synced it to disk; Redis 7.2), `ca`, `cert`, `key` (files in PEM), `verify` (no: any
certificate will do), `sentinel_user`, `sentinel_password`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from persistence.store import StoreError

DEFAULT_PORT = 6379
DEFAULT_SENTINEL_PORT = 26379
SCHEMES = tuple(f"redis{tls}{kind}" for tls in ("", "s") for kind in ("", "+sentinel", "+cluster"))
OPTIONS = {
    "prefix": "lbactors",
    "timeout_ms": "5000",
    "wait_replicas": "0",
    "wait_fsync": "no",
    "ca": "",
    "cert": "",
    "key": "",
    "verify": "yes",
    "sentinel_user": "",
    "sentinel_password": "",
}
_PREFIX = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?")


class RedisOptions(NamedTuple):
    """A URL, taken apart. `kind`: server | sentinel | cluster. `hosts`: (host, port). `safe_url`: for
    messages, without user, password and options.
    """

    kind: str
    hosts: tuple[tuple[str, int], ...]
    safe_url: str
    tls: bool
    user: str | None
    password: str | None
    db: int
    service: str
    prefix: str
    timeout_s: float
    wait_replicas: int
    wait_fsync: bool
    ca: str | None
    cert: str | None
    key: str | None
    verify: bool
    sentinel_user: str | None
    sentinel_password: str | None

    def __repr__(self) -> str:
        return f"RedisOptions({self.safe_url!r})"  # no passwords in tracebacks

    def check_files(self) -> None:
        """StoreError for a file that is not there."""
        for name, path in (("ca", self.ca), ("cert", self.cert), ("key", self.key)):
            if path is not None and not Path(path).is_file():
                raise StoreError(f"store {self.safe_url}: {name}: no file {path!r}")


def parse_redis_url(url: str) -> RedisOptions:
    """What a URL says. StoreError names what is wrong, and shows no password."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise StoreError(f"store {url.partition(':')[0]}://…: {error}") from None
    login, _, hosts_text = parts.netloc.rpartition("@")
    safe_url = f"{parts.scheme}://{hosts_text}{parts.path}"

    def wrong(what: str) -> StoreError:
        return StoreError(f"store {safe_url}: {what}")

    if "@" in parts.path or parts.fragment or ("@" in parts.query and not login):
        safe_url = f"{parts.scheme}://…"  # what was taken for host or path may be a password
        raise wrong("a user or password with one of / @ ? # must have it percent-encoded")
    if parts.scheme not in SCHEMES:
        raise wrong(f"the scheme must be one of {', '.join(SCHEMES)}")
    tls, kind = parts.scheme.startswith("rediss"), parts.scheme.partition("+")[2] or "server"
    pairs = [pair.partition("=") for pair in parts.query.split("&") if pair]
    given = {name: unquote(value) for name, _, value in pairs}
    if len(given) < len(pairs):
        raise wrong("an option is given twice")
    unknown = sorted(given.keys() - OPTIONS.keys())
    if unknown:
        raise wrong(f"unknown option {unknown[0]!r} (known: {', '.join(OPTIONS)})")
    options = OPTIONS | given

    def number(name: str, least: int, most: int) -> int:
        text = options[name]
        if not re.fullmatch(r"\d{1,9}", text) or not least <= int(text) <= most:
            raise wrong(f"{name} must be a number from {least} to {most}, not {text!r}")
        return int(text)

    def flag(name: str) -> bool:
        if options[name] not in ("yes", "no"):
            raise wrong(f"{name} must be yes or no, not {options[name]!r}")
        return options[name] == "yes"

    default_port = DEFAULT_SENTINEL_PORT if kind == "sentinel" else DEFAULT_PORT
    hosts: list[tuple[str, int]] = []
    for text in hosts_text.split(","):
        match = _HOST.fullmatch(text)
        if match is None or not 0 < int(match[2] or default_port) < 65536:
            raise wrong(f"{text!r} is no HOST or HOST:PORT")
        hosts.append((match[1].strip("[]"), int(match[2] or default_port)))
    if kind == "server" and len(hosts) > 1:
        raise wrong("several hosts need redis+cluster:// or redis+sentinel://")

    path = [unquote(piece) for piece in parts.path.strip("/").split("/") if piece]
    service = ""
    if kind == "sentinel":
        if not path:
            raise wrong("the name of the Sentinels' service is missing (redis+sentinel://host:port/service)")
        service = path.pop(0)
    if len(path) > 1 or (path and not re.fullmatch(r"\d{1,5}", path[0])):
        raise wrong(f"the database must be a number, not {'/'.join(path)!r}")
    db = int(path[0]) if path else 0
    if kind == "cluster" and db:
        raise wrong("a Redis Cluster has database 0 only")
    if not _PREFIX.fullmatch(options["prefix"]):
        raise wrong("prefix must have 1 to 64 letters, digits, '_', '.' or '-'")
    for name in ("ca", "cert", "key"):
        if options[name] and not tls:
            raise wrong(f"{name} is for rediss:// (TLS) only")
    user, colon, password = login.partition(":")
    replicas, fsync = number("wait_replicas", 0, 100), flag("wait_fsync")
    return RedisOptions(
        kind=kind,
        hosts=tuple(hosts),
        safe_url=safe_url,
        tls=tls,
        user=unquote(user) or None,
        password=unquote(password) if colon else None,
        db=db,
        service=service,
        prefix=options["prefix"],
        timeout_s=number("timeout_ms", 10, 600_000) / 1000,
        wait_replicas=replicas,
        wait_fsync=fsync,
        ca=options["ca"] or None,
        cert=options["cert"] or None,
        key=options["key"] or None,
        verify=flag("verify"),
        sentinel_user=options["sentinel_user"] or None,
        sentinel_password=options["sentinel_password"] or None,
    )
