"""What `tidegate analysis` does: explain a run, plan a comparison, try one out on recorded traffic."""
