"""`apprise`: any of the hundred and more services that Apprise knows, each named by an address of its own.

Not for Slack: Apprise cannot bring a message up to date, nor answer in its thread. Addresses: https://github.com/caronc/apprise/wiki
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from alertd.channels.base import Access, Channel, Message, Receipt, Variable
from alertd.clock import SECOND, Duration
from alertd.errors import DeliveryError
from alertd.facts import Kind, Level

if TYPE_CHECKING:
    from apprise import NotifyBase, NotifyType

DEADLINE: Duration = (
    60 * SECOND
)  # of all addresses together, well below the outbox's lease; Apprise's own times are for each read
THREADS = 8  # at most, of those that hang too
TITLE, BODY = 250, 8_000  # letters; what a service takes less of, Apprise cuts or splits
REPEAT = "Sent again: the first attempt may have arrived."
TESTED = "This is a test message from alertd. Nothing is wrong."
INSTALL = "Apprise is not installed; install alertd with its extra `apprise`, or run: pip install apprise"

_threads = threading.BoundedSemaphore(THREADS)


class Apprise(Channel):
    """Any other service that Apprise knows: Microsoft Teams, Discord, Telegram, PagerDuty, Matrix, ntfy and many more."""

    pace: ClassVar[int] = SECOND  # most services behind it limit what one sender may post
    burst: ClassVar[int | None] = 5

    url_env: Variable = Field(
        description="The environment variable with Apprise's address of the service, or with several, separated by spaces.",
    )

    def missing(self, access: Access) -> str | None:
        return self._services(access)[1]

    def send(self, message: Message, thread: Receipt | None, access: Access) -> Receipt:
        """Send to one address after the other, not again to those that an attempt that failed has reached.

        Apprise says only yes or no, and no may be an answer that was lost: every failure is an ambiguous DeliveryError.
        """
        services, lacking = self._services(access)
        if lacking:
            raise DeliveryError(lacking, permanent=True)
        if message.kind is Kind.REFRESHED:
            return thread or {}
        reached = _reached(message.before, len(services))
        left = {number: service for number, service in enumerate(services, 1) if number not in reached}
        reached |= send_all(left, message, DEADLINE)
        if failed := [number for number in left if number not in reached]:
            receipt = {"reached": " ".join(map(str, sorted(reached))), "of": str(len(services))}
            raise DeliveryError(self._refused(failed, len(services)), ambiguous=True, receipt=receipt)
        return {}

    def _services(self, access: Access) -> tuple[list[NotifyBase], str | None]:
        """The services behind the addresses, and what is lacking, if so."""
        addresses = (access.secret(self.url_env) or "").split()
        if not addresses:
            return [], f"set {self.url_env} or {self.url_env}_FILE to Apprise's address of the service"
        try:
            found = [service_of(address) for address in addresses]
        except ImportError:
            return [], INSTALL
        for number, service in enumerate(found, 1):  # by their place: nothing of an address is told
            which = (
                f"address {number} of {len(found)} in {self.url_env}" if len(found) > 1 else f"the address in {self.url_env}"
            )
            if service is None:
                return [], f"{which} is none that Apprise knows, or not whole; see https://github.com/caronc/apprise/wiki"
            if "slack" in service.schemas():  # type: ignore[no-untyped-call]  # Apprise's
                return [], f"{which} leads to Slack; write slack: with channel or webhook_env, which Apprise cannot replace"
        return [service for service in found if service is not None], None

    def _refused(self, failed: list[int], of: int) -> str:
        which = f"{len(failed)} of the {of} services in {self.url_env}" if of > 1 else f"the service in {self.url_env}"
        return f"{which} did not take the message, or did not say so in {DEADLINE // SECOND} s; check the address"


def service_of(address: str) -> NotifyBase | None:
    """The service of that address; None if it is not one. Raises ImportError where Apprise is not installed."""
    import apprise  # noqa: PLC0415 - an extra, loaded when it is used

    # At any level it prints addresses, and texts with them.
    logging.getLogger("apprise").disabled = True
    asset = apprise.AppriseAsset(
        app_id="alertd",
        async_mode=False,
        http_redirects=False,
        service_timeout=0,  # with one it works in threads of its own, for whose end a process waits
        storage_mode="memory",
    )
    try:
        found = apprise.Apprise.instantiate(address, asset=asset)
    except Exception:  # noqa: BLE001 - some addresses break its plugins, and what they raise may have the address in it
        return None
    return found if isinstance(found, apprise.NotifyBase) else None


def _reached(before: Receipt | None, of: int) -> set[int]:
    """The places of addresses that an earlier attempt has reached, if there are as many as there were."""
    known = before if before and before.get("of") == str(of) else {}
    return {int(number) for number in known.get("reached", "").split()}


def send_all(services: Mapping[int, NotifyBase], message: Message, deadline: Duration) -> set[int]:
    """Send to each service within the deadline of all, and return those that have surely taken it.

    In a thread of its own, because nothing else ends what drips: Apprise's times are for each read. One that hangs is left
    behind, and does nothing more once it is freed.
    """
    if not _threads.acquire(blocking=False):
        raise DeliveryError(f"{THREADS} earlier messages still hang in Apprise; restart alertd if that does not end")
    reached, late = set[int](), threading.Event()

    def work() -> None:
        try:
            for number, service in services.items():
                if not late.is_set() and _say(service, message):
                    reached.add(number)
        finally:
            _threads.release()

    thread = threading.Thread(target=work, name="apprise", daemon=True)
    thread.start()
    thread.join(deadline / SECOND)
    late.set()
    return set(reached)


def _say(service: NotifyBase, message: Message) -> bool:
    import apprise  # noqa: PLC0415 - an extra, loaded when it is used

    title, body = _texts(message)
    sender = apprise.Apprise(asset=service.asset)
    sender.add(service)
    return bool(sender.notify(body, title, notify_type=_type(message), body_format=apprise.NotifyFormat.TEXT))


def _texts(message: Message) -> tuple[str, str]:
    """Title and body; where the template is broken, the built-in texts, which are the same for every channel."""
    parts = message.parts
    title = parts.get("title", "").strip() or parts.get("plain", "").strip() or message.notice.title
    body = parts.get("body", "").strip() or parts.get("summary", "").strip()
    body = body or (TESTED if message.kind is Kind.TEST else message.notice.text or title)
    said = f"{REPEAT}\n\n{body}" if message.repeat else body
    return " ".join(title.split())[:TITLE], said[:BODY]


def _type(message: Message) -> NotifyType:
    """What colour and picture the service may show."""
    from apprise import NotifyType  # noqa: PLC0415 - an extra, loaded when it is used

    if message.kind in (Kind.TEST, Kind.REPORT):
        return NotifyType.INFO
    if message.kind is Kind.RESOLVED:
        return NotifyType.SUCCESS
    return {Level.CRITICAL: NotifyType.FAILURE, Level.WARNING: NotifyType.WARNING}.get(message.level, NotifyType.INFO)


CHANNEL = Apprise
