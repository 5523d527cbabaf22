"""From transitions to messages: incidents, notices, rendering, the outbox."""
