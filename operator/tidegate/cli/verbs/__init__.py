"""The verbs, declared: names, arguments, help.

What a verb does stands in modules that are imported when it runs, so that the answer to `--help` and to the shell's
completion does not wait for it.
"""
