"""What a Redis server says about itself (INFO), and whether the store's promises can be kept on it."""

from __future__ import annotations

from collections.abc import Mapping

from persistence.redis.keys import text
from persistence.redis.url import RedisOptions
from persistence.store import StoreError, StoreLoading, StoreUnavailable

OLDEST = (7, 0)
OLDEST_WITH_WAITAOF = (7, 2)


class ServerInfo:
    """One server's INFO, taken apart."""

    def __init__(self, reply: bytes, where: str) -> None:
        lines = (line.partition(":") for line in text(reply).splitlines() if ":" in line)
        self.values = {name: value for name, _, value in lines}
        self.where = where

    @property
    def version(self) -> tuple[int, int]:
        major, _, rest = self.values.get("redis_version", "0.0").partition(".")
        return int(major), int(rest.partition(".")[0] or 0)

    def check(self, options: RedisOptions) -> None:
        """StoreLoading; StoreUnavailable if it is a replica; StoreError if it will never do."""
        shown = ".".join(map(str, self.version))
        mode = self.values.get("redis_mode", "standalone")
        if mode == "sentinel":
            raise StoreError(f"{self.where} is a Sentinel: use redis+sentinel://HOST:PORT/SERVICE")
        if self.version < OLDEST:
            raise StoreError(f"{self.where} is Redis {shown}; 7.0 or later is needed")
        if mode == "cluster" and options.kind != "cluster":
            raise StoreError(f"{self.where} is a node of a Redis Cluster: use redis+cluster://")
        if mode != "cluster" and options.kind == "cluster":
            raise StoreError(f"{self.where} is no Redis Cluster: use redis://")
        if options.wait_fsync and self.version < OLDEST_WITH_WAITAOF:
            raise StoreError(f"{self.where} is Redis {shown}; wait_fsync (WAITAOF) needs 7.2 or later")
        if options.wait_fsync and self.values.get("aof_enabled") == "0":
            raise StoreError(f"{self.where}: wait_fsync needs 'appendonly yes'")
        if self.values.get("loading") == "1":
            raise StoreLoading(f"{self.where}: Redis is loading its data")
        if self.values.get("role") == "slave":
            raise StoreUnavailable(f"{self.where} is a read-only replica; the primary is needed")
        policy = self.values.get("maxmemory_policy", "noeviction")
        if policy.startswith("allkeys"):
            raise StoreError(
                f"{self.where}: with maxmemory-policy {policy} Redis would delete scores when its memory "
                "is full; set it to noeviction"
            )

    def cautions(self, settings: Mapping[str, str], options: RedisOptions) -> list[str]:
        """Sentences about what acknowledged scores may be lost. settings: appendfsync, save, if known."""
        found = []
        fsync = settings.get("appendfsync", "")
        if self.values.get("aof_enabled") == "0":
            if settings.get("save") == "":
                found.append(
                    f'{self.where}: Redis keeps nothing on disk (appendonly no, save ""): when it ends, '
                    "every score is lost"
                )
            else:
                found.append(
                    f"{self.where}: Redis has no append-only file (appendonly no): when it is killed, "
                    "every score since its last RDB snapshot is lost"
                )
        elif not options.wait_fsync and fsync in ("everysec", "no"):
            lost = (
                "the last one or two seconds"
                if fsync == "everysec"
                else "what the system had not written, 30 s or so,"
            )
            found.append(
                f"{self.where}: with appendfsync {fsync} a power loss loses {lost} of acknowledged scores; "
                "so does, while the disk is slow, a kill of Redis"
            )
        if settings.get("no-appendfsync-on-rewrite") == "yes" and fsync != "no":
            found.append(
                f"{self.where}: no-appendfsync-on-rewrite yes: nothing is synced while the AOF is rewritten"
            )
        replicas = options.kind == "sentinel" or self.values.get("connected_slaves", "0") != "0"
        if replicas and not options.wait_replicas:
            found.append(
                f"{self.where}: with wait_replicas=0 a failover to a replica may lose scores that were "
                "acknowledged just before"
            )
        if self.values.get("maxmemory_policy", "noeviction") != "noeviction":
            found.append(
                f"{self.where}: maxmemory-policy {self.values['maxmemory_policy']}; noeviction is right"
            )
        return found
