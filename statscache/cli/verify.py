"""The command `verify`: a published tree against itself, or the state against a recount of the journal."""

from contextlib import closing
from pathlib import Path

import click

from statscache import signatures
from statscache.cli.context import EXIT_FINDINGS, Context, pass_context
from statscache.cli.options import as_json
from statscache.cli.output import show_json
from statscache.verify import Report, Weight
from statscache.verify import place as place_of
from statscache.verify import verify as verify_place
from statscache.verify.recount import Recount, recount
from statscache.wording import counted, printable

_HEADINGS = {
    Weight.BROKEN: "broken",
    Weight.WRONG: "wrong",
    Weight.LATE: "late",
    Weight.SERVED: "served wrongly",
    Weight.ORPHAN: "orphan",
    Weight.NOTE: "note",
}


@click.command("verify")
@click.argument("place", metavar="[URL|DIR]", required=False)
@click.option("--journal", "journal_", is_flag=True, help="Compare the state with a recount of the journal.")
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A trusted public key; the pointer must be signed by one of the given keys.",
)
@as_json
@pass_context
def command(context: Context, place: str | None, journal_: bool, keys: tuple[Path, ...], json_: bool) -> None:
    """Check a published tree, or the state against a recount of the journal; exit 3 if something is wrong."""
    if journal_ == (place is not None):
        raise click.UsageError("give either a published tree (URL or directory) or --journal")
    if keys and journal_:
        raise click.UsageError("--key is for published trees")
    sound = _verify_journal(context, json_) if place is None else _verify_tree(context, place, keys, json_)
    if not sound:
        raise click.exceptions.Exit(EXIT_FINDINGS)


def _verify_tree(context: Context, place: str, keys: tuple[Path, ...], json_: bool) -> bool:
    trusted = signatures.load_public_keys(keys)
    with closing(place_of(place)) as tree, context.progress() as bar:
        report = verify_place(tree, trusted, lambda what, done, total: bar(what, done, total, f"{done:,} of {total:,}"))
    if json_:
        _show_json(report)
    else:
        _show(report)
    return not report.faults


def _show(report: Report) -> None:
    for finding in report.findings:
        others = f" (and {finding.others:,} more)" if finding.others else ""
        click.echo(f"{_HEADINGS[finding.weight]}: {printable(finding.path)}{others}: {printable(finding.problem)}")
    if report.snapshot is None:
        click.echo(f"{report.place}: nothing could be verified")
        return
    click.echo(f"generation {report.generation}, snapshot {report.snapshot}")
    seen = f"{counted(report.files, 'file')} of {counted(report.bytes, 'byte')}, {counted(report.objects, 'object')}"
    faults = counted(len(report.faults), "fault") if report.faults else "no faults"
    click.echo(f"{seen}, {counted(report.snapshots, 'retained snapshot')}: {faults}")
    if report.signed_by:
        click.echo(f"signed by {', '.join(report.signed_by)}")


def _show_json(report: Report) -> None:
    show_json(
        {
            **{
                name: getattr(report, name)
                for name in ("place", "generation", "snapshot", "files", "objects", "bytes", "snapshots", "signed_by")
            },
            "faults": len(report.faults),
            "findings": [
                {
                    "weight": finding.weight.name.lower(),
                    "path": finding.path,
                    "problem": finding.problem,
                    "others": finding.others,
                }
                for finding in report.findings
            ],
        }
    )


def _verify_journal(context: Context, json_: bool) -> bool:
    found = []
    with context.installation() as installation, context.progress() as bar:

        def tell(done: int, total: int) -> None:
            bar("folding the journal", done, total, f"{done:,} of {counted(total, 'message')}")

        for result in recount(installation, tell):
            found.append(result)
            if not json_:
                click.echo(f"{result.name}: {_verdict(result)}")
                for stored, recounted in result.differences:
                    click.echo(f"  stored {stored}, recounted {recounted}")
    if json_:
        compared = [
            {"name": one.name, "messages": one.messages, "rows": one.compared, "agrees": not one.differences}
            for one in found
            if not one.skipped
        ]
        skipped = [{"name": one.name, "reason": one.skipped} for one in found if one.skipped]
        show_json({"plugins": compared, "skipped": skipped})
    return not any(result.differences for result in found)


def _verdict(result: Recount) -> str:
    if result.skipped:
        return f"not compared: {result.skipped}"
    verdict = "differs" if result.differences else "agrees"
    return f"{verdict}, {counted(result.compared, 'row')} of {counted(result.messages, 'message')}"
