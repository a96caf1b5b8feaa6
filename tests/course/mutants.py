"""Wrong answers made from a right one: a line less, a comparison turned, a number off by one.

A check that takes one of them does not look at that part of the answer; or the change means
nothing, which only a person can tell.
"""

from __future__ import annotations

import ast
import copy
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_MARKED = re.compile(r"^( *)# solution:\n.*?^\1# :solution$", re.MULTILINE | re.DOTALL)
_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_PAIRS = [("min", "max"), ("any", "all"), ("lpush", "rpush"), ("lpop", "rpop"), ("ceil", "floor")]
_NAMES = dict(_PAIRS) | {other: one for one, other in _PAIRS} | {"sum": "max"}
_IN_ANY_ORDER = ("min", "max", "isclose")
_HOW_LONG = ("seconds", "wait_seconds", "grace_seconds", "timeout_seconds", "timeout", "sleep")
_NOT_ALONE = (ast.Return, ast.Pass, ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal)

Change = tuple[str, str, Any]  # its kind, what a person is told, the new node


@dataclass(frozen=True)
class Mutant:
    """A wrong answer made from a right one.

    Attributes:
        about: What was changed, and in which statement.
        code: The whole cell.
    """

    about: str
    code: str


def answer(source: str) -> str:
    """Return the cell of an exercise without the marks of its solution."""
    return re.sub(r"^ *# :?solution:?\n|  # blank: .*$", "", source + "\n", flags=re.MULTILINE)


def mutants(source: str) -> list[Mutant]:
    """Return all mutants of what is marked as the solution in the cell of an exercise.

    They are ordered so that the first few have changes of all kinds.
    """
    marked = _marked(source)
    tree = ast.parse(source)
    kinds: dict[str, list[Mutant]] = {}
    seen = {ast.unparse(tree)}
    for statement, place, node in _nodes(tree):
        if getattr(node, "lineno", 0) not in marked:
            continue
        for kind, about, new in _changes(node, place):
            code = _with(tree, place, new)
            if code not in seen and _compiles(code):
                seen.add(code)
                if new is not None and not isinstance(new, ast.Pass):
                    about += f" in: {_first_line(statement)}"
                kinds.setdefault(kind, []).append(Mutant(about, code))
    rounds = itertools.zip_longest(*kinds.values())
    return [one for one in itertools.chain.from_iterable(rounds) if one is not None]


def _marked(source: str) -> set[int]:
    """Return the numbers of the lines that are the solution."""
    lines = {number for number, line in enumerate(source.splitlines(), 1) if "  # blank: " in line}
    for match in _MARKED.finditer(source):
        first = source.count("\n", 0, match.start()) + 1
        lines |= set(range(first, first + match[0].count("\n") + 1))
    return lines


@dataclass
class _Place:
    """Where a node hangs: a field of its parent, or an entry of a list there."""

    parent: ast.AST
    field: str
    index: int | None

    def put(self, node: Any) -> None:
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


def _nodes(
    parent: ast.AST, statement: ast.stmt | None = None
) -> Iterator[tuple[ast.stmt, _Place, ast.AST]]:
    for field, value in ast.iter_fields(parent):
        for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(node, ast.AST):
                nearest = node if isinstance(node, ast.stmt) else statement
                if isinstance(node, ast.Expr) and _is_print(node.value):
                    continue  # nobody judges what is printed
                if nearest is not None:
                    yield nearest, _Place(parent, field, index), node
                yield from _nodes(node, nearest)


