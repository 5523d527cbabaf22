"""Tests of rules: conversations in, a clock that the test moves, the real tick and outbox, expectations on what comes of it."""
