"""From files to a rulebook: located YAML, the model, the loader, the JSON Schema, findings."""
