"""What can go wrong on the wire, in our words."""

from __future__ import annotations

import http.client
import re
import socket
import ssl

import urllib3

from alertd.errors import Malformed, ReportingError, TimedOut, Unreachable


def chain_of(error: BaseException) -> list[BaseException]:
    """The error, what it came from, and so on to the root."""
    chain = [error]
    while (deeper := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(deeper)
    return chain


def failure(chain: list[BaseException], system: OSError | None, who: str, *, answered: bool) -> ReportingError:
    """What a chain of errors means. `system` is its root where that is the system's own error, `who` is to blame."""
    if any(isinstance(each, urllib3.exceptions.DecodeError) for each in chain):
        return Malformed(f"the answer of {who} cannot be unpacked")
    if isinstance(system, TimeoutError):
        return TimedOut(f"{who} did not answer in time", answered=answered)
    if any(isinstance(each, http.client.IncompleteRead) for each in chain):
        return Unreachable(f"{who} broke off in the middle of its answer", answered=answered)
    reason = _reason(system) if system else "does not answer in HTTP; check the address and the port"
    return Unreachable(f"{who} {reason}", answered=answered)


def _reason(error: OSError) -> str:  # noqa: PLR0911 - a table, one line a reason
    match error:
        case ssl.SSLCertVerificationError():
            advice = "check the address, or name the file with your own certificate authority"
            return f"has a TLS certificate that is not trusted ({error.verify_message.rstrip('.')}); {advice}"
        case ssl.SSLEOFError() | ConnectionResetError() | ConnectionAbortedError() | BrokenPipeError():
            return "broke the connection off"
        case ssl.SSLError():
            return f"does not speak TLS as it should ({error.reason}); check the address and the port"
        case socket.gaierror():
            return "cannot be found by its name; check the spelling and the DNS of this machine"
        case ConnectionRefusedError():
            return "refused the connection; check the address and the port, and that it is running"
    if tunnel := re.search(r"Tunnel connection failed: (\d{3})", str(error)):
        return f"refuses to connect us ({tunnel[1]}); check its address, user and password"
    return f"cannot be reached ({error.strerror or type(error).__name__}); check the network of this machine"
