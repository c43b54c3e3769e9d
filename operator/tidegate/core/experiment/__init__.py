"""Decisions about Experiments."""
