"""The judge: is the canary worse than stable, and how sure are we? Pure functions; no clock, no chance, no I/O.

One metric of kind `counts`:

    parameters = counts.CountsParameters(false_alarm=0.01)       # ValueError names what is out of range
    state = counts.CountsState()                                 # or CountsState.from_json(what the status keeps)
    state = counts.observe(parameters, state, counts.CountsLook(
        canary=counts.Tally(bad=3, total=412), stable=counts.Tally(bad=9, total=3790),
        seconds=30, at="2026-11-26T23:00:00Z"))
    finding = counts.judge(parameters, state)                    # finding.Finding, whatever the kind
    status = {"state": state.to_json(), "finding": finding.to_json(), "message": finding.sentence}

The state is all the memory there is: plain JSON, bounded, kept in the run's status between reconciles. `observe`
takes each look once; the caller numbers its measurements and does not observe one twice. Parameters stay the same
for a run.

Rules for whoever asks for the numbers:
- A look's two arms are of the same window, and each request belongs to one look only. Take differences of
  counters, not `increase()` over a window longer than the interval: counts that are extrapolated or counted twice
  are evidence that is not there.
- A query that fails or returns something that is no number is an error of the measurement, and no look. An arm that
  does not exist is a look with `Tally(0, 0)`; it moves nothing.
- Several metrics share the budget: each gets an equal part of `false_alarm`, which keeps it whatever they have to do
  with each other (Bonferroni), and `score.score` makes one verdict of their findings. A static bound beside a
  comparison is no part of either.

The kinds: `counts`, `distribution` (latency histograms; `distribution.look_at_buckets` makes a look of what Prometheus
answers), `samples` (gauges). All three have Parameters, Look, State, `observe` and `judge` of the same shape.
ValueErrors of looks say what is wrong with the numbers; they are errors of the measurement. `mann_whitney.classify`
is Kayenta's judgement of two arrays, once, at the end. `planning` foretells.
"""

from .finding import Crossing, Estimate, Evidence, Finding, Peak, Remaining, Verdict

__all__ = ["Crossing", "Estimate", "Evidence", "Finding", "Peak", "Remaining", "Verdict"]
