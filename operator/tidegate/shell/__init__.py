"""The process: kopf, flags, logs, pages."""
