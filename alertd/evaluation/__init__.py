"""Tables to verdicts, the alert state machine, the tick."""