def _is_print(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and _called(node) == "print"


def _with(tree: ast.Module, place: _Place, new: ast.AST) -> str:
    """Return the code with one node replaced; the tree is afterwards as it was."""
    old = getattr(place.parent, place.field)
    old = old if place.index is None else old[place.index]
    place.put(new)
    try:
        return ast.unparse(ast.fix_missing_locations(copy.deepcopy(tree)))
    finally:
        place.put(old)


def _compiles(code: str) -> bool:
    try:
        compile(code, "mutant", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


def _first_line(node: ast.AST) -> str:
    return ast.unparse(node).partition("\n")[0][:80]


def _changed(node: Any, **fields: Any) -> Any:
    """Return a copy of a node with some fields changed."""
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def _changes(node: Any, place: _Place) -> Iterator[Change]:
    """Yield what may be changed at a node."""
    if isinstance(node, ast.stmt):
        yield from _of_statement(node, place)
    elif isinstance(node, ast.Constant) and not isinstance(place.parent, ast.JoinedStr):
        yield from _of_constant(node, place)
    elif isinstance(node, ast.Call):
        yield from _of_call(node)
    elif isinstance(node, ast.Dict):
        yield from _of_dict(node)
    elif isinstance(node, ast.Tuple | ast.List) and isinstance(node.ctx, ast.Load):
        yield from _of_sequence(node)
    else:
        yield from _of_expression(node, place)


def _of_statement(node: Any, place: _Place) -> Iterator[Change]:
    if isinstance(node, ast.Return) and node.value is not None:
        yield "return", "return None", _changed(node, value=ast.Constant(None))
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    call = node.value if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) else None
    says_nothing = docstring or (call is not None and _called(call) == "sleep")
    if not isinstance(node, _NOT_ALONE) and not says_nothing:
        yield "drop", f"drop: {_first_line(node)}", ast.Pass()
    if isinstance(node, ast.Try):
        always = ast.If(ast.Constant(True), [*node.body, *node.orelse, *node.finalbody], [])
        yield "except", "no try", always
    if isinstance(node, ast.AugAssign) and type(node.op) in _OPERATORS:
        yield "operator", _turned(node.op), _changed(node, op=_OPERATORS[type(node.op)]())
    if isinstance(node, ast.If | ast.While) and not isinstance(node.test, ast.Compare):
        yield "negate", "not", _changed(node, test=ast.UnaryOp(ast.Not(), node.test))


def _turned(operator: ast.operator) -> str:
    other = _OPERATORS[type(operator)]
    return f"{type(operator).__name__} -> {other.__name__}"


def _of_constant(node: ast.Constant, place: _Place) -> Iterator[Change]:
    value = node.value
    if isinstance(place.parent, ast.Expr) or value in (None, ..., "", b""):
        return
    index = isinstance(place.parent, ast.Subscript)
    if index and isinstance(value, str) and isinstance(place.parent.ctx, ast.Load):
        return  # a field on the way: nothing but a KeyError
    if isinstance(place.parent, ast.keyword | ast.Call) and _called(place.parent) in _HOW_LONG:
        return  # a second more or less
    if isinstance(value, bool):
        new: list[Any] = [not value]
    elif isinstance(value, int | float):
        new = [value + 1, *([] if index and value == 0 else [value - 1])]  # [-1]: may be the same
    elif isinstance(value, bytes):
        new = [value + b"x"]
    elif isinstance(value, str) and "\n" in value.strip():
        yield from _of_text(value)
        return
    else:
        new = [f"{value}x"]
    for one in new:
        yield "constant", f"{value!r} -> {one!r}", ast.Constant(one)


def _called(node: Any) -> str:
    """Return the name of the keyword or of the function that is called."""
    if isinstance(node, ast.keyword):
        return node.arg or ""
    return getattr(node.func, "id", None) or getattr(node.func, "attr", "")


def _of_text(text: str) -> Iterator[Change]:
    """Yield changes of a text of several lines, such as a Dockerfile or a manifest."""
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        rest = lines[number + 1 :]
        without = "".join([*lines[:number], *rest])
        yield "line", f"no line: {line.strip()}", ast.Constant(without)
        numbers = list(re.finditer(r"(?<![\w.])\d+(?![\w.-])", line))
        at = numbers[-1] if numbers else re.search(r"\w(?=\W*$)", line)
        if not at:
            continue
        another = str(int(at[0]) + 1) if numbers else f"{at[0]}x"
        changed = f"{line[: at.start()]}{another}{line[at.end() :]}"
        within = "".join([*lines[:number], changed, *rest])
        yield "value", f"line: {changed.strip()}", ast.Constant(within)


def _of_call(node: ast.Call) -> Iterator[Change]:
    plain = [one for one in node.args if not isinstance(one, ast.Starred)]
    name = _called(node)
    if len(node.args) > 1 and plain == node.args and name not in _IN_ANY_ORDER:
        first, second, *others = node.args
        yield "swap", "first two arguments swapped", _changed(node, args=[second, first, *others])
    for number, keyword in enumerate(node.keywords):
        if keyword.arg and keyword.arg != "grace_seconds":
            left = [*node.keywords[:number], *node.keywords[number + 1 :]]
            yield "keyword", f"no {keyword.arg}=", _changed(node, keywords=left)
    if name in _NAMES:
        function: Any = node.func
        field = "id" if isinstance(function, ast.Name) else "attr"
        new = _changed(function, **{field: _NAMES[name]})
        yield "function", f"{name} -> {_NAMES[name]}", _changed(node, func=new)


def _of_dict(node: ast.Dict) -> Iterator[Change]:
    for number, key in enumerate(node.keys):
        if key is None:
            continue
        keys = [*node.keys[:number], *node.keys[number + 1 :]]
        values = [*node.values[:number], *node.values[number + 1 :]]
        said = ast.unparse(key)
        yield "field", f"no {said}", _changed(node, keys=keys, values=values)
        if number + 1 < len(node.keys):
            values = list(node.values)
            values[number], values[number + 1] = values[number + 1], values[number]
            yield "swap", f"{said} swapped with the next", _changed(node, values=values)


def _of_sequence(node: ast.Tuple | ast.List) -> Iterator[Change]:
    for number in range(len(node.elts)):
        said = ast.unparse(node.elts[number])
        if isinstance(node, ast.List):
            left = [*node.elts[:number], *node.elts[number + 1 :]]
            yield "element", f"no {said}", _changed(node, elts=left)
        if number + 1 < len(node.elts):
            elements = list(node.elts)
            elements[number], elements[number + 1] = elements[number + 1], elements[number]
            yield "swap", f"{said} swapped with the next", _changed(node, elts=elements)


def _of_expression(node: Any, place: _Place) -> Iterator[Change]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for other in _COMPARISONS[type(node.ops[0])]:
            new = _changed(node, ops=[other()])
            yield "comparison", f"{ast.unparse(node)} -> {ast.unparse(new)}", new
    elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        yield "operator", _turned(node.op), _changed(node, op=_OPERATORS[type(node.op)]())
    elif isinstance(node, ast.BoolOp):
        other_op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield "negate", "and <-> or", _changed(node, op=other_op)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield "negate", f"{ast.unparse(node)} -> {ast.unparse(node.operand)}", node.operand
    elif isinstance(node, ast.IfExp):
        yield "negate", "not", _changed(node, test=ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.comprehension) and node.ifs:
        yield "drop", "no condition", _changed(node, ifs=node.ifs[1:])
    elif isinstance(node, ast.Starred) and isinstance(node.ctx, ast.Load):
        yield "star", f"no *: {ast.unparse(node)}", node.value
    elif isinstance(node, ast.ExceptHandler) and ast.unparse(node.type or node) == "Exception":
        yield "except", "BaseException", _changed(node, type=ast.Name("BaseException"))
