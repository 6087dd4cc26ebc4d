"""`infaug completion`: the shell fills in commands, flags and choices."""

from dataclasses import dataclass
from typing import Literal

import tyro

from infaug.cli.flags import choices_by_flag
from infaug.cli.main import COMMANDS

Words = dict[str, list[str]]


@dataclass(frozen=True, kw_only=True)
class Completion:
    """Print a script that lets the shell complete `infaug`.

    bash: infaug completion bash > ~/.local/share/bash-completion/completions/infaug
    zsh: infaug completion zsh > ~/.infaug.zsh, and `source ~/.infaug.zsh` in ~/.zshrc.
    It is made from the commands of the installed version: make it anew after upgrades.
    """

    shell: tyro.conf.Positional[Literal["bash", "zsh"]]
    """Which shell."""


def complete(args: Completion) -> int:
    """`infaug completion`."""
    if args.shell == "zsh":
        print("autoload -U +X compinit bashcompinit && compinit && bashcompinit")
    print(script())
    return 0


def script() -> str:
    """For bash, and for zsh with bashcompinit."""
    firsts = sorted({name.split()[0] for name in COMMANDS} | {"--help", "--version"})
    parts = [_case('"$COMP_CWORD"', {"1": firsts})]
    groups: Words = {}
    for name in COMMANDS:
        first, _, second = name.partition(" ")
        if second:
            groups.setdefault(f"2:{first}", []).append(second)
    parts.append(_case('"$COMP_CWORD:${COMP_WORDS[1]}"', groups))
    flags, choices = _flags_and_choices()
    parts.append(_case('"$command:$previous"', choices))
    parts.append(_case('"$command"', flags, only_if='[[ "$current" == -* ]]'))
    names = "|".join(group.removeprefix("2:") for group in groups)
    return _SCRIPT.replace("GROUPS", names).replace("CASES", "\n".join(parts))


def _flags_and_choices() -> tuple[Words, Words]:
    """By command, and by command and flag."""
    flags: Words = {}
    choices: Words = {}
    for name, command in COMMANDS.items():
        form, _ = command.load()
        shorts = {long: short for short, long in command.shorts().items()}
        for flag, values in choices_by_flag(form).items():
            names = [flag, shorts[flag]] if flag in shorts else [flag]
            flags.setdefault(name, []).extend(names)
            choices |= {f"{name}:{each}": values for each in names if values}
    return flags, choices


def _case(subject: str, words: Words, only_if: str = "true") -> str:
    lines = [f'        "{key}") words="{" ".join(w)}" ;;' for key, w in words.items()]
    body = "\n".join([f"    case {subject} in", *lines, "    esac"])
    return f'    if [[ -z "$words" ]] && {only_if}; then\n{body}\n    fi'


_SCRIPT = """\
_infaug() {
    local current="${COMP_WORDS[COMP_CWORD]}" words=""
    local previous="${COMP_WORDS[COMP_CWORD-1]}" command="${COMP_WORDS[1]}"
    case "$command" in GROUPS) command+=" ${COMP_WORDS[2]}" ;; esac
CASES
    if [[ -n "$words" ]]; then
        COMPREPLY=($(compgen -W "$words" -- "$current"))
    else
        COMPREPLY=($(compgen -f -- "$current"))
    fi
}
complete -o filenames -F _infaug infaug"""
