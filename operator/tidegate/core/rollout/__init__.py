"""A Rollout, decided: revisions, steps, traffic, analyses, status."""
