# SPDX-License-Identifier: BSD-2-Clause
"""The way of a trace: store, cascade-relay, CTF, babeltrace2 and cascade-report; and how it can go wrong.

usage: relay.py CASCADE_RELAY CASCADE_REPORT MAKE_STORE"""
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

RELAY, REPORT, MAKE_STORE = (os.path.abspath(a) for a in sys.argv[1:4])
CHUNK_ALIGN = 512


def run(*command, **kw):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **kw)


def processes_with_environment(value):
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{pid}/environ', 'rb') as f:
                if value.encode() in f.read():
                    found.append(int(pid))
        except OSError:
            pass
    return found


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='relay-test-')
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.tmp = self.path('tmp')
        os.mkdir(self.tmp)
        # The relay's private folder, and the mark by which its daemons are recognized.
        self.env = dict(os.environ, TMPDIR=self.tmp)

    def tearDown(self):
        self.assertEqual(os.listdir(self.tmp), [], 'files left behind')
        self.assertEqual(processes_with_environment('TMPDIR=' + self.tmp), [], 'processes left behind')

    def path(self, name):
        return os.path.join(self.dir, name)

    def store(self, records, cpus=1, chunk=1000):
        subprocess.run([MAKE_STORE, self.path('store'), str(records), str(cpus), str(chunk)], check=True)
        return self.path('store')

    def relay(self, store, *more):
        return run(RELAY, '--store', store, '--out', self.path('trace'), *more, env=self.env,
                   stdin=subprocess.DEVNULL)

    def patch(self, offset, data):
        with open(self.path('store'), 'r+b') as f:
            f.seek(offset)
            f.write(data)

    def events(self):
        """Lines babeltrace2 prints; it must have nothing to warn about."""
        with open(self.path('lines'), 'w', encoding='utf-8') as out:
            bt = subprocess.run(['babeltrace2', self.path('trace')], stdout=out, stderr=subprocess.PIPE,
                                text=True, timeout=120, check=False)
        self.assertEqual((bt.returncode, bt.stderr), (0, ''))
        with open(self.path('lines'), encoding='utf-8') as f:
            return f.readlines()

    def report(self, *more):
        r = run(REPORT, self.path('trace'), '--json', '-', *more)
        self.assertEqual((r.returncode, r.stderr), (0, ''))
        return json.loads(r.stdout)

    def expect(self, result, status, message):
        self.assertEqual(result.returncode, status, result.stderr)
        line = result.stderr.splitlines()[0]
        self.assertRegex(line, message)

    def summary(self, result):
        return json.loads(result.stdout.splitlines()[-1])


