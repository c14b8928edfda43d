import { describe, expect, it } from 'vitest';
import { createSnull } from '../../drivers/snull.ts';
import { panic } from '../../machine/panic.ts';
import { Sysrq } from '../../machine/sysrq.ts';
import { netpollParseOptions } from '../../netpoll/options.ts';
import { netpollSetTrap } from '../../netpoll/rx.ts';
import { SYSRQ_FRAME_LEN, SysrqStatus } from '../../wire/sysrq_command.ts';
import { createSysrqListener } from './listener.ts';
import { hmac, SysrqRig } from './rig.fixture.ts';

describe('a command', () => {
  it('is obeyed after a question, and its output is on the wire', () => {
    const rig = new SysrqRig();
    const sender = rig.sender();
    expect(rig.ask(sender, sender.question())).toEqual(['answer']);
    expect(sender.machine).toMatchObject({ hostId: 'host2', counter: 0 });
    rig.log();
    expect(rig.ask(sender, sender.command('m'))).toEqual(['result']);
    expect(sender.result).toEqual({ key: 'm', status: SysrqStatus.ACCEPTED, command: 1 });
    expect(rig.obeyed).toEqual(['m']);
    expect(rig.log().slice(0, 3)).toEqual([
      'sysrq: netconsole: m from 10.0.0.1 port 40000, command 1',
      'sysrq: Show Memory',
      'Mem-Info:',
    ]);
    expect(rig.ask(sender, sender.command('t'))).toEqual(['result']);
    expect([rig.obeyed, rig.listener.counter]).toEqual([['m', 't'], 2]);
  });

  it('and its output leave at once: nothing is deferred', () => {
    const rig = new SysrqRig();
    const sender = rig.sender();
    rig.ask(sender, sender.question());
    rig.ask(sender, sender.command('t'));
    const info = rig.on.dev.npinfo as { counters?: { get(name: string): number } } | null;
    expect(info?.counters?.get('deferred')).toBe(0);
  });

  it('is obeyed on a card without NAPI, whose frames come in interrupts', () => {
    const rig = new SysrqRig({ driver: createSnull });
    const sender = rig.sender();
    expect(rig.ask(sender, sender.question())).toEqual(['answer']);
    expect(rig.ask(sender, sender.command('t'))).toEqual(['result']);
    expect(rig.log().join('\n')).toContain('task:ksoftirqd/0');
  });

  it('gets an answer as long as its question, never longer', () => {
    const rig = new SysrqRig();
    const sender = rig.sender();
    const lengths: number[] = [];
    for (const bytes of [() => sender.question(), () => sender.command('h'), () => sender.command('b')]) {
      rig.send(bytes().slice());
      rig.run();
      for (const each of rig.answers()) {
        lengths.push(each.length);
        sender.hear(each);
      }
    }
    expect(lengths).toEqual([SYSRQ_FRAME_LEN, SYSRQ_FRAME_LEN, SYSRQ_FRAME_LEN]);
  });

  it('is obeyed once, however often it comes; its last result is told again', () => {
    const rig = new SysrqRig();
    const sender = rig.sender();
    rig.ask(sender, sender.question());
    const bytes = sender.command('m').slice();
    for (let i = 0; i < 5; i++) rig.send(bytes);
    rig.run();
    expect(rig.ask(sender, bytes)).toContain('result');
    expect(rig.obeyed).toEqual(['m']);
    expect(sender.result).toMatchObject({ key: 'm', status: SysrqStatus.ACCEPTED });
  });

  it('overtaken by a later one is void', () => {
    const rig = new SysrqRig();
    const sender = rig.sender();
    rig.ask(sender, sender.question());
    const first = sender.command('m').slice();
    rig.ask(sender, first);
    const second = sender.command('t').slice();
    rig.ask(sender, second);
    expect(rig.ask(sender, first)).toEqual([]);
    expect([rig.obeyed, rig.listener.audit.counters.get('replayed')]).toEqual([['m', 't'], 1]);
  });

  it('that was held back for 30 s is void, and so is one from the future', () => {
    const rig = new SysrqRig();
    const sender = rig.sender();
    rig.ask(sender, sender.question());
    const bytes = sender.command('b').slice();
    rig.run(31e9);
    expect(rig.ask(sender, bytes)).toEqual([]);
    sender.machine = { ...sender.machine!, uptimeMs: 1e9 };
    rig.ask(sender, sender.command('b'));
    expect([rig.obeyed, rig.listener.audit.counters.get('expired')]).toEqual([[], 2]);
    rig.ask(sender, sender.question());
    rig.ask(sender, sender.command('t'));
    expect(rig.obeyed).toEqual(['t']);
  });

  it('for another boot of the same machine is void', () => {
    const rig = new SysrqRig();
    const sender = rig.sender();
    rig.ask(sender, sender.question());
    const bytes = sender.command('b').slice();
    const again = new SysrqRig({ seed: 2 });
    again.send(bytes);
    again.run();
    expect([again.obeyed, again.answers(), again.listener.audit.counters.get('other_boot')]).toEqual([[], [], 1]);
  });

  it('for another host, or with another key, gets no answer', () => {
    const rig = new SysrqRig();
    const other = rig.sender({ hostId: 'host3' });
    expect(rig.ask(other, other.question())).toEqual([]);
    const wrong = rig.sender({ mac: hmac('a guess') });
    expect(rig.ask(wrong, wrong.question())).toEqual([]);
    const { counters } = rig.listener.audit;
    expect([counters.get('other_host'), counters.get('forged')]).toEqual([1, 1]);
  });

  it('is refused by the mask, and the answer says so', () => {
    const rig = new SysrqRig();
    rig.sysrq.mask = 8;
    const sender = rig.sender();
    rig.ask(sender, sender.question());
    rig.log();
    rig.ask(sender, sender.command('b'));
    expect(sender.result?.status).toBe(SysrqStatus.DISABLED);
    expect(rig.log()).toEqual([
      'sysrq: This sysrq operation is disabled.',
      'sysrq: netconsole: refused 1: disabled 1; last from 10.0.0.1 port 40000',
    ]);
    expect(rig.obeyed).toEqual([]);
  });

  it('beyond the rate is refused, and counts again when time has passed', () => {
    const rig = new SysrqRig({ burst: 3, perSecond: 1 });
    const sender = rig.sender();
    rig.ask(sender, sender.question());
    const statuses: (number | undefined)[] = [];
    for (let i = 0; i < 5; i++) {
      rig.ask(sender, sender.command('m'));
      statuses.push(sender.result?.status);
    }
    rig.run(1e9);
    rig.ask(sender, sender.command('t'));
    statuses.push(sender.result?.status);
    const { ACCEPTED, LIMITED } = SysrqStatus;
    expect(statuses).toEqual([ACCEPTED, ACCEPTED, ACCEPTED, LIMITED, LIMITED, ACCEPTED]);
    expect(rig.obeyed).toEqual(['m', 'm', 'm', 't']);
  });

  it('that ends the machine has its result out first', () => {
    const rig = new SysrqRig();
    const sender = rig.sender();
    rig.ask(sender, sender.question());
    rig.log();
    expect(rig.ask(sender, sender.command('c'))).toEqual(['result']);
    expect(rig.on.machine.dead).toBe(true);
    const log = rig.log();
    expect(log[1]).toBe('sysrq: Trigger a crash');
    expect(log.at(-1)).toBe('---[ end Kernel panic - not syncing: sysrq triggered crash ]---');
  });
});

