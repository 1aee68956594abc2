"""`windlass completion` and `windlass version`."""

import click

from windlass import __version__

_INSTALL = {
    "bash": 'eval "$(windlass completion bash)"   in ~/.bashrc',
    "zsh": 'eval "$(windlass completion zsh)"   in ~/.zshrc',
    "fish": "windlass completion fish > ~/.config/fish/completions/windlass.fish",
}


@click.command(
    short_help="Print a shell's completion script.",
    epilog="\b\n" + "\n".join(f"{shell}: {line}" for shell, line in _INSTALL.items()),
)
@click.argument("shell", type=click.Choice(list(_INSTALL)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes windlass commands in SHELL."""
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None  # click knows all three
    click.echo(made(context.find_root().command, {}, "windlass", "_WINDLASS_COMPLETE").source())


@click.command(short_help="Print the versions of the engine's parts.")
def version() -> None:
    """Print the versions of Windlass and of the engines it runs on."""
    import platform
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    click.echo(f"windlass {__version__}")
    click.echo(f"python {platform.python_version()}")
    for name in ("chdb", "clickhouse-connect", "duckdb", "pandas", "pyarrow"):
        try:
            click.echo(f"{name} {installed(name)}")
        except PackageNotFoundError:
            click.echo(f"{name} (not installed)")
