"""Which conversions there are: entry points of the group ``hubplug.conversions``, named ``SOURCE.TARGET``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points

from hubplug.errors import ConfigError, PluginError
from hubplug.settings.entry_points import origin_of_plugin
from hubplug.shown.words import nearest
from hubplug_convert._contract import Conversion

GROUP = "hubplug.conversions"
FORMATS: Mapping[str, str] = {
    "tf1-hub": "a module in TF1 Hub format",
    "tf1-saved-model": "a TF1 SavedModel",
    "tf2-saved-model": "a TF2 SavedModel",
}
# What a model becomes without a word, the likeliest first.
_FIRST = ("saved-model", "tf1-hub")


def targets_of(source: str) -> dict[str, EntryPoint]:
    """What a format can be converted to: name -> who does it. Nothing is imported.

    Raises:
        PluginError: Two distributions offer the same conversion.
    """
    found: dict[str, EntryPoint] = {}
    for entry_point in entry_points(group=GROUP):
        from_format, _, target = entry_point.name.partition(".")
        if from_format != source:
            continue
        if target in found and found[target].value != entry_point.value:
            raise PluginError(
                f"The conversion of {FORMATS.get(source, source)} to {target} is offered by "
                f"{origin_of_plugin(found[target])} and by {origin_of_plugin(entry_point)}",
                hint="uninstall one of them",
            )
        found[target] = entry_point
    return dict(sorted(found.items()))


def all_targets() -> list[str]:
    """What anything can be converted to, for the shell to complete."""
    return sorted({entry_point.name.partition(".")[2] for entry_point in entry_points(group=GROUP)})


def choose_target(source: str, asked: str | None, said: str | None = None) -> EntryPoint:
    """The conversion that is asked for; without a word, the usual one, or the only one that there is.

    Args:
        source: A format.
        asked: A target, or None.
        said: What a person calls the source; None: as the format.

    Raises:
        ConfigError: There is none, or a target has to be named.
    """
    targets = targets_of(source)
    usual = _FIRST if len(targets) > 1 else targets
    target = asked or next((name for name in usual if name in targets), None)
    if target in targets:
        return targets[target]
    said = said or FORMATS.get(source, source)
    if not targets:
        raise ConfigError(
            f"No conversion of {said} is installed",
            hint="a distribution adds one through the entry-point group hubplug.conversions",
        )
    if target is None:
        raise ConfigError(f"{said} can be converted to {', '.join(targets)}", hint="choose one with --to")
    raise ConfigError(f"There is no conversion of {said} to {target!r}", hint=nearest(target, targets))


def load_conversion(entry_point: EntryPoint) -> Conversion:
    """Makes a conversion.

    Raises:
        PluginError: It cannot be imported, or lacks what every conversion has.
    """
    where = f"The conversion {entry_point.name!r} ({entry_point.value})"
    try:
        kind = entry_point.load()
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "tensorflow":
            raise
        said = f"{where} cannot be imported: {type(error).__name__}: {error}"
        raise PluginError(said, hint="mend or uninstall the distribution that offers it") from error
    conversion = kind() if isinstance(kind, type) else kind
    for needed in ("convert", "open"):
        if not callable(getattr(conversion, needed, None)):
            raise PluginError(
                f"{where} has no {needed}()",
                hint="this is a mistake in the plugin; see Conversion in docs/convert.md",
            )
    made: Conversion = conversion
    return made