describe('a machine in trouble', () => {
  it('takes commands after a panic, from whoever polls', () => {
    const rig = new SysrqRig();
    panic(rig.on.machine, 'oh');
    rig.log();
    const sender = rig.sender();
    const said: ('answer' | 'result' | null)[] = [];
    for (const bytes of [() => sender.question(), () => sender.command('m'), () => sender.command('b')]) {
      rig.send(bytes().slice());
      for (let i = 0; i < 5; i++) {
        rig.listener.poll();
        rig.on.machine.executive.spin(50_000);
      }
      said.push(...rig.answers().map((each) => sender.hear(each)));
    }
    expect(said).toEqual(['answer', 'result', 'result']);
    expect(rig.obeyed).toEqual(['m', 'reboot', 'b']);
    expect(rig.log()).toContain('Mem-Info:');
  });

  it('goes on listening where somebody’s operation throws, and does not run it again', () => {
    const rig = new SysrqRig();
    panic(rig.on.machine, 'oh');
    const { executive } = rig.on.machine;
    const sender = rig.sender();
    const say = (bytes: Uint8Array): ('answer' | 'result' | null)[] => {
      rig.send(bytes.slice());
      for (let i = 0; i < 5; i++) {
        executive.spin(50_000);
        rig.listener.poll();
      }
      executive.spin(50_000);
      return rig.answers().map((each) => sender.hear(each));
    };
    say(sender.question());
    const handle = rig.sysrq.handle;
    let runs = 0;
    rig.sysrq.handle = () => {
      runs++;
      throw new Error('a bug of its own');
    };
    expect(() => say(sender.command('m'))).toThrow('a bug of its own');
    rig.sysrq.handle = handle;
    executive.spin(50_000);
    rig.answers().map((each) => sender.hear(each));
    expect(say(sender.command('t'))).toEqual(['result']);
    expect([runs, rig.obeyed]).toEqual([1, ['t']]);
  });

  it('takes commands after a panic, however many frames came for nobody', () => {
    const rig = new SysrqRig({ slots: 256 });
    panic(rig.on.machine, 'oh');
    const { executive, arena } = rig.on.machine;
    for (let n = 0; n < arena.slots * 2; n += 100) {
      for (let i = 0; i < 100; i++) rig.send('for nobody', { destPort: 9 });
      for (let i = 0; i < 20; i++) {
        rig.listener.poll();
        executive.spin(50_000);
      }
    }
    const sender = rig.sender();
    rig.send(sender.question().slice());
    executive.spin(50_000);
    rig.listener.poll();
    executive.spin(50_000);
    expect(rig.answers().map((each) => sender.hear(each))).toEqual(['answer']);
  });

  it('takes commands with interrupts off, its device trapped', () => {
    const rig = new SysrqRig();
    netpollSetTrap(rig.on.dev, true);
    const { cpu } = rig.on.machine;
    const were = cpu.localIrqSave();
    const sender = rig.sender();
    for (const bytes of [() => sender.question(), () => sender.command('p')]) {
      rig.send(bytes().slice());
      for (let i = 0; i < 5; i++) {
        rig.listener.poll();
        rig.on.machine.executive.spin(50_000);
      }
      for (const each of rig.answers()) sender.hear(each);
    }
    expect(rig.obeyed).toEqual(['p']);
    expect(rig.log().join('\n')).toContain('irqs: off');
    cpu.localIrqRestore(were);
  });

  it('says how many it refused, once in five seconds', () => {
    const rig = new SysrqRig();
    for (let i = 0; i < 300; i++) rig.send('x'.repeat(50), { from: '10.0.0.9' });
    rig.run(1e6);
    for (let i = 0; i < 100; i++) rig.send('y', { from: '10.0.0.8', sourcePort: 7 });
    rig.run(10e9);
    const lines = rig.log().filter((line) => line.includes('refused'));
    expect(lines.length).toBeLessThanOrEqual(2);
    expect(lines.at(-1)).toMatch(/^sysrq: netconsole: refused \d+: malformed \d+; last from 10\.0\.0\.8 port 7$/);
    const sum = lines.reduce((total, line) => total + Number(/refused (\d+)/.exec(line)![1]), 0);
    expect(sum).toBe(rig.listener.audit.counters.get('malformed'));
  });
});

