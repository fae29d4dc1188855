"""The picture: predicted and measured response times with their intervals, as SVG."""

from html import escape

from measured import FIGURES

# Pixels.
PANEL, LEFT, TOP, HEIGHT, GAP, LABELS = 420, 56, 64, 220, 40, 96
OFFSETS = {"p50": -22, "p95": 0, "p99": 22}
COLOURS = {"p50": "#0072b2", "p95": "#d55e00", "p99": "#6a3d9a"}
TICKS = 5
# Maximum number of panels beside each other.
COLUMNS = 2


def picture(studies):
    """A panel for each application and load. Each application begins a row."""
    panels = [
        [(study["name"], load) for load in study["loads"][first : first + COLUMNS]]
        for study in studies
        for first in range(0, len(study["loads"]), COLUMNS)
    ]
    width = max(len(of) for of in panels) * (PANEL + GAP) + LEFT
    row = TOP + HEIGHT + LABELS
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {row * len(panels) + 30}" role="img" font-family="sans-serif" '
        'font-size="11"><title>Predicted and measured response times of placements</title>'
        "<style>svg{background:#fff;color:#222}text{fill:currentColor}line{stroke:currentColor}"
        "@media(prefers-color-scheme:dark){svg{background:#15181c;color:#ddd}}</style>"
    ]
    for number, of in enumerate(panels):
        for column, (name, load) in enumerate(of):
            origin = LEFT + column * (PANEL + GAP), TOP + number * row
            parts.append(panel(name, load, origin))
    legend = "circle: measured; diamond: predicted; dash: critical path without queues. Lines are 95% intervals."
    colours = "  ".join(f'<tspan fill="{COLOURS[name]}">{name}</tspan>' for name in FIGURES)
    parts.append(f'<text x="{LEFT}" y="{row * len(panels) + 16}">{escape(legend)} {colours}</text></svg>')
    return "\n".join(parts) + "\n"


def panel(name, load, origin):
    left, top = origin
    rows = [row for case in load["cases"] for row in case["errors"]]
    highest = max(max(row["predicted"]["high"] or 0, row["measured"]["high"], row["without_queues"]) for row in rows) * 1.05
    y = lambda value: top + HEIGHT * (1 - min(value, highest) / highest)
    title = f"{name}, busiest station {100 * load['busy']:.0f}%: response, ms"
    parts = [f'<text x="{left}" y="{top - 16}" font-size="13" font-weight="bold">{escape(title)}</text>']
    for tick in range(TICKS + 1):
        value = highest * tick / TICKS
        parts.append(f'<line x1="{left}" x2="{left + PANEL}" y1="{y(value):.1f}" y2="{y(value):.1f}" opacity=".2"/>')
        parts.append(f'<text x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.0f}</text>')
    step = PANEL / len(load["cases"])
    for number, case in enumerate(load["cases"]):
        centre = left + step * (number + 0.5)
        parts += [mark(centre + OFFSETS[row["figure"]], row, y) for row in case["errors"]]
        label = escape(case["name"] if len(case["name"]) <= 44 else case["name"][:43] + "…")
        place = f'x="{centre:.1f}" y="{top + HEIGHT + 14}"'
        parts.append(f'<text {place} text-anchor="end" transform="rotate(-18 {centre:.1f} {top + HEIGHT + 14})">{label}</text>')
    return "\n".join(parts)


def mark(x, row, y):
    """One figure: measured on the left, predicted on the right, and without queues."""
    colour = COLOURS[row["figure"]]
    measured, predicted, free = row["measured"], row["predicted"], y(row["without_queues"])
    line = lambda at, of: (
        f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{y(of["low"]):.1f}" y2="{y(of["high"] or of["value"]):.1f}" style="stroke:{colour}"/>'
    )
    middle = y(predicted["value"])
    diamond = f"{x + 4:.1f},{middle - 5:.1f} {x + 9:.1f},{middle:.1f} {x + 4:.1f},{middle + 5:.1f} {x - 1:.1f},{middle:.1f}"
    text = f"{row['figure']}: measured {measured['value']:.1f} ms, predicted {predicted['value']:.1f} ms"
    return (
        f"<g><title>{escape(text)}</title>{line(x - 4, measured)}{line(x + 4, predicted)}"
        f'<circle cx="{x - 4:.1f}" cy="{y(measured["value"]):.1f}" r="4" fill="{colour}"/>'
        f'<polygon points="{diamond}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        f'<line x1="{x - 9:.1f}" x2="{x + 9:.1f}" y1="{free:.1f}" y2="{free:.1f}" style="stroke:{colour}" stroke-dasharray="3 2"/></g>'
    )
