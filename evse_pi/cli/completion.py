"""`evse-pi completion`."""

from __future__ import annotations

import click

from evse_pi.api.texts.catalogue import tr
from evse_pi.cli.options import json_option
from evse_pi.cli.text_layout import show

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_EVSE_PI_COMPLETE"
"""Where the shell's script says what it wants to know. Source: click's documentation, Shell Completion."""


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@json_option()
@click.pass_context
def command(context: click.Context, *, shell: str, as_json: bool) -> None:
    """Print what makes SHELL complete commands, options and values.

    On an installed box it is in place. Elsewhere, for bash: eval "$(evse-pi completion bash)"
    """
    script = script_for(context.find_root().command, shell)
    show({"shell": shell, "script": script}, [script], as_json=as_json)


def script_for(group: click.Command, shell: str) -> str:
    """Return the script of `shell`, from click's own mechanism."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise LookupError(tr("click knows no completion for {shell}").format(shell=shell))
    return found(group, {}, "evse-pi", VARIABLE).source().rstrip()
