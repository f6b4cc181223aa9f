"""``hubplug completion``: what a shell runs so that it completes commands, options, handles and names."""

from __future__ import annotations

import os
from typing import ClassVar

import click
from click.shell_completion import BashComplete, add_completion_class, get_completion_class, split_arg_string

from hubplug.cli.commands import example

# click's own splits words as bash does, at the colon of a URL too.
_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' typed=${COMP_LINE:0:$COMP_POINT} kept="" answer
    if [[ $COMP_WORDBREAKS == *:* && ${typed##* } == *:* ]]; then
        kept=${typed##* }
        kept=${kept%%"${kept##*:}"}
    fi
    COMPREPLY=()
    while read -r answer; do
        [[ $answer == plain,* ]] || continue
        answer=${answer#plain,}
        COMPREPLY+=("${answer#"$kept"}")
    done < <(COMP_WORDS=$typed %(complete_var)s=bash_complete $1)
}
complete -o default -o nosort -F %(complete_func)s %(prog_name)s
"""


class _Bash(BashComplete):
    source_template: ClassVar[str] = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        typed = os.environ["COMP_WORDS"]
        words = split_arg_string(typed)[1:]
        return (words, "") if typed[-1:].isspace() or not words else (words[:-1], words[-1])


add_completion_class(_Bash, "bash")


@click.command(
    epilog=example(
        "echo 'eval \"$(hubplug completion bash)\"' >> ~/.bashrc",
        "echo 'eval \"$(hubplug completion zsh)\"' >> ~/.zshrc",
        "hubplug completion fish > ~/.config/fish/completions/hubplug.fish",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands, options, handles and names.

    Completed are the handles of modules that are in a cache or in hubplug.lock, and the names of profiles, chains, caches and targets of `convert`.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "hubplug", "_HUBPLUG_COMPLETE").source())
