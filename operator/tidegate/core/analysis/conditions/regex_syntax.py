"""The syntax of regular expressions that Go accepts (regexp/syntax), as far as a yes-or-no match needs it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final, NoReturn

from tidegate.core.analysis.conditions.errors import ConditionError

_MAX_NESTING: Final = 60
_MAX_REPEAT: Final = 1000

Ranges = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Chars:
    """A set of characters: ranges, Unicode categories and sets within it; perhaps negated, perhaps case-blind."""

    ranges: Ranges = ()
    categories: tuple[str, ...] = ()
    within: tuple[Chars, ...] = ()
    negated: bool = False
    fold: bool = False

    @property
    def only(self) -> str | None:
        """The only character of the set, if it is one plain character."""
        if len(self.ranges) != 1 or self.categories or self.within or self.negated or self.fold:
            return None
        low, high = self.ranges[0]
        return low if low == high else None

    def has(self, char: str) -> bool:
        if self.fold:
            return any(map(self._has, _folds(char))) != self.negated
        return self._has(char) != self.negated

    def _has(self, char: str) -> bool:
        return (
            any(low <= char <= high for low, high in self.ranges)
            or any(one.has(char) for one in self.within)
            or (bool(self.categories) and unicodedata.category(char).startswith(self.categories))
        )


@dataclass(frozen=True, slots=True)
class Assertion:
    kind: str


@dataclass(frozen=True, slots=True)
class Concatenation:
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Alternatives:
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    part: Part
    least: int
    most: int | None


Part = Chars | Assertion | Concatenation | Alternatives | Repeat

_EVERY: Final = (("\0", "\U0010ffff"),)
_DIGIT: Final = (("0", "9"),)
_SPACE: Final = (("\t", "\n"), ("\f", "\r"), (" ", " "))
_WORD: Final = (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z"))
_PERL: Final = {"d": _DIGIT, "s": _SPACE, "w": _WORD}
_POSIX: Final[dict[str, Ranges]] = {
    "alnum": (("0", "9"), ("A", "Z"), ("a", "z")),
    "alpha": (("A", "Z"), ("a", "z")),
    "ascii": (("\0", "\x7f"),),
    "blank": (("\t", "\t"), (" ", " ")),
    "cntrl": (("\0", "\x1f"), ("\x7f", "\x7f")),
    "digit": _DIGIT,
    "graph": (("!", "~"),),
    "lower": (("a", "z"),),
    "print": ((" ", "~"),),
    "punct": (("!", "/"), (":", "@"), ("[", "`"), ("{", "~")),
    "space": (("\t", "\r"), (" ", " ")),
    "upper": (("A", "Z"),),
    "word": _WORD,
    "xdigit": (("0", "9"), ("A", "F"), ("a", "f")),
}
_CATEGORIES: Final = frozenset(
    group + one
    for group, ones in (
        *(("C", "cfos"), ("L", "lmotu"), ("M", "cen"), ("N", "dlo"), ("P", "cdefios"), ("S", "ckmo"), ("Z", "lps")),
    )
    for one in ("", *ones)
)
_ESCAPED: Final = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ASSERTIONS: Final = {"A": "start", "z": "end", "b": "boundary", "B": "no boundary"}
_FOLD_EXTRA: Final = {"k": "\u212a", "K": "\u212a", "s": "\u017f", "S": "\u017f", "å": "\u212b", "Å": "\u212b"}


def _folds(char: str) -> set[str]:
    lower, upper = char.lower(), char.upper()
    return {one for one in (char, lower, upper, upper.lower(), _FOLD_EXTRA.get(char, char)) if len(one) == 1}


def parse_pattern(pattern: str) -> Part:
    """Raises ConditionError."""
    parser = _Parser(pattern)
    part = parser.alternatives()
    if parser.at < len(pattern):
        parser.refuse("it has a ) without its (")
    return part


class _Parser:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.nesting = 0
        self.flags = {"i": False, "m": False, "s": False, "U": False}
        self.names: set[str] = set()

    def refuse(self, why: str) -> NoReturn:
        raise ConditionError(f"the regular expression {self.pattern!r} is not valid: {why}")

    def peek(self) -> str:
        return self.pattern[self.at] if self.at < len(self.pattern) else ""

    def take(self, text: str) -> bool:
        if self.pattern.startswith(text, self.at):
            self.at += len(text)
            return True
        return False

    def next(self, why: str) -> str:
        char = self.peek()
        if not char:
            self.refuse(why)
        self.at += 1
        return char

    def alternatives(self) -> Part:
        parts = [self.concatenation()]
        while self.take("|"):
            parts.append(self.concatenation())
        return parts[0] if len(parts) == 1 else Alternatives(tuple(parts))

    def concatenation(self) -> Part:
        parts: list[Part] = []
        repeated = False
        while (char := self.peek()) and char not in "|)":
            bounds = self.repetition()
            if bounds is not None:
                if repeated:
                    self.refuse("it repeats a repetition")
                if not parts:
                    self.refuse("it repeats nothing")
                parts.append(self.repeat(parts.pop(), *bounds))
                repeated = True
                continue
            repeated = False
            if self.take("\\Q"):
                parts.extend(self.literal_text())
            elif (part := self.atom()) is not None:
                parts.append(part)
        return Concatenation(tuple(parts))

    def repetition(self) -> tuple[int, int | None] | None:
        start = self.at
        bounds: tuple[int, int | None] | None = None
        if self.take("*"):
            bounds = (0, None)
        elif self.take("+"):
            bounds = (1, None)
        elif self.take("?"):
            bounds = (0, 1)
        elif self.take("{"):
            least = self.count()
            most: int | None = least
            if self.take(","):
                most = None if self.peek() == "}" else self.count()
                if most == -1:
                    least = -1
            if least == -1 or not self.take("}"):
                self.at = start
                return None
            if max(least, most or 0) > _MAX_REPEAT or (most is not None and least > most):
                self.refuse("the bounds of a repetition are at most 1000, the lower one first")
            bounds = (least, most)
        if bounds is not None:
            self.take("?")
        return bounds

    def count(self) -> int:
        """A decimal number without leading zeros, or -1."""
        start = self.at
        while "0" <= self.peek() <= "9":
            self.at += 1
        digits = self.pattern[start : self.at]
        if not digits or (len(digits) > 1 and digits[0] == "0"):
            return -1
        return int(digits) if len(digits) < 9 else _MAX_REPEAT + 1

    def repeat(self, part: Part, least: int, most: int | None) -> Part:
        whole = Repeat(part, least, most)
        if max(least, most or 0) > 1 and not _within_limit(whole, _MAX_REPEAT):
            self.refuse("its nested repetitions come to more than 1000 copies")
        return whole

    def literal_text(self) -> list[Part]:
        end = self.pattern.find("\\E", self.at)
        text = self.pattern[self.at : end if end >= 0 else None]
        self.at = len(self.pattern) if end < 0 else end + 2
        return [self.char(char) for char in text]

    def char(self, char: str) -> Chars:
        return Chars(((char, char),), fold=self.flags["i"])

    def atom(self) -> Part | None:
        escaped = self.escaped_set()
        if escaped:
            return escaped
        char = self.next("")
        if char == "(":
            return self.group()
        if char == "[":
            return self.char_class()
        if char == ".":
            return Chars(_EVERY) if self.flags["s"] else Chars((("\n", "\n"),), negated=True)
        if char == "^":
            return Assertion("line start" if self.flags["m"] else "start")
        if char == "$":
            return Assertion("line end" if self.flags["m"] else "end")
        if char != "\\":
            return self.char(char)
        if self.peek() in _ASSERTIONS:
            return Assertion(_ASSERTIONS[self.next("")])
        return self.char(self.escape())

    def group(self) -> Part | None:
        outside = self.flags
        if self.take("?"):
            if self.take("P<") or self.take("<"):
                self.group_name()
            else:
                self.group_flags()
                if self.take(")"):  # (?i) holds until the group around it ends
                    return None
                self.next("a group is not closed")
        self.nesting += 1
        if self.nesting > _MAX_NESTING:
            self.refuse(f"its groups are nested deeper than {_MAX_NESTING}")
        part = self.alternatives()
        self.nesting -= 1
        self.flags = outside
        if not self.take(")"):
            self.refuse("it has a ( without its )")
        return part

    def group_name(self) -> None:
        end = self.pattern.find(">", self.at)
        name = self.pattern[self.at : max(end, self.at)]
        if not (name.isascii() and name.replace("_", "a").isalnum()) or name in self.names:
            self.refuse("a group needs a name of its own, of letters, digits and _")
        self.names.add(name)
        self.at = end + 1

    def group_flags(self) -> None:
        """Leaves the end of the flags, `:` or `)`, unread."""
        flags, value, seen = dict(self.flags), True, False
        while (char := self.next("the flags of a group are not closed")) not in ":)":
            if char in flags:
                flags[char], seen = value, True
            elif char == "-" and value:
                value, seen = False, False
            else:
                self.refuse(f"(?{char} is not known; lookaround is not supported")
        if not value and not seen:
            self.refuse("a - needs flags after it")
        self.flags = flags
        self.at -= 1

    def char_class(self) -> Part:
        negated = self.take("^")
        ranges: list[tuple[str, str]] = []
        within: list[Chars] = []
        first = True
        while first or self.peek() != "]":
            first = False
            if self.pattern.find(":]", self.at + 2) > 0 and self.take("[:"):
                within.append(self.posix())
            elif (one := self.escaped_set()) is not None:
                within.append(one)
            else:
                low = high = self.class_char()
                if self.peek() == "-" and self.pattern[self.at + 1 : self.at + 2] not in ("]", ""):
                    self.at += 1
                    high = self.class_char()
                    if high < low:
                        self.refuse("a range in brackets runs backwards")
                ranges.append((low, high))
        self.at += 1
        return Chars(tuple(ranges), within=tuple(within), negated=negated, fold=self.flags["i"])

    def class_char(self) -> str:
        char = self.next("it has a [ without its ]")
        return self.escape() if char == "\\" else char

    def posix(self) -> Chars:
        end = self.pattern.find(":]", self.at)
        name = self.pattern[self.at : end]
        if name.removeprefix("^") not in _POSIX:
            self.refuse("[: is followed by no known class, as in [:alpha:]")
        self.at = end + 2
        return Chars(_POSIX[name.removeprefix("^")], negated=name.startswith("^"), fold=self.flags["i"])

    def escaped_set(self) -> Chars | None:
        """\\d, \\pL and their like; None where something else stands."""
        if self.peek() != "\\":
            return None
        kind, start = self.pattern[self.at + 1 : self.at + 2], self.at + 1
        if kind and kind.lower() in _PERL:
            self.at = start + 1
            return Chars(_PERL[kind.lower()], negated=kind.isupper(), fold=self.flags["i"])
        if kind and kind in "pP":
            self.at = start + 1
            return self.category(kind == "P")
        return None

    def category(self, negated: bool) -> Chars:
        name = self.next("\\p needs a category")
        if name == "{":
            end = self.pattern.find("}", self.at)
            name = self.pattern[self.at : max(end, self.at)]
            self.at = end + 1
            if name.startswith("^"):
                name, negated = name[1:], not negated
        if name == "Any":
            return Chars(_EVERY, negated=negated)
        if name not in _CATEGORIES:
            self.refuse(f"only general categories are supported after \\p, such as \\p{{Lu}}; not {name!r}")
        return Chars(categories=(name,), negated=negated, fold=self.flags["i"])

    def escape(self) -> str:
        char = self.next("it ends with a single \\")
        if char in _ESCAPED:
            return _ESCAPED[char]
        if char == "x":
            return self.hexadecimal()
        if char in "1234567" and self.peek() not in _OCTAL:
            self.refuse("a reference back to a group is not supported")
        if char in _OCTAL:
            digits = char
            while len(digits) < 3 and self.peek() in _OCTAL:
                digits += self.next("")
            return chr(int(digits, 8))
        if char.isalnum() or not char.isascii():
            self.refuse(f"\\{char} is not known")
        return char

    def hexadecimal(self) -> str:
        if self.take("{"):
            end = self.pattern.find("}", self.at)
            digits = self.pattern[self.at : max(end, self.at)]
            self.at = end + 1
        else:
            digits = self.pattern[self.at : self.at + 2]
            self.at += 2
            if len(digits) < 2:
                digits = ""
        if not digits or len(digits) > 8 or not _HEXADECIMAL.issuperset(digits) or int(digits, 16) > 0x10FFFF:
            self.refuse("\\x needs two hexadecimal digits, or some in braces")
        return chr(int(digits, 16))


_OCTAL: Final = tuple("01234567")
_HEXADECIMAL: Final = frozenset("0123456789abcdefABCDEF")


def _within_limit(part: Part, copies: int) -> bool:
    """Go's bound on nested repetitions: their counts multiplied."""
    if isinstance(part, Repeat):
        count = part.least if part.most is None else part.most
        if part.most == 0:
            return True
        if count > copies:
            return False
        return _within_limit(part.part, copies // count if count else copies)
    if isinstance(part, Concatenation | Alternatives):
        return all(_within_limit(one, copies) for one in part.parts)
    return True
