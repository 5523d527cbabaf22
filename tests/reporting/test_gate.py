"""A refused token is not tried with every query."""

from __future__ import annotations

import threading

import pytest

from alertd.clock import MINUTE
from alertd.errors import Unauthorised
from alertd.reporting.gate import PROBE_EVERY, Gate
from alertd.testing import FakeClock


class Token:
    def __init__(self, value: str | None) -> None:
        self.value = value

    def __call__(self) -> str | None:
        return self.value


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def token() -> Token:
    return Token("first")


@pytest.fixture
def gate(clock: FakeClock, token: Token) -> Gate:
    return Gate(token, clock)


def lets_through(gate: Gate) -> bool:
    try:
        gate.check()
    except Unauthorised:
        return False
    return True


def test_it_stands_open(gate: Gate) -> None:
    assert lets_through(gate)


def test_a_refusal_is_told_again_without_a_call(gate: Gate, clock: FakeClock) -> None:
    gate.close(Unauthorised("the token was refused (401)"))
    clock.advance(PROBE_EVERY - 1)
    for _ in range(2):
        with pytest.raises(Unauthorised, match=r"^the token was refused \(401\)$"):
            gate.check()


def test_after_five_minutes_one_caller_tries_and_the_others_wait_on(gate: Gate, clock: FakeClock) -> None:
    gate.close(Unauthorised("no"))
    for _ in range(3):
        clock.advance(5 * MINUTE)
        assert [lets_through(gate) for _ in range(3)] == [True, False, False]


def test_of_many_threads_one_tries(gate: Gate, clock: FakeClock) -> None:
    gate.close(Unauthorised("no"))
    clock.advance(PROBE_EVERY)
    ready, tried = threading.Barrier(8), []

    def ask() -> None:
        ready.wait(timeout=30)
        tried.append(lets_through(gate))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(tried) == [False] * 7 + [True]


def test_a_token_that_is_taken_opens_it_for_all(gate: Gate, clock: FakeClock) -> None:
    gate.close(Unauthorised("no"))
    clock.advance(PROBE_EVERY)
    gate.check()
    gate.open()
    assert [lets_through(gate) for _ in range(3)] == [True, True, True]


@pytest.mark.parametrize("before", ["first", None])
def test_another_token_is_tried_at_once(gate: Gate, token: Token, before: str | None) -> None:
    token.value = before
    gate.close(Unauthorised("no"))
    assert not lets_through(gate)
    token.value = "second"
    assert lets_through(gate)
    gate.close(Unauthorised("no"))
    assert not lets_through(gate)


def test_a_clock_that_somebody_sets_neither_opens_it_nor_keeps_it_shut(gate: Gate, clock: FakeClock) -> None:
    gate.close(Unauthorised("no"))
    clock.set_wall(clock.now() + 60 * MINUTE)
    assert not lets_through(gate)
    clock.set_wall(0)
    clock.advance(PROBE_EVERY)
    assert lets_through(gate)


def test_the_token_itself_is_not_kept(gate: Gate, token: Token) -> None:
    token.value = "a-secret-token"
    gate.close(Unauthorised("no"))
    assert "a-secret-token" not in repr(vars(gate) | {"_token": None})


def test_a_query_that_may_not_be_asked_shuts_out_no_other() -> None:
    clock = FakeClock()
    gate = Gate(lambda: "token", clock)
    gate.open()
    gate.close(Unauthorised("403", forbidden=True))
    gate.check()
    clock.advance(PROBE_EVERY)
    gate.close(Unauthorised("403", forbidden=True))
    with pytest.raises(Unauthorised):
        gate.check()
