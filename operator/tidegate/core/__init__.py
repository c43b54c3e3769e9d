"""Decisions: pure functions from what the cluster shows to what is to be done."""
