"""The shells: how their words arrive, how candidates go back, and the scripts that join both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tm_cli.completion import Candidate
from tm_cli.completion.candidates import Completions
from tm_cli.values.text import sanitize


class Shell(StrEnum):
    """The shells with a script."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"


LONGEST_NOTE = 80
_PLAIN = re.compile(r"[\w@%+=:,./-]+")
_MARK = "+"
"""Stands before the last word from PowerShell, which drops empty words."""

_WORD = re.compile(
    r"""(?:'[^']*(?:'|\Z)|"(?:\\.|[^"\\])*(?:"|\\?\Z)|\\.|\\\Z|[^\s'"\\])+""", re.DOTALL
)
_PART = re.compile(r"""'([^']*)'?|"((?:\\.|[^"\\])*)(?:"|\\?\Z)|\\(.?)|([^'"\\]+)""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Typed:
    """The words up to the cursor without their quotes, and the last of them as it was typed."""

    words: tuple[str, ...]
    raw: str = ""

    @property
    def before(self) -> tuple[str, ...]:
        """The words that are complete."""
        return self.words[:-1]

    @property
    def current(self) -> str:
        """The word at the cursor; empty after a blank."""
        return self.words[-1] if self.words else ""


def read_words(words: Sequence[str]) -> Typed:
    """Take words that a shell has separated; they may still have their quotes."""
    return Typed(tuple(unquote(word) for word in words), words[-1] if words else "")


def read_line(line: str) -> Typed:
    """Take a line up to the cursor, and leave out the program's own name."""
    found = list(_WORD.finditer(line))
    ends_in_blank = not found or found[-1].end() < len(line)
    raw = [match[0] for match in found] + [""] * ends_in_blank
    return read_words(raw[1:] or [""])


def unquote(word: str) -> str:
    """Return a word without quotes and escapes; a quote may still be open."""
    return "".join(
        single + re.sub(r"\\(.)", r"\1", double, flags=re.DOTALL) + escaped + plain
        for single, double, escaped, plain in _PART.findall(word)
    )


def read_typed(shell: Shell, words: Sequence[str]) -> Typed:
    """Read what a script hands over: bash a line (and what breaks its words), the others words."""
    if shell is Shell.BASH:
        return read_line(words[0])
    if shell is Shell.POWERSHELL:
        return read_words([*words[:-1], words[-1].removeprefix(_MARK)])
    return read_words(words)


def write_completions(shell: Shell, found: Completions, typed: Typed, words: Sequence[str]) -> str:
    """Return what the script reads: whether files fit, then a line per candidate."""
    lines = [":files" if found.files else ":none"]
    lines += [_line(shell, item, typed, words) for item in found.candidates if _is_clean(item)]
    return "\n".join(lines)


def _is_clean(item: Candidate) -> bool:
    """A file's name may hold anything, even line breaks and escape sequences."""
    return item.value == sanitize(item.value, longest=len(item.value) + 1)


def _line(shell: Shell, item: Candidate, typed: Typed, words: Sequence[str]) -> str:
    if shell is Shell.BASH:
        breaks = words[1] if len(words) > 1 else "=:"
        return _for_bash(item.value, typed.raw, breaks)
    value = _for_powershell(item.value) if shell is Shell.POWERSHELL else item.value
    return f"{value}\t{sanitize(item.note, longest=LONGEST_NOTE)}"


def _for_bash(value: str, raw: str, breaks: str) -> str:
    """Escape a candidate for the quote that is open, and cut off what bash does not replace."""
    if raw[:1] == '"':
        return re.sub(r'([\\"$`])', r"\\\1", value)
    if raw[:1] == "'":
        return value.replace("'", "'\\''")
    kept = max((raw.rfind(character) for character in "=:" if character in breaks), default=-1) + 1
    rest = value[kept:] if value.startswith(raw[:kept]) else value
    return re.sub(r"([^\w@%+=:,./-])", r"\\\1", rest)


def _for_powershell(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else "'" + value.replace("'", "''") + "'"


SCRIPTS = {
    Shell.BASH: r"""# In ~/.bashrc: eval "$(tm completion bash)"
_tm_complete() {
    local line lines=()
    while IFS= read -r line; do
        lines+=("$line")
    done < <("$1" completion bash -- "${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null)
    COMPREPLY=("${lines[@]:1}")
    if [[ ${#COMPREPLY[@]} -eq 0 ]]; then
        [[ ${lines[0]-} == ":files" ]] && compopt -o default 2>/dev/null
    elif [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/] ]]; then
        compopt -o nospace 2>/dev/null
    fi
    return 0
}
complete -F _tm_complete tm
""",
    Shell.ZSH: r"""#compdef tm
# In ~/.zshrc: eval "$(tm completion zsh)"
_tm() {
    local line value note
    local -a lines plain plain_shown open open_shown
    lines=("${(@f)$("${words[1]}" completion zsh -- \
        "${(@)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)}")
    for line in "${(@)lines[2,-1]}"; do
        value=${line%%$'\t'*}
        note=${line#*$'\t'}
        [[ -n $note ]] && note="$value  -- $note" || note=$value
        if [[ $value == *[=/] ]]; then
            open+=("$value"); open_shown+=("$note")
        else
            plain+=("$value"); plain_shown+=("$note")
        fi
    done
    (( $#plain )) && compadd -l -d plain_shown -a plain
    (( $#open )) && compadd -S '' -l -d open_shown -a open
    if (( $#plain + $#open == 0 )) && [[ $lines[1] == :files ]]; then
        _files
    fi
}
if [[ $funcstack[1] == _tm ]]; then
    _tm "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
    compdef _tm tm
fi
""",
    Shell.FISH: r"""# tm completion fish > ~/.config/fish/completions/tm.fish
function __tm_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -l lines ($before[1] completion fish -- $before[2..-1] "$current" 2>/dev/null)
    if test (count $lines) -gt 1
        printf '%s\n' $lines[2..-1]
    else if test "$lines[1]" = ":files"
        __fish_complete_path "$current"
    end
end
complete -c tm -f -a '(__tm_complete)'
""",
    Shell.POWERSHELL: r"""# In $PROFILE: tm completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName tm -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | Select-Object -Skip 1 |
        Where-Object { $_.Extent.EndOffset -lt $cursorPosition } |
        ForEach-Object { $_.Extent.Text })
    $words += "+$wordToComplete"
    tm completion powershell '--' @words 2>$null | Select-Object -Skip 1 | ForEach-Object {
        $value, $note = $_ -split "`t", 2
        if (-not $note) { $note = $value }
        $kind = [System.Management.Automation.CompletionResultType]::ParameterValue
        [System.Management.Automation.CompletionResult]::new($value, $value, $kind, $note)
    }
}
""",
}
"""What each shell evaluates once; candidates are data to them and are never evaluated."""
