"""Sources of measurements: the only place that asks the outside world for numbers."""
