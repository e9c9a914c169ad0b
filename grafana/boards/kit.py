"""What every dashboard has: variables, links, annotations, and panels that are one line of a table each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model

SOURCE: Final = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
WORKER: Final = 'job=~"$job", instance=~"$instance"'
"""The matchers of every series of one program."""
JOB: Final = 'job=~"$job"'
"""The matchers of every series that is a rule's sum over instances."""
COLUMNS: Final = 24
TITLES: Final = {
    "cx-pulse": "CX pulse",
    "cx-pipeline": "Pipeline golden signals",
    "cx-internals": "Faust and Kafka internals",
    "cx-trust": "SLO, error budget and alert precision",
}


class Kind(Enum):
    """How a panel is drawn."""

    STAT = "stat"
    LINES = "timeseries"
    STACK = "stacked timeseries"
    BARS = "bargauge"


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel: what it shows, in which unit, and the queries with the legend of each."""

    kind: Kind
    title: str
    description: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    width: int
    height: int = 7
    least: float | None = None
    most: float | None = None
    decimals: int | None = None
    steps: tuple[tuple[float, str], ...] = ()
    """Values from which on a colour holds; below the first it is the base's. Lines show each as a dashed line."""
    base: str = "text"
    colors: tuple[tuple[str, str], ...] = ()
    """Colours of series that mean something, by legend; the others take the palette's."""


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard: one question and the panels that answer it."""

    uid: str
    question: str
    panels: tuple[Panel, ...]
    span: str = "now-6h"
    tags: tuple[str, ...] = field(default=("cx-signals",))

    def build(self) -> model.Dashboard:
        """Return the dashboard as Grafana reads it."""
        made = (
            build.Dashboard(TITLES[self.uid])
            .uid(self.uid)
            .description(self.question)
            .tags(list(self.tags))
            .readonly()
            .time(self.span, "now")
            .refresh("30s")
            .timezone("browser")
            .tooltip(model.DashboardCursorSync.CROSSHAIR)
        )
        for variable in _variables():
            made.with_variable(variable)
        for annotation in _annotations():
            made.annotation(annotation)
        for uid, title in TITLES.items():
            if uid != self.uid:
                made.link(_link(uid, title))
        for number, panel in enumerate(self.panels, start=1):
            made.with_panel(_panel(panel, number))
        return made.build()


def stats(width: int, *rows: tuple[Any, ...], **options: Any) -> tuple[Panel, ...]:
    """Return small panels of one figure each: rows of (title, description, unit, query)."""
    return tuple(
        Panel(Kind.STAT, title, description, unit, ((query, title),), width, 4, **options)
        for title, description, unit, query in rows
    )


def lines(width: int, title: str, description: str, unit: str, *queries: Any, **options: Any) -> Panel:
    """Return a panel of lines; each query is (PromQL, legend)."""
    return Panel(Kind.LINES, title, description, unit, queries, width, **options)


def stack(width: int, title: str, description: str, unit: str, *queries: Any, **options: Any) -> Panel:
    """Return a panel of areas on each other; each query is (PromQL, legend)."""
    return Panel(Kind.STACK, title, description, unit, queries, width, least=0.0, **options)


def bars(width: int, title: str, description: str, unit: str, *queries: Any, **options: Any) -> Panel:
    """Return a panel of horizontal bars, one a series; each query is (PromQL, legend)."""
    return Panel(Kind.BARS, title, description, unit, queries, width, **options)


def rate(metric: str, by: str = "", matchers: str = "") -> str:
    """Return PromQL: what a counter of all workers grows by a second, of each `by`."""
    return _grown("rate", metric, by, matchers, "$__rate_interval")


def increase(metric: str, by: str = "", matchers: str = "", span: str = "$__rate_interval") -> str:
    """Return PromQL: what it grows by in `span`, of each `by`."""
    return _grown("increase", metric, by, matchers, span)


def _grown(function: str, metric: str, by: str, matchers: str, span: str) -> str:
    inside = f"{matchers}, {WORKER}" if matchers else WORKER
    grouped = f" by ({by}) " if by else ""
    return f"sum{grouped}({function}({metric}{{{inside}}}[{span}]))"


def share(part: str, whole: str) -> str:
    """Return part / whole as PromQL, without a value where the whole is 0, 0 where the part is absent."""
    return f"({part} or 0 * {whole}) / ({whole} > 0)"


def _panel(panel: Panel, number: int) -> Any:
    builder: Any = _BUILDERS[panel.kind]()
    builder = builder.id(number).title(panel.title).description(panel.description).datasource(SOURCE)
    builder = builder.unit(panel.unit).span(panel.width).height(panel.height)
    if panel.least is not None:
        builder = builder.min(panel.least)
    if panel.most is not None:
        builder = builder.max(panel.most)
    if panel.decimals is not None:
        builder = builder.decimals(panel.decimals)
    if panel.kind is not Kind.LINES or panel.steps:
        builder = builder.thresholds(_thresholds(panel))
    if panel.kind is Kind.LINES and panel.steps:
        dashed = common.GraphThresholdsStyleConfig().mode(common_model.GraphThresholdsStyleMode.DASHED)
        builder = builder.thresholds_style(dashed)
    for name, color in panel.colors:
        fixed = model.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": color})
        builder = builder.override_by_name(name, [fixed])
    for letter, (query, legend) in zip("ABCDEFGH", panel.queries, strict=False):
        builder = builder.with_target(_target(query, legend, letter, instant=panel.kind is Kind.BARS))
    return builder


def _target(query: str, legend: str, letter: str, *, instant: bool) -> Any:
    target = prometheus.Dataquery().expr(query).legend_format(legend).ref_id(letter).datasource(SOURCE)
    return target.instant() if instant else target.range()


def _thresholds(panel: Panel) -> Any:
    steps = [model.Threshold(value=None, color=panel.base)]
    steps += [model.Threshold(value=value, color=color) for value, color in panel.steps]
    return build.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


def _stat() -> Any:
    reduced = common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)  # noqa: FBT003  # the SDK's
    by_value = build.FieldColor().mode(model.FieldColorModeId.THRESHOLDS)
    return (
        stat.Panel()
        .reduce_options(reduced)
        .color_scheme(by_value)
        .graph_mode(common_model.BigValueGraphMode.AREA)
        .no_value("no data")
    )


def _bar() -> Any:
    reduced = common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)  # noqa: FBT003  # the SDK's
    return (
        bargauge.Panel()
        .reduce_options(reduced)
        .orientation(common_model.VizOrientation.HORIZONTAL)
        .display_mode(common_model.BarGaugeDisplayMode.BASIC)
        .no_value("no data")
    )


def _line() -> Any:
    legend = (
        common.VizLegendOptions()
        .display_mode(common_model.LegendDisplayMode.LIST)
        .placement(common_model.LegendPlacement.BOTTOM)
        .show_legend(True)  # noqa: FBT003  # the SDK's
    )
    return timeseries.Panel().legend(legend).line_width(2).fill_opacity(8).no_value("no data")


def _stacked() -> Any:
    normal = common.StackingConfig().mode(common_model.StackingMode.NORMAL)
    return _line().fill_opacity(60).line_width(0).stacking(normal)


_BUILDERS: Final = {Kind.STAT: _stat, Kind.BARS: _bar, Kind.LINES: _line, Kind.STACK: _stacked}


def _variables() -> Sequence[Any]:
    source = build.DatasourceVariable("datasource").label("data source").type("prometheus")
    job = _variable("job", 'label_values(up{job=~"cx-.*"}, job)')
    instance = _variable("instance", 'label_values(up{job=~"$job"}, instance)')
    return source, job, instance


def _variable(name: str, query: str) -> Any:
    every = model.VariableOption(text="All", value="$__all")
    return (
        build.QueryVariable(name)
        .label(name)
        .query(query)
        .datasource(SOURCE)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)  # noqa: FBT003  # the SDK's
        .include_all(True)  # noqa: FBT003  # as above
        .all_value(".+")
        .current(every)
    )


def _annotations() -> Sequence[Any]:
    rebalances = f"sum(increase(cx_rebalances_total{{{WORKER}}}[2m])) > 0"
    policies = (
        f"count by (policy_version) (cx_build_info{{{WORKER}}}) "
        f"unless count by (policy_version) (cx_build_info{{{WORKER}}} offset 2m)"
    )
    incidents = f"sum by (channel, step) (increase(cx_incidents_total{{{WORKER}}}[2m])) > 0"
    return (
        _annotation("Rebalances", rebalances, "orange"),
        _annotation("Policy changes", policies, "purple"),
        _annotation("Incidents of silent channels", incidents, "red"),
    )


def _annotation(name: str, query: str, color: str) -> Any:
    return build.AnnotationQuery().name(name).datasource(SOURCE).expr(query).icon_color(color).enable(True)  # noqa: FBT003  # the SDK's


def _link(uid: str, title: str) -> Any:
    return (
        build.DashboardLink(title)
        .type(model.DashboardLinkType.LINK)
        .url(f"/d/{uid}")
        .include_vars(True)  # noqa: FBT003  # the SDK's
        .keep_time(True)  # noqa: FBT003  # as above
    )
