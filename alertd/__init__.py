"""alertd: alerts on conversations, judged against Drift's Conversation Reporting API."""

__version__ = "0.1.0"
