#!/usr/bin/env python3
"""Draws docs/demo.svg from a real run of the demo: what a terminal showed, some frames of it.

    docs/capture.py target/release/shardfleet docs/demo.svg

Runs the demo on a terminal of its own (100 columns), follows what it draws, keeps a frame whenever
something happened, and writes them as one picture that plays. Standard library only.
"""

import codecs
import fcntl
import html
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios

ROWS, COLUMNS = 60, 100
CELL, LINE = 8.4, 18
HOLD = 2.2  # seconds that a frame is shown; the last one stays longer
COLOURS = {0: "#161b22", 1: "#f85149", 2: "#3fb950", 3: "#d29922", 4: "#58a6ff", 5: "#bc8cff", 6: "#39c5cf",
           7: "#e6edf3", 8: "#7d8590", 9: "#f85149", 10: "#3fb950", 11: "#d29922", 12: "#58a6ff",
           13: "#bc8cff", 14: "#39c5cf", 15: "#ffffff"}


class Terminal:
    """As much of a terminal as the demo uses."""

    def __init__(self):
        self.rows = [[]]
        self.row = self.column = 0
        self.style = (None, None, False, False)  # foreground, background, bold, italic
        self.rest = ""

    def feed(self, text):
        text = self.rest + text
        self.rest = ""
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                found = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])").match(text, at)
                if not found:
                    self.rest = text[at:]
                    return
                self.control(found[1], found[2])
                at = found.end()
                continue
            if text[at] == "\n":
                self.row += 1
            elif text[at] == "\r":
                self.column = 0
            else:
                self.put(text[at])
            at += 1

    def put(self, char):
        while len(self.rows) <= self.row:
            self.rows.append([])
        line = self.rows[self.row]
        while len(line) <= self.column:
            line.append((" ", (None, None, False, False)))
        line[self.column] = (char, self.style)
        self.column += 1

    def control(self, what, letter):
        number = int(what) if what.isdigit() else 1
        if letter == "F":
            self.row, self.column = max(0, self.row - number), 0
        elif letter == "K" and self.row < len(self.rows):
            self.rows[self.row] = []
        elif letter == "J":
            del self.rows[self.row:]
        elif letter == "m":
            self.paint([int(n) for n in what.split(";") if n])

    def paint(self, codes):
        front, back, bold, italic = self.style
        while codes:
            code = codes.pop(0)
            if code == 0 or code is None:
                front, back, bold, italic = None, None, False, False
            elif code in (1, 3):
                bold, italic = bold or code == 1, italic or code == 3
            elif code in (38, 48) and codes[:1] == [5]:
                colour = COLOURS.get(codes[1], "#e6edf3")
                front, back = (colour, back) if code == 38 else (front, colour)
                codes = codes[2:]
            elif code == 39:
                front = None
            elif code == 49:
                back = None
            elif code == 22:
                bold = False
            elif code == 23:
                italic = False
        self.style = (front, back, bold, italic)

    def screen(self):
        return [list(line) for line in self.rows]


def run(binary):
    """Frames of a run, each when a new line told of something; the verdict last."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = dict(os.environ, TERM="xterm-256color")
    environment.pop("NO_COLOR", None)
    child = subprocess.Popen([binary, "demo"], stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    terminal, frames, told = Terminal(), [], 0
    decoder = codecs.getincrementaldecoder("utf-8")()
    while True:
        ready, _, _ = select.select([ours], [], [], 120)
        try:
            piece = os.read(ours, 65536) if ready else b""
        except OSError:
            piece = b""
        if not piece:
            break
        terminal.feed(decoder.decode(piece))
        # A redraw ends with an erase; half a screen is no frame.
        if not piece.endswith(b"\x1b[J"):
            continue
        happened = re.findall(r"^  \d+:\d\d .+$", text(terminal.screen()), re.M)
        count = int(happened[-1].split()[0].replace(":", "")) if happened else 0
        if count != told:
            told = count
            frames.append(terminal.screen())
        elif frames:
            frames[-1] = terminal.screen()  # shortly before the next thing happens
    code = child.wait()
    frames.append(terminal.screen())
    return frames, code


def text(screen):
    return "\n".join("".join(char for char, _ in line) for line in screen)


def draw(frames):
    tall = max(len(screen) for screen in frames)
    width, height = COLUMNS * CELL + 24, (tall + 1) * LINE + 12
    seconds = HOLD * (len(frames) + 2)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
           f'font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,monospace" font-size="14">',
           "<title>shardfleet demo: a real run</title>", "<style>text{white-space:pre;fill:#e6edf3}"]
    # Where nothing moves, the verdict is shown.
    for number in range(len(frames)):
        start = 100 * HOLD * number / seconds
        end = 100 if number == len(frames) - 1 else 100 * HOLD * (number + 1) / seconds
        stay = "" if end == 100 else f"{end:.2f}%,100%{{visibility:hidden}}"
        out.append(f"@keyframes k{number}{{0%{{visibility:{'visible' if start == 0 else 'hidden'}}}"
                   f"{start:.2f}%{{visibility:visible}}{stay}}}"
                   f"#f{number}{{visibility:{'visible' if number == len(frames) - 1 else 'hidden'};"
                   f"animation:k{number} {seconds:.1f}s step-end infinite}}")
    out.append("@media(prefers-reduced-motion){g{animation:none!important}}</style>")
    out.append('<rect width="100%" height="100%" rx="8" fill="#0d1117"/>')
    for number, screen in enumerate(frames):
        out.append(f'<g id="f{number}">')
        for row, line in enumerate(screen):
            out.extend(spans(line, (row + 1) * LINE))
        out.append("</g>")
    out.append("</svg>")
    return "\n".join(out) + "\n"


def spans(line, y):
    """Runs of one style: a background is a rectangle, the rest is text at its own column."""
    at = 0
    while at < len(line):
        end = at
        while end < len(line) and line[end][1] == line[at][1]:
            end += 1
        front, back, bold, italic = line[at][1]
        words = "".join(char for char, _ in line[at:end])
        x = 12 + at * CELL
        if back:
            yield (f'<rect x="{x:.1f}" y="{y - LINE + 5}" width="{(end - at) * CELL:.1f}" '
                   f'height="{LINE - 2}" fill="{back}"/>')
        # Each word at its own column, whatever the font of the reader is.
        for found in re.finditer(r"\S+(?: \S+)*", words):
            look = f' style="fill:{front}"' if front else ""
            look += ' font-weight="bold"' if bold else ""
            look += ' font-style="italic"' if italic else ""
            yield (f'<text x="{x + found.start() * CELL:.1f}" y="{y}" '
                   f'textLength="{len(found[0]) * CELL:.1f}"{look}>{html.escape(found[0])}</text>')
        at = end


def main():
    binary, to = sys.argv[1:]
    frames, code = run(binary)
    if code != 0:
        sys.exit(f"the demo ended with {code}:\n{text(frames[-1])}")
    with open(to, "w", encoding="utf-8") as file:
        file.write(draw(frames))
    print(text(frames[-1]))


if __name__ == "__main__":
    main()
