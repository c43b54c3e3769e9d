"""The language of successCondition and failureCondition: expr-lang/expr 1.17, as Argo Rollouts 1.10 uses it.

Templates written for Argo Rollouts must judge the same way here, so a condition has the values, operators, builtins
and errors of expr (https://expr-lang.org/docs/language-definition), down to Go's integers and floats; the tests
compare with the library itself. The environment is Argo's: result, asInt, asFloat, isNaN, isInf, isNil and default,
the last two of which answer for the result whatever they are asked about.

One difference is deliberate. An instant query gives a vector, and `result < 0.01` is an error in Argo Rollouts for it.
Here a list of exactly one number stands for that number where it meets a number in ==, !=, <, <=, >, >=, +, -, *, /
and **, or in isNaN, isInf, asInt and asFloat. A list of another length is still an error there, with advice.

What is left out is refused when compiling: now, date, duration and timezone, because a condition sees the result only;
functions as values; $env; and \\p{Greek} and other scripts in `matches`. Nothing is unbounded: a condition has at
most 10,000 parts and 60 nested brackets, an evaluation makes at most a million elements (expr's own budget) and
visits at most 250,000, and regular expressions take linear time.
"""

from __future__ import annotations

from tidegate.core.analysis.conditions.condition import Condition, compile_condition
from tidegate.core.analysis.conditions.errors import ConditionError
from tidegate.core.analysis.conditions.expressions import Expression, compile_expression

__all__ = ["Condition", "ConditionError", "Expression", "compile_condition", "compile_expression"]
