"""The judge against itself, against a static bound and against Mann-Whitney, on the same computed streams."""
