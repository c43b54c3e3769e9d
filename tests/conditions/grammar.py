"""Random conditions for a given result, mostly well typed, that reach every operator and builtin.

Strategies are layered: a layer's expressions are made of those of the layer below, so that texts stay short. There is
one strategy for each kind of expression; one place in thirty takes an expression of any kind, which makes the ill-typed
conditions. Within a predicate, `#` is of the kind that the list around it holds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from hypothesis import strategies as st

Texts = st.SearchStrategy[str]

NUMBERS = ("0", "1", "2", "3", "-1", "7", "0.5", "1.5", "-2.5", "1e3", "0.01", "0x1F", "1_000", "0b101", ".5")
EDGES = (
    *("9223372036854775807", "-9223372036854775807", "float('NaN')", "1/0", "-1/0", "63", "64", "1e-7", "1e300"),
    *("float('0x1p-2')", "int('-12')", "-0.0", "3.0", "9007199254740993"),
)
WORDS = (
    *(
        "''",
        "'a'",
        "'b'",
        "'abc'",
        "'Hello World'",
        "'1'",
        "'1.5'",
        "'a,b,c'",
        "' x '",
        "'héß'",
        "'日本'",
        "' '",
        "','",
    ),
    *('"q\\"<&>"', "`r\\w`", "'\\u{e9}\\x41\\101\\n'", "'-Inf'", "'1_0'", "'aGk='", '"\'"'),
)
PATTERNS = (
    *(
        "'^a'",
        "'b+$'",
        "'[^a-c]|x?'",
        "'(?i)HELLO'",
        "'\\\\d{1,2}'",
        "'.*'",
        "'\\\\bW'",
        "'[[:upper:]]\\\\s?'",
        "'(a|b)*c'",
    ),
    *(
        "'('",
        "'a**'",
        "'(?P<n>é)'",
        "'\\\\p{Lu}'",
        "'^$'",
        "'[\\\\w,]{3}'",
        "'x{2,1}'",
        "'(?s).\\\\z'",
        "'\\\\Qa,\\\\E'",
        "'\\\\1'",
    ),
)


@dataclass(frozen=True, slots=True)
class Case:
    """A result, and expressions of each kind that it affords."""

    result: object
    numbers: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    truths: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    records: tuple[str, ...] = ()
    maps: tuple[str, ...] = ()
    anything: tuple[str, ...] = field(default=("result", "nil"))


CASES = (
    Case(0.97, numbers=("result", "asFloat(result)", "default(result, 1)")),
    Case((), numbers=("len(result)", "result[0]"), lists=("result", "result[1:]")),
    Case((0.5,), numbers=("result[0]", "len(result)", "result[-1]", "result"), lists=("result",)),
    Case(
        (0.25, 1.5, float("nan"), 3.0),
        numbers=("result[0]", "result[1]", "result[2]", "len(result)", "result[4]"),
        lists=("result", "result[:2]", "default(result, [])"),
    ),
    Case(None, numbers=("default(result, 1)", "result ?? 2"), lists=("default(result, [1])", "result ?? [2]")),
    Case("1.5", numbers=("asFloat(result)", "float(result)", "len(result)"), texts=("result", "result[1:]")),
    Case(True, truths=("result", "!result", "default(result, 1)")),
    Case(
        [1.0, "a", None, [2.0, 3.0], {"a": 1.0, "n": 2.0}],
        numbers=("result[0]", "result[3][1]", "len(result)"),
        texts=("result[1]",),
        lists=("result[3]", "result", "result[3:4]"),
        records=("result[4:]",),
        maps=("result[4]",),
        anything=("result[2]", "result[-1]", "result[1]", "result[0]", "nil"),
    ),
    Case(
        {
            "a": 1.0,
            "b": "x,y",
            "items": [3.0, 1.0, 2.0, 2.0],
            "ok": True,
            "ws": ["b", "a"],
            "n": {"a": [{"n": 2.0}, {"n": 5}]},
        },
        numbers=("result.a", "result.items[1]", "result['a']", "result.n.a[0].n", "len(result.items)", "result?.a"),
        texts=("result.b", "result.ws[0]"),
        truths=("result.ok", "'a' in result"),
        lists=("result.items", "result.items[1:]", "result?.items"),
        words=("result.ws",),
        records=("result.n.a", "result['n']?.a"),
        maps=("result", "result.n"),
        anything=("result.zz", "result?.zz?.y", "result.a", "result.n", "result.zz?.y.x", "nil"),
    ),
)


def one_of(*texts: str) -> Texts:
    return st.sampled_from(texts)


def form(pattern: str, *parts: Texts) -> Texts:
    """A pattern with its braces filled in turn."""
    return st.tuples(*parts).map(lambda chosen: pattern.format(*chosen))


class Layer:
    """The expressions of one depth. `pointer` is the kind of `#`: number, text, record or none at all."""

    def __init__(self, case: Case, depth: int, pointer: str = "") -> None:
        def pointers(kind: str, *texts: str) -> tuple[str, ...]:
            return texts * 3 if pointer == kind else ()

        self.number = one_of(
            *NUMBERS,
            *EDGES,
            *case.numbers * 8,
            *pointers("number", "#", "#", "#", "#index", "#acc"),
            *pointers("text", "len(#)"),
            *pointers("record", "#.n", ".n", "#?.n"),
        )
        self.text = one_of(*WORDS, *case.texts * 8, *pointers("text", "#", "#", "#"), *pointers("record", "string(.n)"))
        self.truth = one_of("true", "false", *case.truths * 3)
        self.list = one_of("[]", "[1, 2, 3]", "[1, 2.5]", "1..3", "[2, 1, 1]", "[[1], [2, 3]]", *case.lists * 4)
        self.words = one_of("['b', 'a']", "split('a b a', ' ')", "[]", *case.words * 3)
        self.records = one_of("[{n: 1}, {n: 2}]", "[{n: 2, a: 'x'}, {n: 0.5}, {n: 2}]", *case.records * 3)
        self.map = one_of("{}", "{a: 1, 'b': [2]}", "{('x' + 'y'): nil}", "{n: 1, n: 2}", *case.maps * 4)
        self.any = one_of(*case.anything, "[nil, true]", "first([])")
        if depth:
            self._compose(Layer(case, depth - 1, pointer), Layers(case, depth - 1))

    def _compose(self, below: Layer, within: Layers) -> None:
        mixed = st.one_of(
            below.number, below.text, below.truth, below.list, below.words, below.records, below.map, below.any
        )

        def nearly(strategy: Texts) -> Texts:
            return st.integers(0, 29).flatmap(lambda draw: strategy if draw else mixed)

        number, text, truth, items = nearly(below.number), nearly(below.text), nearly(below.truth), nearly(below.list)
        words, records, maps = nearly(below.words), nearly(below.records), nearly(below.map)
        anything = below.any
        small = one_of("0", "1", "-1", "2", "5")
        bound = st.one_of(small, small, number)
        whole = st.one_of(one_of("0", "1", "2", "-3", "7", "63", "64"), form("int({})", number))
        order = one_of("", "", ", 'asc'", ", 'desc'", ", 'up'")
        tests = [
            (items, within.number.truth),
            (words, within.text.truth),
            (records, within.record.truth),
            (records, form("{{{}}}", within.record.truth)),
        ]
        projections = [(items, within.number.number), (words, within.text.text), (records, within.record.number)]

        def looping(names: Texts, choices: list[tuple[Texts, Texts]], pattern: str = "{}({}, {})") -> list[Texts]:
            return [form(pattern, names, *choice) for choice in choices]

        self.number = st.one_of(
            below.number,
            form("({} {} {})", number, one_of("+", "-", "*", "/", "**", "^"), number),
            form("({} % {})", whole, whole),
            form("{}{}", one_of("-", "+"), below.number),
            form("{}({})", one_of("abs", "ceil", "floor", "round", "int", "float", "asInt", "asFloat"), number),
            form("{}({})", one_of("int", "float", "asInt", "asFloat"), one_of("'1'", "'-2'", "'1.5'", "'x'", "'1e2'")),
            form("{}({})", one_of("min", "max", "mean", "median", "sum", "len", "first", "last"), items),
            form("{}({}, {})", one_of("min", "max", "mean", "median"), number, st.one_of(number, items)),
            *looping(one_of("count", "findIndex"), tests),
            *looping(one_of("sum"), projections),
            form("reduce({}, {}{})", items, within.number.number, one_of("", ", 0", ", 1.5", ", 'x'")),
            form("({} | {}())", items, one_of("sum", "len", "min", "max", "mean")),
            form(
                "{}({}, {})",
                one_of("bitand", "bitor", "bitxor", "bitnand", "bitshl", "bitshr", "bitushr"),
                whole,
                whole,
            ),
            form("bitnot({})", whole),
            form("{}({}, {})", one_of("indexOf", "lastIndexOf"), text, text),
            form("len({})", st.one_of(text, words, maps)),
            form("count(map({}, {}))", items, within.number.truth),
            form("({} ?? {})", anything, number),
            form("default({}, {})", anything, number),
            form("({} ? {} : {})", truth, number, number),
            form("(if {} {{ {} }} else {{ {} }})", truth, number, number),
            form("(let x = {}; x {} {})", number, one_of("+", "-", "*"), number),
            form("({}; {})", mixed, number),
        )
        self.text = st.one_of(
            below.text,
            form("({} + {})", text, text),
            form(
                "{}({})", one_of("trim", "trimPrefix", "trimSuffix", "upper", "lower", "toBase64", "fromBase64"), text
            ),
            form("{}({}, {})", one_of("trim", "trimPrefix", "trimSuffix"), text, text),
            form("{}({})", one_of("string", "toJSON", "type"), mixed),
            form("replace({}, {}, {})", text, text, text),
            form("replace({}, {}, {}, {})", text, text, text, bound),
            form("repeat({}, {})", text, small),
            form("join({}{})", words, one_of("", ", '-'")),
            form("join({}({}, {}), '+')", one_of("split", "splitAfter"), text, text),
            form("join({}({}, {}, {}), '+')", one_of("split", "splitAfter"), text, text, small),
            form("{}[{}:{}]", text, bound, bound),
            form("({} ?? {})", anything, text),
            form("sum([{}, {}])", text, text),
        )
        self.list = st.one_of(
            below.list,
            form("[{}, {}]", number, number),
            form("[{}]", number),
            form("({}..{})", whole, whole),
            form("filter({}, {})", items, within.number.truth),
            form("filter(filter({}, {}), {})", items, within.number.truth, within.number.truth),
            *(form("map({}, {})", *choice) for choice in projections[::2]),
            form("map(filter({}, {}), {})", records, within.record.truth, within.record.number),
            form("({} | filter({}) | map({}))", items, within.number.truth, within.number.number),
            form("sortBy({}, {}{})", items, within.number.number, order),
            form("sort({}{})", items, order),
            form("{}({})", one_of("reverse", "uniq", "flatten"), items),
            form("concat({}, {})", items, items),
            form("take({}, {})", items, bound),
            form("{}[{}:{}]", items, bound, bound),
            form("{}[{}:]", items, bound),
            form("{}[:{}]", items, bound),
        )
        self.words = st.one_of(
            below.words,
            form("{}({}, {})", one_of("split", "splitAfter"), text, text),
            form("[{}, {}]", text, text),
            form("map({}, {})", items, within.number.text),
            form("{}({})", one_of("reverse", "uniq", "sort"), words),
            form("sort(keys({}))", maps),
            form("filter({}, {})", words, within.text.truth),
        )
        self.records = st.one_of(
            below.records,
            form("filter({}, {})", records, within.record.truth),
            form("sortBy({}, {}{})", records, within.record.number, order),
            form("[{}, {}]", maps, maps),
            form("values({{n: {}}})", maps),
        )
        self.map = st.one_of(
            below.map,
            form("{{a: {}, b: {}}}", mixed, mixed),
            form("{{({}): {}}}", text, mixed),
            form("fromPairs([[{}, {}]])", mixed, mixed),
            form("fromPairs(toPairs({}))", maps),
            form("groupBy({}, {})", items, within.number.number),
            form("groupBy({}, {})", words, within.text.text),
            form("fromJSON({})", one_of('\'{"a": 1, "n": [1e2]}\'', "'[1'", "'null'", "toJSON(result)")),
            form("first({})", records),
        )
        self.any = st.one_of(
            below.any,
            form("{}{}{}", maps, one_of(".", "?."), one_of("a", "b", "n", "items", "zz")),
            form("{}?.{}", anything, one_of("a", "n")),
            form("{}?.[{}]", anything, st.one_of(bound, text)),
            form("{}[{}]", st.one_of(items, words, records), bound),
            form("{}[{}]", maps, st.one_of(text, number)),
            form("get({}, {})", st.one_of(anything, items, maps), st.one_of(bound, text)),
            *looping(one_of("find"), tests),
            form("filter({}, {})[{}]", items, within.number.truth, one_of("0", "1")),
            form("{}(filter({}, {}))", one_of("first", "len"), items, within.number.truth),
            form("{}({})", one_of("first", "last", "toPairs"), st.one_of(anything, maps)),
            form("({} ?? {})", anything, mixed),
            form("default({}, {})", mixed, mixed),
            form("({} ? {} : {})", truth, mixed, mixed),
            form("::{}({})", one_of("len", "first", "string"), mixed),
            form("{}.{}({})", anything, one_of("a", "Name"), number),
        )
        self.truth = st.one_of(
            below.truth,
            form("({} {} {})", number, one_of("==", "!=", "<", "<=", ">", ">="), number),
            form("({} {} {})", number, one_of("<", "<=", ">", ">="), number),
            form("({} {} {})", text, one_of("==", "!=", "<", "<=", ">", ">="), text),
            form("({} {} {})", items, one_of("==", "!="), st.one_of(items, words)),
            form("({} {} {})", maps, one_of("==", "!="), maps),
            form("({} {} {})", st.one_of(anything, mixed), one_of("==", "!="), mixed),
            form("({} < {} <= {})", number, number, number),
            form("({} {} {})", truth, one_of("&&", "||", "and", "or", "==", "!="), truth),
            form("{}{}", one_of("!", "not "), truth),
            form(
                "({} {} {})", text, one_of("contains", "startsWith", "endsWith", "not contains", "not endsWith"), text
            ),
            form("({} {} {})", text, one_of("matches", "not matches"), one_of(*PATTERNS)),
            form("({} matches ({} + ''))", text, one_of(*PATTERNS)),
            form("({} {} {})", number, one_of("in", "not in"), items),
            form("({} in {})", text, st.one_of(words, maps)),
            form("({} in {})", st.one_of(anything, mixed), st.one_of(items, maps)),
            form("({} in [{}, {}])", mixed, one_of("1", "'a'", "-1", "2.5"), one_of("2", "'b'", "nil")),
            form("({} in {}..{})", st.one_of(number, whole), small, small),
            *looping(one_of("all", "any", "none", "one"), tests),
            form(
                "({0}({2}, {3}) {1} {0}({2}, {4}))",
                one_of("all", "any", "none"),
                one_of("&&", "||", "and"),
                items,
                within.number.truth,
                within.number.truth,
            ),
            form("{}({})", one_of("isNaN", "isInf"), number),
            form("isNil({})", mixed),
            form("{}({}, {})", one_of("hasPrefix", "hasSuffix"), text, text),
            form("({} ? {} : {})", truth, truth, truth),
            form("({} ?: {})", truth, truth),
            form("({} ?? {})", anything, truth),
            form("(let y = {}; {})", mixed, truth),
            form("(let z = {}; z {} z)", mixed, one_of("==", "<", "in", "&&")),
        )


class Layers:
    """One depth within a predicate, by the kind of its `#`."""

    def __init__(self, case: Case, depth: int) -> None:
        self.number = Layer(case, depth, "number")
        self.text = Layer(case, depth, "text")
        self.record = Layer(case, depth, "record")


def _conditions(depth: int) -> st.SearchStrategy[tuple[str, object]]:
    of_cases = [(_of_case(case, depth), case.result) for case in CASES]
    return st.sampled_from(of_cases).flatmap(lambda chosen: st.tuples(chosen[0], st.just(chosen[1])))


def _of_case(case: Case, depth: int) -> Texts:
    layer, within = Layer(case, depth), Layer(case, depth - 1, "number")
    sound = layer.truth.filter(lambda condition: not UNSOUND.search(condition))
    backwards = form("{}({}, {}) {} {}", one_of("findLast", "findLastIndex"), *_searching(layer, within))
    last = form("last(filter({}, {})) {} {}", *_searching(layer, within))
    chosen = form("filter({}, {})[-1] {} {}", *_searching(layer, within))
    leftmost = st.one_of(backwards, last, chosen).filter(lambda condition: not UNSOUND.search(condition, 5))
    return st.one_of(*[sound] * 20, leftmost)


def _searching(layer: Layer, within: Layer) -> tuple[Texts, ...]:
    return layer.list, within.truth, one_of("==", "<", ">=", "!="), layer.number


UNSOUND = re.compile(r"findLast|\blast\b.*filter|filter.*(\[-1\]|\blast\b)")
"""expr 1.17.7 leaves a value too many on its stack where it searches from the end, and what stands to the left meets
that one: `1 == findLastIndex([7, 7], true)` compares 1 with true, and fails. Only at the very left is it sound."""

CONDITIONS = _conditions(2)
"""A condition and the result that it was made for."""
