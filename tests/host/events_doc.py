# SPDX-License-Identifier: BSD-2-Clause
"""docs/events.md is what scripts/gen-events makes of the schema; bad rows are refused."""
import subprocess
import sys
import tempfile

generator, events, reasons, page = sys.argv[1:]
made = subprocess.run([generator, 'docs', events, reasons], check=True, capture_output=True, text=True).stdout
with open(page, encoding='utf-8') as f:
    if f.read() != made:
        sys.exit(f'{page} is out of date: scripts/gen-events docs ... > docs/events.md (see its --help)')
with open(events, encoding='utf-8') as f:
    rows = sum(line.startswith('EVENT(') for line in f)
table = made.split('## Exit reasons')[0].splitlines()
if rows == 0 or sum(line.startswith('| `') for line in table) != rows:
    sys.exit('docs/events.md does not have one line per event')
with tempfile.NamedTemporaryFile('w', suffix='.def') as bad:
    bad.write('EVENT(VM_EXIT, 1, EXIT, reason, rip)\n')
    bad.flush()
    made = subprocess.run([generator, 'emit', bad.name, reasons], capture_output=True, check=False)
    if made.returncode == 0:
        sys.exit('the generator took a row with members missing')
