"""Hearing the buttons of our messages through Socket Mode: https://docs.slack.dev/apis/events-api/using-socket-mode

Every envelope is answered at once; what it asks for is done on a thread of its own, so that a store that hangs makes nobody
wait. A connection that is lost, or that nothing is heard from, is replaced.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from alertd.channels.base import SlackAccess
from alertd.channels.http import TIMEOUT
from alertd.channels.slack.clients import Bot
from alertd.channels.slack.line import Line
from alertd.channels.slack.presses import Pressed, read_press
from alertd.channels.slack.refusals import Refusal, ask, read
from alertd.clock import MINUTE, SECOND, Clock, Duration, Instant, iso
from alertd.errors import AlertdError, DeliveryError

_log = structlog.get_logger()
_silent = logging.getLogger("alertd.channels.slack.sdk")
_silent.setLevel(logging.CRITICAL + 1)

WAITING = 16  # presses that wait to be handled, and answers that wait to be given
PULSE: Duration = 5 * SECOND
SILENCE = 4  # pulses without a sign of life, after which a connection counts as lost
CONNECTING: Duration = 10 * SECOND
STOPPING: Duration = 1_500

# Between two attempts: doubled each time. A connection that held for so long begins anew.
FIRST_PAUSE, LONGEST_PAUSE = SECOND // 5, MINUTE
STEADY: Duration = MINUTE

_MAKE = "make an app-level token with the scope connections:write (Basic Information) and set ALERTD_SLACK__APP_TOKEN to it"
_REFUSALS: Mapping[str, str] = {
    **dict.fromkeys(("invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive"), _MAKE),
    "not_allowed_token_type": "set ALERTD_SLACK__APP_TOKEN to an app-level token; it begins with xapp-",
    "missing_scope": "the token in ALERTD_SLACK__APP_TOKEN needs the scope connections:write; " + _MAKE,
    "too_many_websockets": "ten connections of this app are open already; stop what else uses its token",
}
_TURN_ON = "turn Socket Mode on in the settings of the Slack app"

_BUSY = "alertd is busy and did nothing. Press again in a minute, or use: {command}"
_FAILED = "alertd could not do this now ({problem}). Press again in a minute, or use: {command}"
_MISTAKE = "alertd made a mistake with this; its log has the details. Use: {command}"


@dataclass(frozen=True)
class State:
    """Whether buttons are heard: since when, or why not and what to do."""

    since: Instant | None = None
    trouble: str = "not started"

    @property
    def connected(self) -> bool:
        """Whether a press would be heard now."""
        return self.since is not None

    def __str__(self) -> str:
        if self.since is not None:
            return f"connected since {iso(self.since - self.since % SECOND)}"
        return f"not connected: {self.trouble}. Until then buttons do nothing; `alertd ack` and `alertd silence` do the same"


class Listener:
    """Hears presses from `start` on until `stop`. `handle` does what a press says and returns a sentence for whoever pressed.

    Tokens are read at every connection, so that they rotate. `pulse` is how often the other side is asked for a sign of life.
    """

    def __init__(self, access: SlackAccess, handle: Callable[[Pressed], str], clock: Clock, *, pulse: Duration = PULSE) -> None:
        self._access, self._handle, self._clock, self._pulse = access, handle, clock, pulse
        self._presses = queue.Queue[Pressed | None](WAITING)
        self._answers = queue.Queue[tuple[Pressed, str] | None](WAITING)
        self._stopping = threading.Event()
        self._state = State()
        self._line: Line | None = None
        self._app: str | None = None
        self._team: str | None = None
        works = {"slack-watch": self._watch, "slack-presses": self._work, "slack-answers": self._answer}
        self._threads = [threading.Thread(target=work, name=name, daemon=True) for name, work in works.items()]

    def start(self) -> None:
        """Begin to listen; whether that works is seen in `state`."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Listen no longer. What hangs is left behind: nothing waits for it."""
        self._stopping.set()
        if self._line is not None:
            self._line.gone.set()
        for waiting in (self._presses, self._answers):
            _offer(waiting, None)
        ends = self._clock.uptime() + STOPPING
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0, ends - self._clock.uptime()) / SECOND)

    def state(self) -> State:
        """Whether buttons are heard now."""
        return self._state

    def _watch(self) -> None:
        """Keep one connection open."""
        failures = 0
        while not self._stopping.is_set():
            begun = self._clock.uptime()
            pause = self._attempt()
            failures = 0 if self._clock.uptime() - begun >= STEADY else failures + 1
            self._stopping.wait(max(pause, _pause(failures)) / SECOND)
        self._give_up("stopped")

    def _attempt(self) -> Duration:
        """One connection, which takes the place of the last, until it is of no more use; how long to wait then at least."""
        try:
            before, self._line = self._line, self._open()
            _close(before)
            self._stay(self._line)
        except AlertdError as problem:
            self._give_up(str(problem))
            return getattr(problem, "retry_after", None) or 0
        except Exception as problem:  # noqa: BLE001 - buttons are a comfort: nothing of theirs may end anything
            _log.error("buttons are not heard", exc_info=problem)
            self._give_up("alertd made a mistake here; its log has the details")
        return 0

    def _give_up(self, trouble: str) -> None:
        _close(self._line)
        self._line = None
        self._tell(trouble)

    def _open(self) -> Line:
        """A connection that Slack has greeted; DeliveryError says why there is none and what to do."""
        token = self._access.app_token()
        if not token:
            raise DeliveryError("ALERTD_SLACK__APP_TOKEN is not set")
        self._team = self._own_team()
        line = Line(_address(self._bot(token)), self._bot(token), self._heard, self._pulse)
        try:
            line.open(CONNECTING)
            self._await_hello(line)
        except BaseException:
            line.close()
            raise
        self._state = State(self._clock.now())
        _log.info("buttons are heard")
        return line

    def _stay(self, line: Line) -> None:
        """Wait until a connection is lost, silent or to be replaced."""
        beats, alive = line.beats, self._clock.uptime()
        while not line.lost and not self._stopping.is_set():
            line.gone.wait(self._pulse / 5 / SECOND)
            if line.beats != beats:
                beats, alive = line.beats, self._clock.uptime()
            elif self._clock.uptime() - alive > SILENCE * self._pulse:
                line.why = "nothing was heard from Slack any more"
                break
        self._tell(line.why)

    def _await_hello(self, line: Line) -> None:
        ends = self._clock.uptime() + SILENCE * self._pulse
        while not line.hello.wait(0.05):
            if self._stopping.is_set() or line.lost or self._clock.uptime() > ends:
                raise DeliveryError("Slack's Socket Mode took the connection and said nothing")

    def _tell(self, trouble: str) -> None:
        """Say why buttons are not heard; in the log once, however often it is tried again."""
        if self._state.trouble != trouble and not self._stopping.is_set():
            _log.warning("buttons are not heard", reason=trouble)
        self._state = State(trouble=trouble)

    def _heard(self, line: Line, message: Mapping[str, Any]) -> None:
        """Answer whatever came, at once; then see what it is."""
        envelope = message.get("envelope_id")
        if isinstance(envelope, str):
            line.acknowledge(envelope)
        match message.get("type"):
            case "hello":
                about = message.get("connection_info")
                app = about.get("app_id") if isinstance(about, dict) else None
                self._app = app if isinstance(app, str) else None
                line.hello.set()
            case "disconnect":
                if message.get("reason") == "link_disabled":
                    line.why = f"Socket Mode is off; {_TURN_ON}"
                line.gone.set()
            case "interactive":
                self._take(read_press(message.get("payload"), self._app, self._team))

    def _take(self, pressed: Pressed | None) -> None:
        if pressed is None:
            _log.info("a press that is none of ours was ignored")
        elif not _offer(self._presses, pressed):
            _log.warning("too many presses", incident=pressed.incident)
            self._say(pressed, _BUSY)

    def _work(self) -> None:
        """Do what presses say, one after the other."""
        while not self._stopping.is_set() and (pressed := self._presses.get()) is not None:
            self._say(pressed, self._handled(pressed))

    def _handled(self, pressed: Pressed) -> str:
        _log.info("button pressed", action=pressed.action, incident=pressed.incident, user=pressed.user)
        try:
            return self._handle(pressed)
        except AlertdError as problem:
            _log.warning("button not handled", action=pressed.action, incident=pressed.incident, error=str(problem))
            return _FAILED.replace("{problem}", str(problem))
        except Exception as problem:  # noqa: BLE001 - one press must not stop the others
            _log.error("button not handled", action=pressed.action, incident=pressed.incident, exc_info=problem)
            return _MISTAKE

    def _say(self, pressed: Pressed, text: str) -> None:
        if not _offer(self._answers, (pressed, text.replace("{command}", _command(pressed)))):
            _log.warning("answer to a press left out", incident=pressed.incident)

    def _answer(self) -> None:
        """Tell whoever pressed what came of it. They see it in the message too, so that a failure is only noted."""
        while not self._stopping.is_set() and (found := self._answers.get()) is not None:
            pressed, text = found
            body = {"channel": pressed.channel, "user": pressed.user, "text": _escaped(text)}
            try:
                ask(self._bot(self._access.bot_token()), "chat.postEphemeral", body, pressed.channel)
            except AlertdError as problem:
                _log.warning("answer to a press not sent", incident=pressed.incident, error=str(problem))
            except Exception as problem:  # noqa: BLE001 - one answer must not stop the others
                _log.error("answer to a press not sent", incident=pressed.incident, exc_info=problem)

    def _own_team(self) -> str | None:
        """The workspace that the bot is in; None where Slack does not say."""
        try:
            team = read(self._bot(self._access.bot_token()), "auth.test", {}, "auth.test").get("team_id")
        except AlertdError as problem:
            _log.warning("the own workspace is not known, so presses are not held against it", error=str(problem))
            return None
        return team if isinstance(team, str) else None

    def _bot(self, token: str | None) -> Bot:
        bot = Bot(
            token=token,
            base_url=self._access.url,
            timeout=TIMEOUT // SECOND,
            retry_handlers=[],
            logger=_silent,
        )
        bot.deadline = self._access.deadline
        return bot