class Whole(Case):
    def test_200000_records_of_two_cpus(self):
        r = self.relay(self.store(200003, cpus=2, chunk=700))
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual(self.summary(r), {'events': 200003, 'lost': 0, 'backwards': 0,
                                           'path': os.path.realpath(self.path('trace'))})
        lines = self.events()
        self.assertEqual(len(lines), 200003)
        self.assertIn('cascade:session: ', lines[0])
        self.assertRegex(lines[3], r'cascade:vm_exit: .*level = 3, cpu = 0, reason = 10, '
                                   r'reason_name = \( "CPUID" : container = 10 \), rip = 0xFFFFFFFF81000000, '
                                   r'qualification = 0x0 \}')
        # Round 2 of cpu 1 begins 1000 ticks after round 1 of cpu 0 began, and the clock makes 1000 MHz.
        self.assertIn('(+0.000000002)', lines[4])
        self.assertIn('(+0.000000880)', lines[8])
        j = self.report()
        self.assertEqual(j['trace'], {'path': self.path('trace'), 'events': 200003, 'lost': 0,
                                      'tsc_hz': 1000000000, 'unmatched': 2})
        self.assertEqual([(v['level'], v['what'], v['exits']) for v in j['levels']],
                         [(2, 'cascade', 40000), (3, 'linux', 40000)])
        l2, l3 = j['exits']
        self.assertEqual(l3, {'level': 3, 'reason': 'CPUID', 'count': 40000, 'ticks_mean': 120.0,
                              'ticks_p50': 120, 'ticks_p99': 120, 'l1_exits_per_exit': 2.0,
                              'ticks_deeper_mean': 0.0, 'ticks_total': 4800000})
        # A cpu's turn comes every 2000 ticks: L2's VMRESUME at 90 lasts until 40 of the next turn.
        self.assertEqual(l2, {'level': 2, 'reason': 'VMRESUME', 'count': 39998, 'ticks_mean': 1950.0,
                              'ticks_p50': 1950, 'ticks_p99': 1950, 'l1_exits_per_exit': 2.0,
                              'ticks_deeper_mean': 1880.0, 'ticks_total': 39998 * 1950})
        self.assertEqual(self.report('--level', '3')['exits'], [l3])
        self.assertEqual(self.report('--reason', 'vmresume')['exits'], [l2])
        self.assertEqual(self.report('--level', '3', '--reason', '24')['exits'], [])
        table = run(REPORT, self.path('trace'), '--json', self.path('json')).stdout
        self.assertRegex(table, r'(?m)^L3 +CPUID +40000 +120\.0 +120 +120 +2\.00 +0\.0 +4800000$')
        with open(self.path('json'), encoding='utf-8') as f:
            self.assertEqual(json.load(f), j)

    def test_two_side_by_side(self):
        store = self.store(5003)
        running = [subprocess.Popen([RELAY, '--store', store, '--out', self.path(out), '--quiet'], env=self.env,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                   for out in ('trace', 'other')]
        for p in running:
            out, err = p.communicate(timeout=60)
            self.assertEqual((p.returncode, err), (0, ''))
            self.assertEqual(json.loads(out)['events'], 5003)
        self.assertEqual(len(self.events()), 5003)

    def test_metadata_has_the_machines_clock(self):
        self.assertEqual(self.relay(self.store(8)).returncode, 0)
        details = run('babeltrace2', self.path('trace'), '--component=sink.text.details').stdout
        self.assertRegex(details, r'Frequency \(Hz\): 1,000,000,000')
        self.assertRegex(details, r'5,000,000 cycles')

    def test_losses_known_from_headers_only(self):
        store = self.store(103, chunk=100)
        self.patch(24, struct.pack('<Q', 3))
        self.patch(CHUNK_ALIGN * 7 + 24, struct.pack('<Q', 7))
        r = self.relay(store)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual(self.summary(r)['lost'], 7)
        self.assertEqual(self.report()['trace']['lost'], 7)

    def test_clock_backwards_is_counted(self):
        store = self.store(103, chunk=200)
        self.patch(32 + 50 * 32, struct.pack('<Q', 17))
        r = self.relay(store)
        self.assertEqual(self.summary(r)['backwards'], 1)
        self.assertIn('1 times the clock went backwards', r.stderr)
        self.assertEqual(len(self.events()), 103)


class Following(Case):
    def start(self, *more, **kw):
        command = [RELAY, '--store', self.path('store'), '--out', self.path('trace'), '--follow', *more]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=self.env, **kw)

    def grow(self, first, last):
        """Writes bytes first..last of the complete store to the one that is followed."""
        with open(self.path('whole'), 'rb') as f:
            f.seek(first)
            data = f.read(last - first)
        self.patch(first, data)

    def prepare(self, records):
        os.rename(self.store(records, chunk=500), self.path('whole'))
        with open(self.path('store'), 'wb') as f:
            f.truncate(64 << 20)
        return os.path.getsize(self.path('whole'))

    def wait_for_session(self):
        for _ in range(400):
            if os.path.isdir(self.path('trace/ust')):
                return
            time.sleep(0.05)
        self.fail('the relay does not start to record')

    def test_growing_until_stdin_closes(self):
        size = self.prepare(20003)
        p = self.start(stdin=subprocess.PIPE)
        self.grow(0, 40000)
        self.wait_for_session()
        self.grow(40000, 300000)
        time.sleep(0.2)
        self.grow(300000, size)
        out, err = p.communicate(timeout=60)
        self.assertEqual(p.returncode, 0, err)
        self.assertEqual(json.loads(out)['events'], 20003)
        self.assertEqual(len(self.events()), 20003)

    def test_growing_until_process_ends(self):
        size = self.prepare(5003)
        machine = subprocess.Popen(['sleep', '60'])
        p = self.start('--pid', str(machine.pid), '--quiet', stdin=subprocess.DEVNULL)
        self.grow(0, 40000)
        self.wait_for_session()
        self.assertIsNone(p.poll())
        self.grow(40000, size)
        machine.kill()
        machine.wait()
        out, err = p.communicate(timeout=60)
        self.assertEqual((p.returncode, err), (0, ''))
        self.assertEqual(json.loads(out)['events'], 5003)

    def test_sigint(self):
        self.prepare(20003)
        p = self.start(stdin=subprocess.PIPE)
        self.grow(0, 200000)
        self.wait_for_session()
        time.sleep(0.3)
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=60)
        self.assertEqual(p.returncode, 8, err)
        self.assertIn('cascade-relay: interrupted', err)
        events = json.loads(out)['events']
        self.assertEqual(len(self.events()), events)
        self.assertGreater(events, 5000)
        self.assertEqual(self.report()['trace']['events'], events)

    def test_terminated_before_the_first_record(self):
        self.prepare(10)
        p = self.start(stdin=subprocess.PIPE)
        time.sleep(0.3)
        p.send_signal(signal.SIGTERM)
        _, err = p.communicate(timeout=60)
        self.assertEqual((p.returncode, err), (8, 'cascade-relay: interrupted: the store held nothing yet\n'))

    def test_killed_relay_takes_its_daemons_along(self):
        self.prepare(20003)
        p = self.start(stdin=subprocess.PIPE)
        self.grow(0, 200000)
        self.wait_for_session()
        p.kill()
        p.communicate()
        for _ in range(100):
            if not processes_with_environment('TMPDIR=' + self.tmp):
                break
            time.sleep(0.1)
        shutil.rmtree(os.path.join(self.tmp, os.listdir(self.tmp)[0]))  # killed: nobody could

    def test_machine_ends_without_a_trace(self):
        self.prepare(10)
        p = self.start(stdin=subprocess.DEVNULL)
        _, err = p.communicate(timeout=60)
        self.assertEqual(p.returncode, 3)
        self.assertRegex(err, 'holds no trace')


