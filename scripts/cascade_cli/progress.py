# SPDX-License-Identifier: BSD-2-Clause
"""What is going on, on stderr: one refreshing line on a terminal, a line for each change elsewhere."""
import sys
import time

REFRESH_S = 0.2
WIDTH = 100


class Progress:
    def __init__(self, quiet=False):
        self._start = time.monotonic()
        self._quiet = quiet
        self._tty = sys.stderr.isatty()
        self._text = ""
        self._level = None
        self._drawn = 0.0

    def elapsed(self):
        return time.monotonic() - self._start

    def _line(self):
        level = f"L{self._level} " if self._level else ""
        return f"[{self.elapsed():6.1f} s] {level}{self._text}"

    def phase(self, text, level=None, transient=False):
        """A new phase; a transient one is worth no line of its own."""
        if (text, level) == (self._text, self._level):
            return
        self._text, self._level = text, level
        if self._quiet:
            return
        if self._tty:
            self._draw()
        elif not transient:
            print(self._line(), file=sys.stderr, flush=True)

    def _draw(self):
        self._drawn = time.monotonic()
        sys.stderr.write("\r" + self._line()[:WIDTH] + "\x1b[K")
        sys.stderr.flush()

    def tick(self):
        if self._tty and not self._quiet and self._text and time.monotonic() - self._drawn > REFRESH_S:
            self._draw()

    def clear(self):
        """Leaves the line free for other output; the next tick draws it again."""
        if self._tty and not self._quiet:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._drawn = 0.0