def _address(bot: Bot) -> str:
    """Where to connect to. It has a ticket in it: never in a log."""
    try:
        address = read(bot, "apps.connections.open", {}, "Socket Mode").get("url")
    except Refusal as refusal:
        raise DeliveryError(f"Slack says {refusal.code or 'no'}: {_REFUSALS.get(refusal.code, _TURN_ON)}") from None
    except DeliveryError as problem:
        # The words are those of messages: here nothing can have been taken.
        raise DeliveryError(str(problem).partition("; it may have")[0], retry_after=problem.retry_after) from None
    if not isinstance(address, str):
        raise DeliveryError("Slack gave out no address for Socket Mode; check ALERTD_SLACK__URL and the proxy")
    return address


def _offer(waiting: queue.Queue[Any], item: object) -> bool:
    try:
        waiting.put_nowait(item)
    except queue.Full:
        return False
    return True


def _close(line: Line | None) -> None:
    if line is not None:
        line.close()


def _pause(failures: int) -> Duration:
    return min(FIRST_PAUSE << min(failures - 1, 20), LONGEST_PAUSE) if failures else 0


def _command(pressed: Pressed) -> str:
    """The same on the command line."""
    length = pressed.action.removeprefix("silence ")
    silence = f"`alertd silence add --for {length}` with the rule"
    return f"`alertd ack {pressed.incident}`" if pressed.action == "acknowledge" else silence


def _escaped(text: str) -> str:
    """A text of which Slack makes no links or mentions: https://docs.slack.dev/messaging/formatting-message-text"""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