class BadStores(Case):
    def test_missing(self):
        self.expect(self.relay(self.path('none')), 3, 'none: No such file')

    def test_empty(self):
        with open(self.path('store'), 'wb'):
            pass
        self.expect(self.relay(self.path('store')), 3, 'holds no trace')
        self.assertFalse(os.path.exists(self.path('trace')))

    def test_noise(self):
        with open(self.path('store'), 'wb') as f:
            f.write(b'noise' * 1000)
        self.expect(self.relay(self.path('store')), 4, 'chunk 0 has no magic word')

    def test_no_session(self):
        store = self.store(100)
        self.patch(32 + 8, b'\1')
        self.expect(self.relay(store), 4, 'does not begin with a session record')

    def test_clock_without_frequency(self):
        store = self.store(100)
        self.patch(32 + 16, struct.pack('<Q', 0))
        self.expect(self.relay(store), 4, 'does not begin with a session record')

    def test_other_schema_of_chunk_and_of_session(self):
        store = self.store(100)
        self.patch(20, struct.pack('<I', 77))
        self.expect(self.relay(store), 5, 'schema version 77')
        self.patch(20, struct.pack('<I', 1))
        self.patch(32 + 12, struct.pack('<I', 77))
        self.expect(self.relay(store), 5, 'another schema version')

    def test_truncated_keeps_the_good_part(self):
        store = self.store(10003, chunk=100)
        os.truncate(store, 20 * 7 * CHUNK_ALIGN + 1000)  # a chunk of 100 records takes 7 units
        r = self.relay(store)
        self.expect(r, 4, r'chunk 20 \(100 records\) is longer than the file')
        self.assertEqual(self.summary(r)['events'], 2000)
        self.assertEqual(len(self.events()), 2000)

    def test_damaged_record_keeps_the_good_part(self):
        store = self.store(10003, chunk=100)
        self.patch(3 * 7 * CHUNK_ALIGN + 32 + 41 * 32 + 8, b'\xee')
        r = self.relay(store)
        self.expect(r, 4, 'record 41 of chunk 3 has unknown event 238')
        self.assertEqual(self.summary(r)['events'], 341)
        self.assertEqual(len(self.events()), 341)


class BadPlaces(Case):
    def test_out_is_not_empty(self):
        store = self.store(100)
        os.mkdir(self.path('trace'))
        with open(self.path('trace/precious'), 'w', encoding='utf-8'):
            pass
        self.expect(self.relay(store), 9, 'not empty')
        self.assertEqual(os.listdir(self.path('trace')), ['precious'])

    def test_out_has_no_parent(self):
        r = run(RELAY, '--store', self.store(100), '--out', self.path('a/b'), env=self.env)
        self.expect(r, 9, 'a/b: No such file')

    def test_no_lttng(self):
        self.env['PATH'] = '/nowhere'
        r = self.relay(self.store(100))
        self.expect(r, 6, 'lttng-sessiond: did not start')

    def test_usage(self):
        for arguments in ([], ['--store', 'x'], ['--bogus'], ['--store', 'x', '--out', 'y', 'z'],
                          ['--store', 'x', '--out', 'y', '--done-fd', '99'],
                          ['--store', 'x', '--out', 'y', '--pid', '12x']):
            r = run(RELAY, *arguments, env=self.env)
            self.assertEqual(r.returncode, 2, arguments)
            self.assertTrue(r.stderr)
        self.assertEqual(run(RELAY, '--help').returncode, 0)

    @unittest.skipIf(os.geteuid() != 0, 'needs root for a small file system')
    def test_full_disk(self):
        """On a small tmpfs, in a mount namespace of its own."""
        os.mkdir(self.path('small'))
        script = ('mount -t tmpfs -o size=6m none "$1" || exit 77; '
                  '"$2" --store "$3" --out "$1/trace"; s=$?; cp -r "$1/trace" "$4"; exit $s')
        r = run('unshare', '-m', 'sh', '-c', script, 'sh', self.path('small'), RELAY, self.store(300003),
                self.path('trace'), env=self.env)
        if r.returncode in (1, 77) and not r.stdout:
            self.skipTest('no mount namespaces here')
        self.expect(r, 7, 'no space left')
        events = self.summary(r)['events']
        self.assertTrue(10000 < events < 300003, events)
        self.assertEqual(len(self.events()), events)


