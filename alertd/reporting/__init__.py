"""The reporting API: what can be asked and what comes back. The only place that knows HTTP or the API's quirks."""
