"""`windlass migrate`: bring the store's tables up to date."""

import click

from windlass.cli.opening import opened_store


@click.command()
def migrate() -> None:
    """Bring the store's tables and views up to date.

    Every command does so when it opens the store; this one does nothing else, for a deployment that
    wants it done before the first worker starts.
    """
    with opened_store() as store:
        for name in store.applied:
            click.echo(f"applied {name}")
        click.echo("up to date")
