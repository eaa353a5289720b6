"""The least that a durable write over HTTP costs: an aiohttp handler that keeps each body with an fsync.

    python bench/floor_server.py --port 8090 --data-dir DIRECTORY

No Ray, no actor, no ranking, nothing checked: the body is parsed as JSON and appended to a file. Requests
that wait share the next fsync, as they do in the server. It answers what a leaderboard's scores route
answers, as far as the load generator reads it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import click
import orjson
import uvloop
from aiohttp import web


class Journal:
    """A file that is appended to; what arrives while an fsync is under way is in the next one."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def append(self, body: bytes) -> None:
        """Durable on return."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((body, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        await done

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            await asyncio.to_thread(self._keep, b"\n".join(body for body, _ in batch))
            for _, done in batch:
                done.set_result(None)

    def _keep(self, content: bytes) -> None:
        self._file.write(content)
        os.fsync(self._file.fileno())


async def serve(port: int, folder: Path) -> None:
    """Until SIGTERM."""
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(folder / "journal")

    async def scores(request: web.Request) -> web.Response:
        body = await request.read()
        item = orjson.loads(body)
        await journal.append(body)
        answer = {"accepted": len(item), "rejected": 0} if isinstance(item, list) else {"applied": True}
        return web.Response(body=orjson.dumps(answer), content_type="application/json")

    app = web.Application(client_max_size=2**24)
    app.router.add_post("/v1/leaderboards/{leaderboard_id}/scores", scores)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    click.echo(f"ready: http://127.0.0.1:{runner.addresses[0][1]}")
    await stopping.wait()
    await runner.cleanup()


@click.command()
@click.option("--port", type=int, default=0)
@click.option(
    "--data-dir", envvar="LBACTORS_DATA_DIR", required=True, type=click.Path(file_okay=False, path_type=Path)
)
def main(port: int, data_dir: Path) -> None:
    """Serve POST /v1/leaderboards/ID/scores, and nothing else."""
    uvloop.run(serve(port, data_dir))


if __name__ == "__main__":
    main()