class BadTraces(Case):
    def test_usage(self):
        for arguments in ([], ['a', 'b'], ['a', '--bogus'], ['a', '--level', 'x'], ['a', '--level', '256'],
                          ['a', '--reason', 'gossip']):
            r = run(REPORT, *arguments)
            self.assertEqual(r.returncode, 2, arguments)
            self.assertTrue(r.stderr)

    def test_no_folder(self):
        self.expect(run(REPORT, self.path('none')), 3, 'none: No such file or directory')
        self.expect(run(REPORT, self.store(10)), 3, 'store: Not a directory')

    def test_no_trace(self):
        self.expect(run(REPORT, self.dir), 4, 'not a CTF trace')
        with open(self.path('metadata'), 'w', encoding='utf-8') as f:
            f.write('hello')
        self.expect(run(REPORT, self.dir), 4, 'not a CTF trace')

    def foreign(self, event, payload):
        """A CTF trace by hand: one stream, one packet, one event."""
        os.mkdir(self.path('trace'))
        with open(self.path('trace/metadata'), 'w', encoding='ascii') as f:
            f.write('/* CTF 1.8 */\n'
                    'trace { major = 1; minor = 8; byte_order = le; };\n'
                    'clock { name = c; freq = 1000; };\n'
                    'typealias integer { size = 64; align = 8; signed = false; map = clock.c.value; } := t;\n'
                    'typealias integer { size = 32; align = 8; signed = false; } := u32;\n'
                    'typealias integer { size = 8; align = 8; signed = false; } := u8;\n'
                    'typealias integer { size = 64; align = 8; signed = false; } := u64;\n'
                    'stream { event.header := struct { t timestamp; }; };\n'
                    f'event {{ name = "{event}"; fields := struct {{ {payload[0]} }}; }};\n')
        with open(self.path('trace/stream'), 'wb') as f:
            f.write(struct.pack('<Q', 5) + payload[1])

    def test_foreign_trace(self):
        self.foreign('kernel:tick', ('u32 x;', struct.pack('<I', 1)))
        self.expect(run(REPORT, self.path('trace')), 5, 'no cascade events')

    def test_foreign_fields(self):
        self.foreign('cascade:session', ('u32 x;', struct.pack('<I', 1)))
        self.expect(run(REPORT, self.path('trace')), 5, 'no cascade events')

    def test_other_schema(self):
        self.foreign('cascade:session', ('u8 level; u8 cpu; u32 version; u64 tsc_hz;',
                                         struct.pack('<BBIQ', 1, 0, 9, 1000)))
        self.expect(run(REPORT, self.path('trace')), 6, 'schema version 9, not 1')

    def test_no_session_first(self):
        self.foreign('cascade:guest', ('u8 level; u8 cpu; u32 kind;', struct.pack('<BBI', 1, 0, 1)))
        self.expect(run(REPORT, self.path('trace')), 6, 'does not begin with a session event')

    def stream(self):
        return next(os.path.join(folder, 'cascade_0') for folder, _, names in os.walk(self.path('trace'))
                    if 'cascade_0' in names)

    def test_damaged_inside(self):
        self.assertEqual(self.relay(self.store(100003)).returncode, 0)
        with open(self.stream(), 'r+b') as f:
            f.seek(1000000)
            f.write(b'\xff' * 4096)
        r = run(REPORT, self.path('trace'))
        self.expect(r, 7, 'trace: ')
        self.assertRegex(r.stdout, r'(?m)^L3 +CPUID ')

    def test_cut_short(self):
        self.assertEqual(self.relay(self.store(1003)).returncode, 0)
        os.truncate(self.stream(), os.path.getsize(self.stream()) - 4196)
        self.expect(run(REPORT, self.path('trace')), 7, 'trace: ')

    def test_json_cannot_be_written(self):
        self.assertEqual(self.relay(self.store(100)).returncode, 0)
        r = run(REPORT, self.path('trace'), '--json', self.path('no/file'))
        self.expect(r, 8, 'no/file: No such file')


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1], verbosity=1)
