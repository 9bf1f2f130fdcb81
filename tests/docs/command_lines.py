"""The command tree, as command lines in pages are checked against it."""

from functools import cache

from tm_cli.cli import root


@cache
def command():
    """The tree, built once: nothing here changes it."""
    return root.command()


def leaves(node=None, words=()):
    """Every command that does something, with its words; not the aliases in hidden groups."""
    node = node or command()
    for name, inner in node.commands.items():
        if hasattr(inner, "commands") and inner.hidden:
            continue
        if hasattr(inner, "commands"):
            yield from leaves(inner, (*words, name))
        else:
            yield (*words, name), inner


def parse(words):
    """Parse a command line as the program would; raises its usage error, and runs nothing."""
    node, path = command(), ["tm"]
    while hasattr(node, "commands"):
        if not words or words[0].startswith("-"):
            node.parse_args(node.context_class(node), list(words))
            return
        path.append(words[0])
        node, words = node.commands[words[0]], words[1:]
    node.make_context(" ".join(path), list(words))


def check_names(words):
    """Check that the command and the flags of a mention exist; arguments may be left out."""
    node, words = command(), list(words)
    while words and hasattr(node, "commands") and not words[0].startswith("-"):
        node = node.commands[words.pop(0)]
    known = {"-h", "--help", *(flag for option in node.params for flag in option.opts)}
    unknown = {word for word in words if word.startswith("-")} - known
    assert not unknown, f"no such options: {unknown}"
