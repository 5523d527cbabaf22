"""The embedded API as a server of its own, on this machine only."""

from __future__ import annotations

import errno
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import uvicorn
from starlette.applications import Starlette

from alertd.clock import Clock
from alertd.errors import SettingsError
from alertd.sandbox.app import CALLS_PER_MINUTE, create_app
from alertd.sandbox.columns import World
from alertd.sandbox.faults import parse_faults
from alertd.sandbox.importing import load
from alertd.sandbox.scenarios import parse_scenario
from alertd.sandbox.traffic import Generated, Traffic

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Options:
    """What `alertd sandbox` may be told. Port 0 takes any free one; without a token none is asked for."""

    port: int = 8787
    token: str | None = None
    seed: int = 1
    days: float = 7
    per_day: float = 1_000
    profile: Literal["week", "flat"] = "week"
    scenarios: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    conversations: Path | None = None
    calls_per_minute: int = CALLS_PER_MINUTE


def serve(options: Options, clock: Clock) -> None:
    """Serve until interrupted; SettingsError where an option is wrong or the port is taken."""
    listener = listen(options.port)
    with listener:
        world = make_world(options, clock)
        sys.stderr.write(_greeting(options, listener.getsockname()[1], len(world.at(clock.now()).ids)))
        # Cut answers would make uvicorn complain in our name.
        config = uvicorn.Config(make_app(options, world, clock), log_level="critical", access_log=False, lifespan="off")
        uvicorn.Server(config).run(sockets=[listener])


def make_world(options: Options, clock: Clock) -> World:
    """The generated world, or the imported one; SettingsError where an option or the file is wrong."""
    if options.conversations is not None:
        return load(options.conversations)
    if not options.days >= 0 or not options.per_day >= 0:
        raise SettingsError("--days and --per-day are numbers from 0 up")
    now = clock.now()
    scenarios = tuple(parse_scenario(text, now) for text in options.scenarios)
    traffic = Traffic(options.per_day, options.seed, options.profile, scenarios=scenarios)
    return Generated(traffic, now, options.days)


def make_app(options: Options, world: World, clock: Clock) -> Starlette:
    """The app that the options ask for; SettingsError where a fault is wrong."""
    faults = parse_faults(options.faults)
    return create_app(
        world, clock, token=options.token, faults=faults, seed=options.seed, calls_per_minute=options.calls_per_minute
    )


def listen(port: int) -> socket.socket:
    """Listen on this machine's own address; SettingsError where the port is taken."""
    if not 0 <= port <= 65535:
        raise SettingsError(f"port {port} does not exist; ports go from 0 to 65535")
    # The protocol is said aloud: only then does asyncio turn Nagle's algorithm off, which would cost 40 ms an answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        problem = (
            "is taken; stop what listens there" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        )
        raise SettingsError(f"port {port} {problem}, or take another with --port") from None
    return listener


def _greeting(options: Options, port: int, conversations: int) -> str:
    token = "with your token" if options.token is not None else "no token needed"
    return f"Reporting API on http://{HOST}:{port} ({token}), {conversations:,} conversations so far; Ctrl-C ends it\n"
