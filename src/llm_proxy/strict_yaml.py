"""YAML as people write it by hand, without the parts that surprise them."""

from typing import Any

import yaml
from yaml.composer import ComposerError

MAX_BYTES = 1_048_576

_MAX_DEPTH = 20
_STR, _NULL, _BOOL, _INT, _FLOAT = (
    f"tag:yaml.org,2002:{name}" for name in ("str", "null", "bool", "int", "float")
)


def parse_yaml(data: bytes) -> Any:  # noqa: ANN401 - whatever the document holds
    """Read one YAML document, strictly.

    Only ``true`` and ``false`` are booleans, as in YAML 1.2, so ``off`` and ``no`` are
    text; so are dates and all keys. A key may stand once. Anchors, aliases and tags
    are refused: with them a small file can grow into a huge value.

    Args:
        data: UTF-8 text of at most `MAX_BYTES` bytes.

    Returns:
        The value; None for an empty document.

    Raises:
        ValueError: The reason and its line. It repeats nothing of the document, which
            may hold a secret.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES} bytes")
    try:
        return yaml.load(data.decode("utf-8-sig"), Loader=_Loader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        reason = line + ", ".join(filter(None, (error.context, error.problem)))
    except UnicodeDecodeError:
        reason = "not UTF-8 text"
    except (yaml.YAMLError, ValueError):
        reason = "not valid YAML: it has an unprintable character or a huge number"
    raise ValueError(reason)


class WrittenFloat(float):
    """A number that knows how it is written: its text is exact where it is not."""

    text: str

    def __str__(self) -> str:
        return self.text


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML declares it as a plain dict
        first: [
            (tag, pattern)
            for tag, pattern in resolvers
            if tag in {_NULL, _INT, _FLOAT} or (tag == _BOOL and first in "tTfF")
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    _depth = 0

    def construct_written_float(self, node: yaml.ScalarNode) -> WrittenFloat:
        number = WrittenFloat(self.construct_yaml_float(node))
        number.text = node.value
        return number

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if event.anchor or getattr(event, "tag", None):
            raise _refusal(
                "anchors, aliases and tags are not supported", event.start_mark
            )
        if self._depth == _MAX_DEPTH:
            raise _refusal(f"nested deeper than {_MAX_DEPTH} levels", event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:  # noqa: ANN401
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _refusal("a key must be text", key.start_mark)
            if key.value in seen:
                raise _refusal("this key stands twice in its section", key.start_mark)
            seen.add(key.value)
            key.tag = _STR
        return node


_Loader.add_constructor(_FLOAT, _Loader.construct_written_float)


def _refusal(problem: str, mark: Any) -> ComposerError:  # noqa: ANN401
    return ComposerError(None, None, problem, mark)
