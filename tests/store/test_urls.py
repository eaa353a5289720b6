"""Store URLs: which are taken, what is said of the others, and that no password is ever shown.

What a Redis URL means in detail is `persistence.redis.url`'s, and tested with the Redis backend.
"""

from __future__ import annotations

import pytest

from persistence import check_url, masked, open_store, store_address, tls_files
from persistence.redis.store import RedisStore
from persistence.sqlite.store import SqliteStore
from persistence.store import StoreError

TAKEN = {
    "sqlite:/var/lib/lbactors": "sqlite",
    "redis://h": "redis://h:6379/0",
    "redis://u:hunter2@H:6380/3?prefix=a.b&timeout_ms=100&wait_replicas=1": "redis://h:6380/3?prefix=a.b",
    "redis://:hunter@2@h": "redis://h:6379/0",
    "redis://:hunter%2F2@[::1]:6380/?prefix=lbactors": "redis://[::1]:6380/0",
    "rediss://u:hunter2@h/1?ca=/ca.pem&cert=/c.pem&key=/k.pem&verify=no": "rediss://h:6379/1",
    "redis+cluster://:hunter2@b:7001,a:7000/": "redis+cluster://a:7000,b:7001/0",
    "rediss+cluster://a:7000?wait_fsync=yes": "rediss+cluster://a:7000/0",
    "redis+sentinel://:hunter2@b,a:26380/mymaster/2?sentinel_password=hunter2":
        "redis+sentinel://a:26380,b:26379/mymaster/2",
    "rediss+sentinel://a/mymaster?sentinel_user=x": "rediss+sentinel://a:26379/mymaster/0",
}  # fmt: skip


@pytest.mark.parametrize(("url", "address"), TAKEN.items())
def test_a_url_and_where_it_leads(url: str, address: str) -> None:
    check_url(url)
    assert store_address(url) == address
    assert isinstance(open_store(url), SqliteStore if url.startswith("sqlite") else RedisStore)
    assert "hunter" not in masked(url)


def test_files_of_a_url() -> None:
    assert tls_files("rediss://h?ca=/a%20b&cert=/c&key=/k") == {"ca": "/a b", "cert": "/c", "key": "/k"}
    assert tls_files("redis://h") == tls_files("sqlite:/x") == {}


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://u:hunter2@h/db", "there is no store 'mysql' (known: sqlite, redis, "),
        ("mysql:u:hunter2@h", "there is no store 'mysql'"),
        ("hunter2@h", "no store"),
        ("sqlite:", "the data directory is missing"),
        ("redis:/:hunter2@h", "// is missing"),
        ("redis://", "is no HOST or HOST:PORT"),
        ("redis://:hunter/2@h/0", "write / as %2F"),
        ("redis://:hunter?2@h/0", "? as %3F"),
        ("redis://:hunter#2@h/0", "write # as %23"),
        ("redis://:hunter2@[::1/0", "Invalid IPv6 URL"),
        ("redis://:hunter2@h:70000/0", "'h:70000' is no HOST or HOST:PORT"),
        ("redis://:hunter2@h/zero", "the database must be a number, not 'zero'"),
        ("redis://:hunter2@a,b", "several hosts need redis+cluster:// or redis+sentinel://"),
        ("redis+cluster://:hunter2@a,b/1", "a Redis Cluster has database 0 only"),
        ("redis+sentinel://:hunter2@a", "the name of the Sentinels' service is missing"),
        ("redis://:hunter2@h?wait=1", "unknown option 'wait' (known: prefix, "),
        ("redis://:hunter2@h?wait_replicas=-1", "wait_replicas must be a number from 0 to 100, not '-1'"),
        ("redis://:hunter2@h?wait_fsync=1", "wait_fsync must be yes or no, not '1'"),
        ("redis://:hunter2@h?prefix={x}", "prefix must have"),
        ("redis://:hunter2@h?ca=/x", "ca is for rediss:// (TLS) only"),
        ("redis+sentinel://a?sentinel_password=hunter2", "service is missing"),
    ],
)
def test_what_is_wrong_is_named_and_no_password_shown(url: str, words: str) -> None:
    for refuse in (check_url, open_store):
        with pytest.raises(StoreError) as refused:
            refuse(url)
        text = str(refused.value)
        assert words in text and "hunter" not in text and "\n" not in text, text
    assert "hunter" not in masked(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h:6379/0?prefix=x", "redis://h:6379/0?prefix=x"),
        ("redis://u:p@h/0?prefix=x", "redis://***@h/0?prefix=x"),
        ("redis+sentinel://u:p@h/m?sentinel_password=p&prefix=x", "redis+sentinel://***@h/m?sentinel_password=***&prefix=x"),
        ("redis://h?Sentinel_PASSWORD=p@q", "redis://h?Sentinel_PASSWORD=***"),
        ("sqlite:/a/b", "sqlite:/a/b"),
        ("p\nq@h", "***@h"),
    ],
)  # fmt: skip
def test_masked(url: str, shown: str) -> None:
    assert masked(url) == shown