describe('plain characters', () => {
  it('are nothing without the option', () => {
    const rig = new SysrqRig();
    rig.send('tm\n');
    rig.run();
    expect([rig.obeyed, rig.listener.audit.counters.get('malformed')]).toEqual([[], 1]);
  });

  it('are commands with it, after a warning, from the target’s address alone', () => {
    const rig = new SysrqRig({ insecure: true });
    rig.run();
    expect(rig.log().join('\n')).toContain('INSECURE');
    rig.send('t 5\n');
    rig.send('b', { from: '10.0.0.66' });
    rig.run();
    expect(rig.obeyed).toEqual(['t', '5']);
    expect(rig.log()).toContain('sysrq: netconsole: t from 10.0.0.1 port 40000, without authentication');
  });

  it('are none in a datagram that has anything else in it', () => {
    const rig = new SysrqRig({ insecure: true });
    const sender = rig.sender({ mac: hmac('another key') });
    rig.send(sender.question().slice());
    rig.send(Uint8Array.of(0x62, 0));
    rig.send('b;');
    rig.run();
    expect(rig.obeyed).toEqual([]);
  });

  it('obey mask and rate as well', () => {
    const rig = new SysrqRig({ insecure: true, burst: 2, perSecond: 0.001 });
    rig.sysrq.mask = 8;
    rig.send('bttt');
    rig.run();
    expect(rig.obeyed).toEqual(['t']);
    const { counters } = rig.listener.audit;
    expect([counters.get('disabled'), counters.get('limited')]).toEqual([1, 1]);
  });
});

describe('setting a listener up', () => {
  const options = () => {
    const parsed = netpollParseOptions('6700@10.0.0.2/eth0,6666@10.0.0.1/');
    if (!parsed.ok) throw new Error(parsed.error.reason);
    return parsed.options;
  };

  it.each([
    ['no key and not insecure', {}, 'sysrq: netconsole: no key, aborting'],
    ['no boot id', { mac: hmac('k') }, 'sysrq: netconsole: the boot id has to have 16 random bytes, aborting'],
    [
      'a host id too long',
      { mac: hmac('k'), bootId: new Uint8Array(16), hostId: 'x'.repeat(33) },
      'sysrq: netconsole: the host id has to have 1 to 32 bytes, aborting',
    ],
  ])('is refused: %s', (_why, listen, line) => {
    const rig = new SysrqRig();
    rig.log();
    expect(createSysrqListener(rig.on.net, options(), new Sysrq(rig.on.machine, rig.sysrq.world), listen)).toBe(-22);
    rig.run();
    expect(rig.log()).toContain(line);
  });

  it('ends with close: nothing is heard any more', () => {
    const rig = new SysrqRig();
    const sender = rig.sender();
    rig.listener.close();
    expect(rig.ask(sender, sender.question())).toEqual([]);
  });
});
