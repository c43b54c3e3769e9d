"""Keys, times and the carrying out of plans: what runs decisions, knowing nothing of what they decide."""
