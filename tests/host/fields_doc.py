# SPDX-License-Identifier: BSD-2-Clause
"""docs/vmcs-fields.md is what scripts/gen-fields makes of the table; bad rows are refused."""
import subprocess
import sys
import tempfile

generator, fields, page = sys.argv[1:]
made = subprocess.run([generator, fields], check=True, capture_output=True, text=True).stdout
with open(page, encoding='utf-8') as f:
    if f.read() != made:
        sys.exit(f'{page} is out of date: scripts/gen-fields src/vmx/fields.def > docs/vmcs-fields.md')
with open(fields, encoding='utf-8') as f:
    rows = sum(line.startswith('FIELD(') for line in f)
if rows == 0 or sum(line.startswith('| `') for line in made.splitlines()) != rows:
    sys.exit('docs/vmcs-fields.md does not have one line per field')
HEAD = '/* 16-bit control fields */\n'
GOOD = 'FIELD(vpid, 0x0000, U16, SW, NONE, VPID)\n'
for text, good in ((HEAD + GOOD, True), (GOOD, False), ('', False), (HEAD + GOOD.replace('SW', 'CPU'), False),
                   (HEAD + GOOD.replace(', VPID', ''), False)):
    with tempfile.NamedTemporaryFile('w', suffix='.def') as table:
        table.write(text)
        table.flush()
        done = subprocess.run([generator, table.name], capture_output=True, check=False)
        if (done.returncode == 0) != good:
            sys.exit(f'the generator {"refused" if good else "took"} {text!r}')
