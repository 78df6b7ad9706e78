"""From files and overrides to checked settings."""
