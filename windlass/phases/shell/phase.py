"""`shell`: a Bash script in the session's child.

The script is a template, but its values reach the shell as variables (see
`windlass.phases.shell.text`): write `grep {{ input.word }} notes.txt`, without quotes of your own,
and no input can run a command. Comments of templates are `{## … ##}` here, because `${#name}` is
shell. `env` is rendered too.
"""

from windlass.model import ShellPhase
from windlass.phases.contract import Outcome, PhaseContext
from windlass.phases.guest_call import done, shell_names
from windlass.phases.shell.text import render_shell
from windlass.tools import as_text


def run_shell(context: PhaseContext) -> Outcome:
    """Run the script; what it prints is the output, read as `output_format` says."""
    phase = context.phase
    assert isinstance(phase, ShellPhase)
    script, values = render_shell(context.templates, phase.shell, context.names)
    env = {name: as_text(context.render(value)) for name, value in phase.env.items()}
    return done(
        context.guest.shell(
            phase=phase.name,
            script=script,
            env={**shell_names(context), **env, **values},
            input_table=phase.stdin_table or "",
            output_format=phase.output_format,
            timeout_s=context.left_s,
        )
    )
