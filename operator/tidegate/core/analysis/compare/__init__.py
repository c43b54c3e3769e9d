"""Metrics that compare: the canary and stable, asked for at one instant, over windows that join without a gap.

A look's window ends a little before now and begins where the last look's window ended, which stands in the status; so
what a look counts follows from the status and the time alone. Both ends are read from Prometheus when the look is
taken, as the last sample of each series at that instant:

- *no double counting*: windows of one metric touch and never overlap. A look whose window does not begin where the
  status says is left out, so that a decision which is repeated after a conflict or a crash counts nothing twice.
- *no gap*: a look that fails is no look; the next one's window begins where the last good one ended. A scrape that was
  missed puts its requests into the window of the next scrape. Samples that reach Prometheus later than `delay` after
  their time are lost, for both arms alike.
- *resets*: each series is looked at by itself. One whose value has fallen has begun anew, and counts from zero; what it
  counted between its last scrape and the restart is not known to anybody. A series that was not there at the beginning
  counts from zero too: it is a new pod's, or the first error of an old one.
- a pod that is gone counts up to its last scrape.

`comparison` reads what a metric asks for, `kinds` what each kind makes of the answers, `looking` makes a measurement of
an answer, `standing` is what the status keeps, `deciding` what becomes of the metric and of the run.
"""
