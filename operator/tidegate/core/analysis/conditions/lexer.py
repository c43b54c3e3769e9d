"""Turns the text of a condition into tokens, by the rules of expr's lexer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from tidegate.core.analysis.conditions.errors import ConditionError


class Kind(Enum):
    NAME = "a name"
    NUMBER = "a number"
    TEXT = "a string"
    OPERATOR = "an operator"
    BRACKET = "a bracket"
    END = "the end"


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    value: str
    position: int

    def __str__(self) -> str:
        return "the end of the condition" if self.kind is Kind.END else repr(self.value)


SPACES: Final = frozenset(
    "\t\n\v\f\r \u0085\u00a0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
)
"""What Go's unicode.IsSpace accepts; Python's isspace has four control characters more."""

_WORD_OPERATORS: Final = frozenset(
    ("not", "in", "or", "and", "matches", "contains", "startsWith", "endsWith", "let", "if", "else")
)
_ESCAPES: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_DIGITS: Final = "0123456789_"
_RADIX_DIGITS: Final = {"x": _DIGITS + "abcdefABCDEF", "o": "01234567_", "b": "01_"}


def tokenize(text: str) -> list[Token]:
    """All tokens of a condition, the last of kind END. Raises ConditionError."""
    return _Lexer(text).tokens()


def is_alphanumeric(char: str) -> bool:
    return char.isalpha() or char.isdecimal() or char in ("_", "$")


class _Lexer:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def tokens(self) -> list[Token]:
        tokens: list[Token] = []
        while (token := self._next()) is not None:
            tokens.append(token)
            if token.value == "#" and token.kind is Kind.OPERATOR:
                # `#in` is a pointer named "in", not the operator.
                start, word = self.at, self._word()
                if word:
                    tokens.append(Token(Kind.NAME, word, start))
        tokens.append(Token(Kind.END, "", len(self.text)))
        return tokens

    def _peek(self, ahead: int = 0) -> str:
        where = self.at + ahead
        return self.text[where] if where < len(self.text) else ""

    def _next(self) -> Token | None:
        self._skip_blanks()
        start, char = self.at, self._peek()
        if not char:
            return None
        if char in "'\"":
            return Token(Kind.TEXT, self._quoted(char), start)
        if char == "`":
            return Token(Kind.TEXT, self._raw(), start)
        if "0" <= char <= "9" or (char == "." and "0" <= self._peek(1) <= "9"):
            return Token(Kind.NUMBER, self._number(), start)
        if is_alphanumeric(char):
            word = self._word()
            return Token(Kind.OPERATOR if word in _WORD_OPERATORS else Kind.NAME, word, start)
        if char in "([{)]}":
            self.at += 1
            return Token(Kind.BRACKET, char, start)
        return Token(Kind.OPERATOR, self._operator(char), start)

    def _operator(self, char: str) -> str:
        seconds = {"?": ".?", "#": "#", "|": "|", ":": ":", ".": "."}
        if char in "&!=*<>":
            second = "&=*"
        elif char in ",;%+-^/":
            second = ""
        elif char in seconds:
            second = seconds[char]
        else:
            raise ConditionError(f"the character {char!r} means nothing in a condition", self.at)
        start = self.at
        self.at += 2 if self._peek(1) and self._peek(1) in second else 1
        return self.text[start : self.at]

    def _skip_blanks(self) -> None:
        while char := self._peek():
            if char in SPACES:
                self.at += 1
            elif self.text.startswith("//", self.at):
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end + 1
            elif self.text.startswith("/*", self.at):
                end = self.text.find("*/", self.at + 2)
                if end < 0:
                    raise ConditionError("this comment is never closed; expected */", self.at)
                self.at = end + 2
            else:
                return

    def _word(self) -> str:
        start = self.at
        while (char := self._peek()) and is_alphanumeric(char):
            self.at += 1
        return self.text[start : self.at]

    def _number(self) -> str:
        start, digits = self.at, _DIGITS
        if self._peek() == ".":
            self.at += 1
        if self._take("0") and (radix := self._peek().lower()) and radix in _RADIX_DIGITS:
            self.at += 1
            digits = _RADIX_DIGITS[radix]
        self._take_all(digits)
        if self._peek() == ".":
            if self._peek(1) == ".":  # 1..5 is a range
                return self.text[start : self.at]
            self.at += 1
            self._take_all(digits)
        if self._take("eE"):
            self._take("+-")
            self._take_all(digits)
        following = self._peek()
        if following and is_alphanumeric(following):
            raise ConditionError(f"{self.text[start : self.at + 1]!r} is not a number", start)
        return self.text[start : self.at]

    def _take(self, accepted: str) -> bool:
        char = self._peek()
        if char and char in accepted:
            self.at += 1
            return True
        return False

    def _take_all(self, accepted: str) -> None:
        while self._take(accepted):
            pass

    def _raw(self) -> str:
        start = self.at
        end = self.text.find("`", start + 1)
        while end >= 0 and self.text.startswith("``", end):
            end = self.text.find("`", end + 2)
        if end < 0:
            raise ConditionError("this string is never closed; expected `", start)
        self.at = end + 1
        return self.text[start + 1 : end].replace("``", "`")

    def _quoted(self, quote: str) -> str:
        start = self.at
        self.at += 1
        parts: list[str] = []
        while (char := self._peek()) != quote:
            if char in ("", "\n"):
                raise ConditionError(f"this string is never closed; expected {quote}", start)
            self.at += 1
            if char == "\\":
                parts.append(self._escape(quote))
            elif char == "\r":
                # expr normalizes line ends within a string
                parts.append("\n")
            else:
                parts.append(char)
        self.at += 1
        return "".join(parts)

    def _escape(self, quote: str) -> str:
        start, char = self.at - 1, self._peek()
        self.at += 1
        if char == quote:
            return quote
        if char in _ESCAPES:
            return _ESCAPES[char]
        if char == "u" and self._peek() == "{":
            end = self.text.find("}", self.at)
            digits = self.text[self.at + 1 : max(end, self.at + 1)]
            self.at = end + 1
            limit, base = 6, 16
        elif char in ("x", "u", "U"):
            limit, base = {"x": 2, "u": 4, "U": 8}[char], 16
            digits = self.text[self.at : self.at + limit]
            self.at += limit
            limit = limit if len(digits) == limit else 0
        elif char and char in "0123":
            limit, base = 3, 8
            self.at += 2
            digits = self.text[self.at - 3 : self.at]
            limit = limit if len(digits) == limit else 0
        else:
            raise ConditionError(f"\\{char} is no escape sequence", start)
        if not digits or len(digits) > limit or not _HEX.issuperset(digits):
            raise ConditionError(f"\\{char} needs its digits, as in \\x41, \\u0041, \\u{{41}} or \\101", start)
        try:
            code = int(digits, base)
        except ValueError:
            raise ConditionError("an octal escape has digits from 0 to 7", start) from None
        if code > 0x10FFFF:
            raise ConditionError(f"\\{char}{digits} is beyond the last Unicode character", start)
        return "\ufffd" if 0xD800 <= code <= 0xDFFF else chr(code)
