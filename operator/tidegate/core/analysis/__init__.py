"""Analysis, decided: composing runs from templates, judging measurements, ending runs."""
