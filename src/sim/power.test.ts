import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createNetconsole, parseNetconsoleParam } from '../clients/netconsole/netconsole.ts';
import { createSysrqListener } from '../clients/sysrq/listener.ts';
import { addSysrqNet } from '../clients/sysrq/net.ts';
import { SysrqSender } from '../clients/sysrq/sender.ts';
import { Sysrq } from '../machine/sysrq.ts';
import { netpollParseOptions } from '../netpoll/options.ts';
import type { SysrqMac } from '../wire/sysrq_command.ts';
import { Power } from './power.ts';
import { Hand, station, udpFrame } from './rig.fixture.ts';
import { Wire } from './wire.ts';
import { World } from './world.ts';

const OPTIONS = '6665@10.0.0.2/eth0,6666@10.0.0.1/02:00:00:00:00:01';
const mac: SysrqMac = (message, len, tag) =>
  tag.set(createHmac('sha256', 'fleet').update(message.subarray(0, len)).digest());

/** A computer that logs over netconsole and takes SysRq commands, with everything allowed. */
function fleetOfOne() {
  const world = new World({ seed: 3 });
  const wire = new Wire(world);
  const hand = new Hand(world, wire);
  const random = (out: Uint8Array): void => {
    for (let i = 0; i < out.length; i++) out[i] = world.prng.below(256);
  };
  const power = new Power(world, {
    boot(_boot, self) {
      const on = station(world, wire, 2, { cpus: 2 });
      const param = parseNetconsoleParam(OPTIONS);
      const parsed = netpollParseOptions(OPTIONS);
      if (!param.ok || !parsed.ok) throw new Error('the options are right');
      createNetconsole(on.net, param.specs);
      const sysrq = new Sysrq(on.machine, { reboot: () => self.reboot(), powerOff: () => self.powerOff() });
      addSysrqNet(on.net, sysrq);
      sysrq.mask = 1;
      const bootId = new Uint8Array(16);
      random(bootId);
      createSysrqListener(on.net, parsed.options, sysrq, { mac, bootId });
      return { sim: on, ports: [on.port] };
    },
  });
  const sender = new SysrqSender({ mac, random });
  const tell = (bytes: Uint8Array): (string | null)[] => {
    hand.heard.length = 0;
    hand.send(udpFrame({ sourcePort: 40000, destPort: 6665, payload: bytes.slice() }));
    world.runFor(5e6);
    const mine = hand.heard.filter(({ bytes: frame }) => ((frame[36]! << 8) | frame[37]!) === 40000);
    return mine.map(({ bytes: frame }) => sender.hear(frame, 42));
  };
  const log = (): string[] => hand.heard.map(({ bytes }) => new TextDecoder().decode(bytes.slice(42)).trimEnd());
  return { world, power, sender, tell, log };
}

describe('a simulated computer', () => {
  it('boots again after SysRq b, and commands of the boot before are void', () => {
    const { world, power, sender, tell } = fleetOfOne();
    const first = power.running!.sim.machine;
    tell(sender.question());
    expect(tell(sender.command('b'))).toEqual(['result']);
    const replay = sender.command('b').slice();
    expect([first.dead, power.running, power.boots]).toEqual([true, null, 1]);
    world.runFor(3e9);
    expect([power.boots, power.running?.sim.machine === first]).toEqual([2, false]);
    expect(tell(replay)).toEqual([]);
    expect(tell(sender.question())).toEqual(['answer']);
    expect([sender.machine?.counter, power.boots]).toEqual([0, 2]);
    tell(sender.command('t'));
    expect(sender.result).toMatchObject({ key: 't', command: 1 });
  });

  it('stays off after SysRq o, until somebody switches it on', () => {
    const { world, power, sender, tell } = fleetOfOne();
    tell(sender.question());
    tell(sender.command('o'));
    world.runFor(60e9);
    expect([power.running, tell(sender.question())]).toEqual([null, []]);
    power.on();
    expect(tell(sender.question())).toEqual(['answer']);
  });

  it('reboots after a panic, where somebody polls', () => {
    const { world, power, sender, tell } = fleetOfOne();
    tell(sender.question());
    tell(sender.command('c'));
    expect([power.running?.sim.machine.dead, power.boots]).toEqual([true, 1]);
    power.reboot();
    world.runFor(3e9);
    expect([power.running?.sim.machine.dead, power.boots]).toEqual([false, 2]);
  });

  it('shows devices, polls and queues in its reports', () => {
    const { sender, tell, log } = fleetOfOne();
    tell(sender.question());
    tell(sender.command('t'));
    expect(log().join('\n')).toMatch(
      /dev eth0: up, carrier; rx_packets:2 [\s\S]*napi\/eth0[\s\S]*clients: netconsole sysrq;/,
    );
    tell(sender.command('m'));
    expect(log().join('\n')).toMatch(/netpoll reserve: \d+ of 32 frames/);
    tell(sender.command('d'));
    expect(log().join('\n')).toContain('Showing all locks held in the system:');
    tell(sender.command('w'));
    expect(log().join('\n')).toContain('sysrq: Show Blocked State');
  });
});
