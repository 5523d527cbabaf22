"""What people press in Slack, heard and done."""

from __future__ import annotations

import math
from collections.abc import Callable

import structlog

from alertd.channels.base import SlackAccess
from alertd.channels.slack.listening import Listener
from alertd.channels.slack.presses import Pressed
from alertd.clock import Clock
from alertd.errors import AlertdError
from alertd.notices.acting import press
from alertd.rulebook.rule import Rulebook
from alertd.store.database import Database
from alertd.web.health import Check

_log = structlog.get_logger()


class Buttons:
    """Hears the buttons of our messages while it is started, where there is a token for it. `wake`: something is to be sent."""

    def __init__(
        self, slack: SlackAccess, database: Database, clock: Clock, book: Callable[[], Rulebook], wake: Callable[[], None]
    ) -> None:
        self._database, self._clock, self._book, self._wake = database, clock, book, wake
        self._listener = Listener(slack, self.pressed, clock) if _wanted(slack) else None

    def start(self) -> None:
        """Begin to hear."""
        if self._listener:
            self._listener.start()

    def stop(self) -> None:
        """Hear no more."""
        if self._listener:
            self._listener.stop()

    def checks(self) -> dict[str, Check]:
        """Whether buttons are heard; no part of it where there are none."""
        state = self._listener.state() if self._listener else None
        return {"buttons": Check(ok=state.connected, text=str(state))} if state else {}

    @property
    def threads(self) -> tuple[str, ...]:
        """The names of the threads that hear and do."""
        return ("slack-watch", "slack-presses", "slack-answers") if self._listener else ()

    def connected(self) -> float:
        """1 while buttons are heard, 0 while not; NaN where there are none."""
        return float(self._listener.state().connected) if self._listener else math.nan

    def pressed(self, pressed: Pressed) -> str:
        """Do what somebody has pressed; what became of it, in a sentence for them."""
        with self._database.write() as transaction:
            acted = press(transaction, pressed, self._clock.now(), self._book().receivers)
        _log.info("button", action=pressed.action, incident=pressed.incident, by=pressed.user, done=acted.done)
        if acted.changed:
            self._wake()
        return acted.text


def _wanted(slack: SlackAccess) -> bool:
    """Whether there is to be somebody who hears. Why a token cannot be read is said by whoever tries to use it."""
    try:
        return bool(slack.app_token())
    except AlertdError:
        return True
