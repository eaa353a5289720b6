"""Every setting of the server in one model: name, type, default, limits and a sentence for people.

The command line (`lbactors serve --port`), the environment (`LBACTORS_PORT`) and the documentation are all
derived from this table, so a setting exists in three places at once or not at all. An option beats the
environment, the environment beats the default. An environment variable that is set but empty counts as unset.

It owns the checks on values that need nothing but the value (ranges, forms). Whether a port is free or a
store answers is found out by the server.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from lbactors.actor_settings import ActorSettings
from persistence import check_url, tls_files
from persistence.store import StoreError

ENV_PREFIX = "LBACTORS_"

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=7 * 86_400, allow_inf_nan=False)]

_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})")
_PLUGIN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*)?")
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_ROOT_KEY = re.compile(r"[\x21-\x7e]{1,256}")


class ServerSettings(BaseSettings):
    """What `lbactors serve` runs with. Immutable; a bad value raises pydantic's `ValidationError`."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, validate_default=True
    )

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 for all of IPv4.")
    port: Port = Field(8080, description="Port of the HTTP API; 0 takes any free one.")
    data_dir: Path = Field(
        Path("lbactors-data"),
        description="Directory of the SQLite store, and with any store of server.json: what the server knows "
        "about it. Made if it does not exist.",
    )
    store: str = Field(
        "sqlite",
        repr=False,
        description="Where everything is kept: sqlite, or a Redis URL as in docs/redis.md. Set one with a "
        "password in the environment, where other users of the machine cannot read it.",
    )
    accept_older_store: bool = Field(
        False,
        description="Start although the store was emptied, replaced or restored from an older copy since the "
        "server last used it, and go on with what is there. For one start.",
    )
    lease_seconds: Seconds = Field(
        10,
        description="A period that could not reach the store for so long takes no more writes until it can.",
    )
    ray_address: str = Field(
        "local",
        description="Ray cluster: local starts one of its own, auto finds one on this machine, or HOST:PORT.",
    )
    gateways: int = Field(1, ge=1, le=64, description="Gateway processes that share the port.")
    root_key: SecretStr | None = Field(
        None,
        description="Key with every scope; if none is set, the first start on an empty store makes one and "
        "prints it. Set it in the environment, where other users of the machine cannot read it.",
    )
    metrics_port: Port = Field(
        0, description="Port of its own for /metrics; 0 serves /metrics on the port of the API."
    )

    cors_origins: str = Field(
        "",
        description="Origins whose pages may call the API from a browser, between commas, as "
        "https://game.example,https://html-classic.itch.zone; * for every origin. None if it is not set.",
    )

    actors_per_core: int = Field(
        8,
        ge=1,
        le=256,
        description="Budget of period actors for each core of the cluster; beyond it they share.",
    )
    spare_actors: int = Field(
        1,
        ge=0,
        le=64,
        description="Idle period actors kept ready, so that a new period need not wait for one.",
    )
    idle_unload_seconds: Seconds = Field(
        300, description="A closed period that nobody read for so long is unloaded from memory."
    )
    snapshot_seconds: Seconds = Field(
        60, description="Longest time between two snapshots of a period that changes."
    )
    snapshot_inputs: int = Field(
        200_000, ge=1, description="Journaled inputs of a period after which a snapshot is due at once."
    )
    seen_ids_limit: int = Field(
        1_000_000, ge=1, description="Submission ids remembered per period, to recognise repeats."
    )
    queue_limit: int = Field(
        20_000,
        ge=1,
        description="Submissions that may wait in a gateway for a period actor, and in that for a "
        "leaderboard; more are answered 429.",
    )
    write_batch_items: int = Field(
        4096, ge=1, le=65_536, description="Most submissions that travel to a period actor in one call."
    )

    audit_retain_days: int = Field(
        400, ge=1, le=36_500, description="Days that a record of the audit log is kept."
    )

    metric_retain_days: int = Field(
        400, ge=1, le=36_500, description="Days that a row of a metric is kept; balances are kept for good."
    )
    event_retain_days: int = Field(30, ge=1, le=36_500, description="Days that an event is kept.")
    behind_wait_seconds: float = Field(
        2,
        ge=0,
        le=60,
        allow_inf_nan=False,
        description="How long the answer to rows and events waits for the leaderboards that are computed "
        "from them; those that have not taken them by then are named as behind.",
    )

    request_seconds: Seconds = Field(
        25,
        description="Longest time that a request waits inside the server, all waits together, from when its "
        "body has arrived; then it is answered 503. Erasing a player may take 900 s.",
    )
    body_limit_bytes: int = Field(8 * 1024 * 1024, ge=1024, description="Largest request body.")
    json_depth: int = Field(32, ge=8, le=200, description="Deepest nesting of a JSON or MessagePack body.")
    batch_items: int = Field(
        10_000, ge=1, le=1_000_000, description="Most items of one batch of submissions."
    )
    id_length: int = Field(
        128, ge=1, le=1024, description="Longest player_id and submission_id, in characters."
    )
    metadata_bytes: int = Field(4096, ge=2, description="Longest encoded metadata of an entry.")
    events_per_request: int = Field(
        1000, ge=1, le=100_000, description="Most events of one request to /v1/events."
    )
    event_bytes: int = Field(
        65_536, ge=2, description="Longest event: its attrs and actor.metadata together, encoded."
    )
    lookup_players: int = Field(1000, ge=1, le=100_000, description="Most players of one lookup.")
    page_limit: int = Field(1000, ge=1, le=100_000, description="Largest limit of a page.")

    webhook_public_targets: bool = Field(
        False,
        description="Send webhooks to public addresses alone, never to private or loopback ones: for a "
        "server whose tenants are not the ones who run it.",
    )
    webhook_give_up_seconds: Seconds = Field(
        259_200,  # a weekend, with the evening before it
        description="A delivery to a webhook is tried again for so long, then given up.",
    )
    webhook_keep_seconds: Seconds = Field(
        604_800, description="Deliveries that were confirmed or given up are kept for so long."
    )
    webhook_pending_limit: int = Field(
        100_000, ge=1, description="Pending deliveries after which a webhook is disabled."
    )
    plugins: str = Field(
        "",
        description="Plugins to load beside installed ones: module or module:object each, between commas "
        "(docs/plugins.md).",
    )
    plugin_failure: Literal["accept", "hold", "refuse"] = Field(
        "accept",
        description="What becomes of a submission whose plugin failed: accept takes it as if the plugin had "
        "said nothing, hold keeps it for review, refuse answers 503, so that it is sent again.",
    )
    held_limit: int = Field(
        10_000, ge=1, description="Submissions of a leaderboard held for review; more are answered 429."
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severity that is logged: debug, info, warning or error."
    )
    start_seconds: Seconds = Field(
        120, description="Longest time that a start waits for the supervisor; it says so, and ends then."
    )
    drain_seconds: Seconds = Field(
        20, description="Longest time that SIGTERM waits for open requests and last snapshots."
    )
    clock_file: Path | None = Field(
        None,
        description="File with an offset in ms (8 bytes) that is added to the system's time; for tests only.",
    )

    @field_validator("data_dir", "clock_file")
    @classmethod
    def _home(cls, value: Path | None) -> Path | None:
        return value.expanduser() if value is not None else None

    @field_validator("store")
    @classmethod
    def _store_known(cls, value: str) -> str:
        if value == "sqlite":
            return value
        if not re.match(r"rediss?(\+cluster|\+sentinel)?://[^/\s]", value):
            raise PydanticCustomError(
                "store",
                "must be sqlite or a Redis URL: redis://host:port/db, redis+cluster://host:port,host:port or "
                "redis+sentinel://host:port/service",
            )
        try:
            check_url(value)
            relative = [name for name, path in tls_files(value).items() if not Path(path).is_absolute()]
        except StoreError as error:
            raise PydanticCustomError("store", "{why}", {"why": str(error).removeprefix("store ")}) from None
        if relative:
            message = "{name} must be an absolute path, the same on every machine of the cluster"
            raise PydanticCustomError("store", message, {"name": relative[0]})
        return value

    @field_validator("ray_address")
    @classmethod
    def _ray_address_form(cls, value: str) -> str:
        match = _HOST_AND_PORT.fullmatch(value)
        if value in ("local", "auto") or (match and 0 < int(match[2]) <= 65535):
            return value
        raise PydanticCustomError("ray_address", "must be local, auto or HOST:PORT")

    @field_validator("root_key")
    @classmethod
    def _root_key_sendable(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or _ROOT_KEY.fullmatch(value.get_secret_value()):
            return value
        raise PydanticCustomError("root_key", "must have 1 to 256 visible ASCII characters, no spaces")

    @field_validator("plugins")
    @classmethod
    def _plugins_form(cls, value: str) -> str:
        for name in filter(None, (part.strip() for part in value.split(","))):
            if not _PLUGIN.fullmatch(name):
                raise PydanticCustomError("plugins", "must be module or module:object each, between commas")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _as_browsers_write_origins(cls, value: str) -> str:
        parts = [part.strip().lower() for part in value.split(",") if part.strip()]
        if parts == ["*"]:
            return "*"
        origins = []
        for part in parts:
            match = _ORIGIN.fullmatch(part)
            if match is None:
                message = "must be * or origins between commas, each scheme://host or scheme://host:port"
                raise PydanticCustomError("cors_origins", message)
            scheme, _, port = match.groups()
            origins.append(part.removesuffix(port) if port and _DEFAULT_PORTS.get(scheme) == port else part)
        return ",".join(dict.fromkeys(origins))

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @property
    def store_url(self) -> str:
        """What `persistence.open_store` opens."""
        return f"sqlite:{self.data_dir.resolve()}" if self.store == "sqlite" else self.store

    def for_actors(
        self, *, store_id: str, server_id: str, server: str, root_key_hash: str | None
    ) -> ActorSettings:
        """What supervisor and period actors need to know, see there."""
        own = {field.name for field in dataclasses.fields(ActorSettings)} & type(self).model_fields.keys()
        values = {name: getattr(self, name) for name in own}
        values["clock_file"] = str(self.clock_file.resolve()) if self.clock_file else None
        return ActorSettings(
            store_url=self.store_url,
            store_id=store_id,
            server_id=server_id,
            server=server,
            root_key_hash=root_key_hash,
            **values,
        )


def option_name(field: str) -> str:
    """`data_dir` as the command line writes it: `--data-dir`."""
    return "--" + field.replace("_", "-")


def env_name(field: str) -> str:
    """`data_dir` as the environment writes it: `LBACTORS_DATA_DIR`."""
    return ENV_PREFIX + field.upper()


def default_of(field: str) -> Any:
    """A setting's default, None if there is none."""
    return ServerSettings.model_fields[field].default


def default_text(field: str) -> str:
    """The same as a person would type it; empty if there is none."""
    default = default_of(field)
    if default is None:
        return ""
    if isinstance(default, bool):
        return "yes" if default else "no"
    return f"{default:g}" if isinstance(default, float) else str(default)


def explain(error: ValidationError, given: Mapping[str, str]) -> str:
    """What is wrong with the values, in one line that names option or variable, and shows no secret.

    given: the options of the settings that came from the command line; the others came from the environment.
    """
    parts = []
    for finding in error.errors(include_url=False, include_context=False):
        field = str(finding["loc"][0]) if finding["loc"] else ""
        name = given.get(field) or env_name(field)
        message = finding["msg"].replace("Input should be ", "must be ").partition(", unable to ")[0]
        message = message.replace("a valid integer", "an integer").replace("a valid boolean", "yes or no")
        shown = "" if field in ("root_key", "store") else f", not {finding['input']!r}"
        parts.append(f"{name}: {message[:1].lower()}{message[1:]}{shown}")
    return "; ".join(parts)
