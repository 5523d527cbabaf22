"""Fakes that are part of the product: for our tests, and for whoever builds on alertd. Nothing in alertd imports this."""

from alertd.testing.api import FakeApi
from alertd.testing.builders import a_group, a_notice, a_rule, a_rulebook, a_table, a_verdict
from alertd.testing.channel import FakeChannel
from alertd.testing.clock import START, FakeClock, FakeEvent
from alertd.testing.source import a_source

__all__ = [
    "START",
    "FakeApi",
    "FakeChannel",
    "FakeClock",
    "FakeEvent",
    "a_group",
    "a_notice",
    "a_rule",
    "a_rulebook",
    "a_source",
    "a_table",
    "a_verdict",
]
