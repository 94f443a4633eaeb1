"""Turns what a terminal of 100 columns shows (text with colours, from `tmux capture-pane -p -e`,
on standard input) into an SVG on standard output that reads well on light and dark pages."""

import re
import sys
from html import escape

COLUMNS, CELL, LINE, MARGIN, HEAD = 100, 7.8, 17, 16, 34
COLOURS = {31: "red", 32: "green", 33: "yellow", 34: "blue", 35: "magenta", 36: "cyan"}
STYLE = """
  .page { fill: #f6f8fa; stroke: #d0d7de } .head { fill: #d0d7de }
  text { font: 13px ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #1f2328 }
  .bold { font-weight: 600 } .dim { fill: #59636e } .typed { font-weight: 600 }
  .green { fill: #1a7f37 } .red { fill: #d1242f } .yellow { fill: #7d4e00 } .blue { fill: #0969da }
  .cyan { fill: #1b7c83 } .magenta { fill: #8250df }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; stroke: #30363d } .head { fill: #30363d } text { fill: #e6edf3 } .dim { fill: #9198a1 }
    .green { fill: #3fb950 } .red { fill: #f85149 } .yellow { fill: #d29922 } .blue { fill: #58a6ff }
    .cyan { fill: #39c5cf } .magenta { fill: #bc8cff }
  }
"""


def runs(line, style):
    """The pieces of a line as (column, text, classes); `style` goes on from line to line."""
    column = 0
    for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
        if piece.startswith("\x1b"):
            for code in (int(number or 0) for number in piece[2:-1].split(";")):
                if code == 0:
                    style.clear()
                elif code in (1, 2):
                    style.add("bold" if code == 1 else "dim")
                elif code == 22:
                    style -= {"bold", "dim"}
                elif code in COLOURS or code == 39:
                    style -= set(COLOURS.values())
                    style |= {COLOURS[code]} if code in COLOURS else set()
        elif piece:
            text = piece.rstrip("\n")
            if text.strip():
                yield column, text, " ".join(sorted(style))
            column += len(text)


def main():
    lines = sys.stdin.read().rstrip("\n").split("\n")
    # The prompt that waits at the end shows nothing.
    while lines and re.sub(r"\x1b\[[0-9;]*m", "", lines[-1]).strip() in ("", "$"):
        lines.pop()
    width, height = COLUMNS * CELL + 2 * MARGIN, len(lines) * LINE + HEAD + MARGIN
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" height="{height}" role="img">')
    print("<title>berth up lab --rehearse, in a terminal</title>")
    print(f"<style>{STYLE}</style>")
    print(f'<rect class="page" x="0.5" y="0.5" width="{width - 1:.0f}" height="{height - 1}" rx="8"/>')
    for place in range(3):
        print(f'<circle class="head" cx="{MARGIN + 6 + 18 * place}" cy="18" r="5"/>')
    style = set()
    for number, line in enumerate(lines):
        y = HEAD + MARGIN // 2 + number * LINE + 5
        for column, text, classes in runs(line, style):
            start = len(text) - len(text.lstrip())
            text = text.strip()
            classes = "typed" if number == 0 else classes
            x, length = MARGIN + (column + start) * CELL, len(text) * CELL
            of = f' class="{classes}"' if classes else ""
            # With its length given, a line keeps its columns in any font.
            print(f'<text{of} x="{x:.1f}" y="{y}" textLength="{length:.1f}" lengthAdjust="spacingAndGlyphs" xml:space="preserve">{escape(text, quote=False)}</text>')
    print("</svg>")


main()
