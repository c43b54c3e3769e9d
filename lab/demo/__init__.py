"""`make demo`: three releases under real traffic, from the files of `examples/`, watched as they happen."""
