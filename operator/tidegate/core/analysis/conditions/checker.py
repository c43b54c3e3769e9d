"""Checks the types of a condition against the type of a result, and prepares it for running.

One pass does both because both depend on the types: it returns each part rewritten (see rewrite) together with its
static type. Sources: expr's checker/checker.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tidegate.core.analysis.conditions import rewrite
from tidegate.core.analysis.conditions.errors import ConditionError
from tidegate.core.analysis.conditions.gotypes import (
    ANY,
    BOOL,
    FLOAT,
    GROUPS,
    INT,
    LIST,
    MAP,
    NIL,
    NUMBERS,
    TEXT,
    UNKNOWN,
    Type,
    list_of,
    promote,
)
from tidegate.core.analysis.conditions.names import BUILTINS, ENVIRONMENT, LOOPS, UNSUPPORTED
from tidegate.core.analysis.conditions.nodes import (
    Array,
    Binary,
    Builtin,
    Call,
    Chain,
    Const,
    If,
    Let,
    Map,
    Member,
    Name,
    Node,
    Pointer,
    Predicate,
    Sequence,
    Slice,
    Unary,
)
from tidegate.core.analysis.conditions.regex import check_regex
from tidegate.core.analysis.conditions.signatures import (
    ENVIRONMENT_SIGNATURES,
    SIGNATURES,
    overload,
    validate,
)

Checked = tuple[Node, Type]

_BOOLEAN: Final = ("&&", "||", "and", "or")
_ORDER: Final = ("<", ">", "<=", ">=")
_TEXT: Final = ("contains", "startsWith", "endsWith", "matches")
_VARIABLES: Final[dict[str, dict[str, Type]]] = {"map": {"index": INT}, "reduce": {"index": INT, "acc": UNKNOWN}}


def check(tree: Node, result: Type | None, *, lift: bool = True) -> Node:
    """The tree made ready for results of a type. Raises ConditionError where Argo Rollouts would not compile it.

    Without a result's type, only what is wrong for every result is refused. `lift` lets a list stand for its one
    number, which is Tidegate's own; without it the rules are Argo's.
    """
    return _Checker(result, lift).check(tree)[0]


class _Checker:
    def __init__(self, result: Type | None, lift: bool) -> None:
        self.open = result is None
        self.result = UNKNOWN if result is None else result
        self.lift = lift
        self.variables: list[tuple[str, Type]] = []
        self.scopes: list[tuple[Type, dict[str, Type]]] = []

    def check(self, node: Node) -> Checked:
        return _RULES[type(node)](self, node)

    def nodes(self, nodes: tuple[Node, ...]) -> tuple[tuple[Node, ...], list[Type]]:
        checked = [self.check(node) for node in nodes]
        return tuple(node for node, _ in checked), [type_ for _, type_ in checked]

    # Values

    def const(self, node: Const) -> Checked:
        return node, _CONSTANTS[type(node.value)]

    def name(self, node: Name) -> Checked:
        for name, type_ in reversed(self.variables):
            if name == node.name:
                return node, type_
        if node.name == "result":
            return node, self.result
        if node.name in ENVIRONMENT or node.name in BUILTINS:
            raise ConditionError(f"{node.name} is a function; call it, as in {node.name}(…)", node.position)
        if node.name == "$env":
            raise ConditionError("$env is not supported; use result", node.position)
        raise ConditionError(f"unknown name {node.name}; the measured value is called result", node.position)

    def array(self, node: Array) -> Checked:
        nodes, types = self.nodes(node.nodes)
        lowered = rewrite.array(Array(node.position, nodes))
        if not types:
            return lowered, list_of(UNKNOWN)
        if self.open and any(one.is_unknown for one in types):
            return lowered, list_of(UNKNOWN)
        return lowered, list_of(types[-1]) if len({one.kind for one in types}) == 1 else LIST

    def map(self, node: Map) -> Checked:
        return Map(node.position, self.nodes(node.keys)[0], self.nodes(node.values)[0]), MAP

    def pointer(self, node: Pointer) -> Checked:
        collection, variables = self.scopes[-1]
        if node.name in variables:
            return node, variables[node.name]
        if node.name:
            raise ConditionError(f"#{node.name} has no meaning here", node.position)
        return node, UNKNOWN if collection.is_unknown else collection.element

    def let(self, node: Let) -> Checked:
        if node.name in _TAKEN or node.name in dict(self.variables):
            raise ConditionError(f"the name {node.name} is taken; let needs a new one", node.position)
        value, type_ = self.check(node.value)
        self.variables.append((node.name, type_))
        body, body_type = self.check(node.body)
        self.variables.pop()
        return Let(node.position, node.name, value, body), body_type

    def sequence(self, node: Sequence) -> Checked:
        nodes, types = self.nodes(node.nodes)
        return Sequence(node.position, nodes), types[-1]

    def if_else(self, node: If) -> Checked:
        condition, type_ = self.check(node.condition)
        if type_ is not BOOL and not type_.is_unknown:
            raise ConditionError(f"a choice needs true or false, not {type_.label}", node.condition.position)
        then, one = self.check(node.then)
        otherwise, other = self.check(node.otherwise)
        return If(node.position, condition, then, otherwise), self._either(one, other)

    def _either(self, one: Type, other: Type) -> Type:
        if one is NIL:
            return other
        if other is NIL:
            return one
        if self.open and (one.is_unknown or other.is_unknown):
            return UNKNOWN
        if not one.assignable_to(other):
            return UNKNOWN
        if one.is_list and other.is_list:
            first, second = one.element, other.element
            if not (first.assignable_to(second) and second.assignable_to(first)):
                return LIST
        return one

    # Parts of values

    def chain(self, node: Chain) -> Checked:
        inner, type_ = self.check(node.node)
        return Chain(node.position, inner), type_

    def member(self, node: Member) -> Checked:
        base, type_ = self.check(node.node)
        key, key_type = self.check(node.key)
        lowered = rewrite.member(Member(node.position, base, key, node.optional))
        if type_.is_unknown:
            return lowered, UNKNOWN
        if type_.kind == "map" and type_.key is not None:
            if not (key_type.assignable_to(type_.key) or key_type.is_unknown):
                raise ConditionError(f"a key of this map is a text, not {key_type.label}", key.position)
            return lowered, type_.element
        if type_.is_list:
            if not (key_type.is_integer or key_type.is_unknown):
                raise ConditionError(
                    f"an element of a list is chosen by an integer, not {key_type.label}", key.position
                )
            return lowered, type_.element
        part = f"field {key.value}" if isinstance(key, Const) and isinstance(key.value, str) else "element"
        raise ConditionError(f"{type_.label} has no {part}", node.position)

    def slice(self, node: Slice) -> Checked:
        base, type_ = self.check(node.node)
        if not (type_.is_unknown or type_.is_list or type_ is TEXT):
            raise ConditionError(f"only lists and texts can be sliced, not {type_.label}", node.position)
        bounds: list[Node | None] = []
        for bound in (node.start, node.stop):
            lowered, bound_type = self.check(bound) if bound else (None, INT)
            if not (bound_type.is_integer or bound_type.is_unknown or type_.is_unknown):
                raise ConditionError(f"the bounds of a slice are integers, not {bound_type.label}", node.position)
            bounds.append(lowered)
        return Slice(node.position, base, *bounds), type_

    # Operators

    def unary(self, node: Unary) -> Checked:
        inner, type_ = self.check(node.node)
        lowered = rewrite.unary(Unary(node.position, node.operator, inner))
        if node.operator in ("!", "not"):
            if type_ is BOOL or type_.is_unknown:
                return lowered, BOOL
        elif type_.is_number or type_.is_unknown:
            return lowered, type_ if type_.is_number else UNKNOWN
        raise ConditionError(f"{node.operator} cannot be applied to {type_.label}", node.position)

    def binary(self, node: Binary) -> Checked:
        left, left_type = self.check(node.left)
        right, right_type = self.check(node.right)
        operator, type_ = self._operator(node, left_type, right_type)
        lowered: Node = Binary(node.position, operator, left, right)
        if operator == "in":
            lowered = _in_constants(node, left, left_type, right)
        return rewrite.binary(lowered) if isinstance(lowered, Binary) else lowered, type_

    def _operator(self, node: Binary, left: Type, right: Type) -> tuple[str, Type]:
        """The operator to run, and the type that it gives."""
        operator = node.operator
        type_ = self._result_of(node, left, right)
        if type_ is None and self.lift and (kind := _lifted(operator, left, right)):
            return operator + " one" if operator in ("==", "!=") else operator, kind
        if type_ is None:
            raise ConditionError(f"{left.label} and {right.label} cannot be combined by {operator}", node.position)
        if operator in ("==", "!=") and left == right and left in (INT, TEXT):
            return operator + " " + left.kind, type_
        return operator, type_

    def _result_of(self, node: Binary, left: Type, right: Type) -> Type | None:
        operator = node.operator
        numbers = left.is_number and right.is_number
        texts = left is TEXT and right is TEXT
        if operator in ("==", "!="):
            return BOOL if left.comparable_to(right) else None
        if operator in _BOOLEAN:
            return BOOL if left is right is BOOL or left.may_be(right, "bool") else None
        if operator in _ORDER:
            return BOOL if numbers or texts or left.may_be(right, *NUMBERS, "text") else None
        if operator in _TEXT:
            if operator == "matches" and isinstance(node.right, Const) and isinstance(node.right.value, str):
                check_regex(node.right.value, node.right.position)
            return BOOL if texts or left.may_be(right, "text") else None
        if operator in ("+", "-", "*"):
            if numbers:
                return promote(left, right)
            if texts and operator == "+":
                return TEXT
            return UNKNOWN if left.may_be(right, *NUMBERS, *(("text",) if operator == "+" else ())) else None
        if operator in ("/", "**", "^"):
            return FLOAT if numbers or left.may_be(right, *NUMBERS) else None
        if operator == "%":
            return INT if (left.is_integer and right.is_integer) or left.may_be(right, "int", "int64") else None
        if operator == "..":
            integers = (left.is_integer and right.is_integer) or left.may_be(right, "int", "int64")
            return list_of(INT) if integers else None
        if operator == "in":
            return _membership(left, right)
        return self._coalesced(left, right)

    def _coalesced(self, left: Type, right: Type) -> Type:
        if left is NIL:
            return right
        if right is NIL:
            return left
        if self.open and (left.is_unknown or right.is_unknown):
            return UNKNOWN
        return left if right.assignable_to(left) else UNKNOWN

    # Calls

    def call(self, node: Call) -> Checked:
        if isinstance(node.callee, Name) and node.callee.name not in dict(self.variables):
            name = node.callee.name
            if name not in ENVIRONMENT_SIGNATURES:
                self.check(node.callee)
                raise ConditionError(f"{name} is not a function", node.position)
            signatures = ENVIRONMENT_SIGNATURES[name]
            arguments, types = self.nodes(node.arguments)
            if name in ("isNaN", "isInf") and len(types) == 1 and types[0].is_integer:
                arguments, _ = self.nodes((_with_floats(node.arguments[0]),))
            elif name in ("isNaN", "isInf") and self.lift and len(types) == 1 and _may_be_vector(types[0]):
                types = [FLOAT]
            return Call(node.position, node.callee, arguments), overload(name, signatures, types, node.position)[1]
        callee, type_ = self.check(node.callee)
        if not type_.is_unknown:
            raise ConditionError(f"{type_.label} cannot be called", node.position)
        return Call(node.position, callee, ()), UNKNOWN

    def builtin(self, node: Builtin) -> Checked:
        if node.name in LOOPS:
            return self._loop(node)
        arguments, types = self.nodes(node.arguments)
        lowered = rewrite.builtin(Builtin(node.position, node.name, arguments))
        if node.name == "get":
            return lowered, self._get(node, types)
        if node.name in SIGNATURES:
            return lowered, overload(node.name, SIGNATURES[node.name], types, node.position)[1]
        return lowered, validate(node.name, types, node.position)

    def _get(self, node: Builtin, types: list[Type]) -> Type:
        if len(types) != 2:
            raise ConditionError(f"get takes 2 arguments, not {len(types)}", node.position)
        base, key = types
        if base.is_unknown:
            return UNKNOWN
        if base.is_list and (key.is_integer or key.is_unknown):
            return base.element
        if base.kind == "map" and base.key and (key.assignable_to(base.key) or key.is_unknown):
            return base.element
        raise ConditionError(f"get cannot take {key.label} from {base.label}", node.position)

    def _loop(self, node: Builtin) -> Checked:
        collection, type_ = self.check(node.arguments[0])
        if not (type_.is_list or type_.is_unknown):
            raise ConditionError(f"{node.name} takes a list, not {type_.label}", node.arguments[0].position)
        arguments, gives = [collection], UNKNOWN
        if len(node.arguments) > 1:
            self.scopes.append((type_, _VARIABLES.get(node.name, {})))
            predicate, gives = self.check(node.arguments[1])
            self.scopes.pop()
            arguments.append(predicate)
            if gives is NIL:
                raise ConditionError(f"the predicate of {node.name} gives nil", node.arguments[1].position)
            if node.name in _TESTS and not (gives is BOOL or gives.is_unknown):
                raise ConditionError(
                    f"the predicate of {node.name} gives {gives.label}, not true or false", node.arguments[1].position
                )
        arguments.extend(self.check(extra)[0] for extra in node.arguments[2:])
        lowered = rewrite.builtin(Builtin(node.position, node.name, tuple(arguments)))
        return lowered, _loop_type(node, type_, gives)

    def predicate(self, node: Predicate) -> Checked:
        inner, type_ = self.check(node.node)
        return Predicate(node.position, inner), type_


def _loop_type(node: Builtin, collection: Type, gives: Type) -> Type:
    if node.name in ("all", "none", "any", "one"):
        return BOOL
    if node.name in ("count", "findIndex", "findLastIndex"):
        return INT
    if node.name == "map":
        return list_of(gives)
    if node.name == "reduce":
        return gives
    if node.name == "groupBy":
        return GROUPS
    if node.name == "sortBy":
        return collection
    if node.name == "sum" and len(node.arguments) > 1:
        return ANY if gives.is_unknown else gives.plain
    if node.name == "filter":
        return LIST if collection.is_unknown else list_of(collection.element)
    return UNKNOWN if collection.is_unknown else collection.element


def _membership(left: Type, right: Type) -> Type | None:
    if right.kind == "map" and right.key is not None:
        return BOOL if left.is_unknown or left.assignable_to(right.key) else None
    if right.is_list:
        return BOOL if left.comparable_to(right.element) else None
    if right.is_unknown or (left.is_unknown and right is TEXT):
        return BOOL
    return None


def _in_constants(node: Binary, left: Node, left_type: Type, right: Node) -> Node:
    """`in` with a list of literals looks them up in a set, which accepts no other kind of needle."""
    if isinstance(node.right, Array) and node.right.nodes:
        kinds = {type(one.value) if isinstance(one, Const) else None for one in node.right.nodes}
        if kinds == {str} or (kinds == {int} and left_type is INT):
            values: Any = frozenset(one.value for one in node.right.nodes if isinstance(one, Const))
            return Binary(node.position, "in set", left, Const(node.right.position, values))
    if left_type is INT and isinstance(right, Binary) and right.operator == "..":
        low, high = right.left, right.right
        if _is_int(low) and _is_int(high):
            return Binary(
                node.position,
                "&&",
                Binary(node.position, ">=", left, low),
                Binary(node.position, "<=", left, high),
            )
    return Binary(node.position, "in", left, right)


def _is_int(node: Node) -> bool:
    return isinstance(node, Const) and type(node.value) is int


def _may_be_vector(given: Type) -> bool:
    return given.is_list and (given.element.is_number or given.element.is_unknown)


def _lifted(operator: str, left: Type, right: Type) -> Type | None:
    """The type of an operator between a number and a list that stands for its one number."""
    one = left if left.is_list else right
    other = right if one is left else left
    if not (_may_be_vector(one) and (other.is_number or other.is_unknown)):
        return None
    if operator in ("==", "!=", *_ORDER):
        return BOOL
    if operator in ("+", "-", "*"):
        return FLOAT if one.element is FLOAT and other.is_number else UNKNOWN
    if operator in ("/", "**", "^"):
        return FLOAT
    return None


def _with_floats(node: Node) -> Node:
    """An integer argument for a float parameter: its literals become floats, the rest stays."""
    if isinstance(node, Const) and type(node.value) is int:
        return Const(node.position, float(node.value))
    if isinstance(node, Unary):
        return Unary(node.position, node.operator, _with_floats(node.node))
    if isinstance(node, Binary) and node.operator in ("+", "-", "*"):
        return Binary(node.position, node.operator, _with_floats(node.left), _with_floats(node.right))
    return node


_TAKEN: Final = BUILTINS | ENVIRONMENT | UNSUPPORTED.keys()
_TESTS: Final = frozenset(LOOPS) - {"map", "sum", "groupBy", "sortBy", "reduce"}
_CONSTANTS: Final = {type(None): NIL, bool: BOOL, int: INT, float: FLOAT, str: TEXT}
_RULES: Final[dict[type[Node], Callable[[_Checker, Any], Checked]]] = {
    Const: _Checker.const,
    Name: _Checker.name,
    Array: _Checker.array,
    Map: _Checker.map,
    Pointer: _Checker.pointer,
    Let: _Checker.let,
    Sequence: _Checker.sequence,
    If: _Checker.if_else,
    Chain: _Checker.chain,
    Member: _Checker.member,
    Slice: _Checker.slice,
    Unary: _Checker.unary,
    Binary: _Checker.binary,
    Call: _Checker.call,
    Builtin: _Checker.builtin,
    Predicate: _Checker.predicate,
}
