/**
 * netpoll start: the collector with a fleet to watch. Three simulated machines log over netconsole on simulated wires; one
 * of them panics after six seconds. Needs no network, no privileges and no koffi.
 */
import type { Command } from 'commander';
import { SetupError } from '../base/status.ts';
import { receiveInto } from '../collector/receive.ts';
import { Inet } from '../inet/inet.ts';
import { createDemoFleet, type DemoFleet, NETCONSOLE_PORT } from '../lab/demo_fleet.ts';
import { createCollectorConsole } from './collector_console.ts';
import { addSysrqKeyOptions, type SysrqFlags } from './sysrq_accept.ts';
import { fleetSysrq, openFleetPorts } from './sysrq_fleet.ts';
import { die, endWithReader, note, onStop } from './terminal.ts';

const EXAMPLES = `
Examples:
  $ netpoll start                           watch the fleet, here and on the page; Ctrl-C ends
  $ netpoll start --http 127.0.0.1:8080     page on a port of your choice
  $ netpoll start --seed 42 --for 10        another history, ten seconds of it
  $ netpoll start --sysrq-key-file key --sysrq-mask 1       and command it: netpoll sysrq 127.0.0.1:PORT t -k key
`;

/** How often the virtual clock is moved up to the real one. */
const STEP_MS = 20;

interface StartOptions extends SysrqFlags {
  readonly http: string | false;
  readonly seed: string;
  readonly for?: string;
  readonly jsonl?: boolean;
}

export function addStart(program: Command): void {
  const command = program.command('start');
  command
    .description('the collector with a demo fleet: three simulated machines, one of which panics within ten seconds')
    .option('--http <address:port>', 'where the page listens; port 0 takes a free one', '127.0.0.1:0')
    .option('--no-http', 'no page')
    .option('--seed <n>', 'seed of the simulation', '1')
    .option('--for <seconds>', 'end after so long')
    .option('--jsonl', 'print one JSON object a message')
    .addHelpText('after', EXAMPLES)
    .action((options: StartOptions) => {
      start(options).catch(die);
    });
  addSysrqKeyOptions(command);
}

async function start(options: StartOptions): Promise<void> {
  const seed = number('--seed', options.seed);
  const seconds = options.for === undefined ? Number.POSITIVE_INFINITY : number('--for', options.for);
  endWithReader();
  const epochMs = performance.timeOrigin;
  const startedMs = performance.now();
  const wallUs = () => (epochMs + performance.now()) * 1000;
  const onBoot = fleetSysrq(options, () => fleet.world);
  const fleet: DemoFleet = createDemoFleet({
    seed,
    epochUs: (epochMs + startedMs) * 1000,
    ...(onBoot === null ? {} : { onBoot }),
  });
  const output = await createCollectorConsole({
    jsonl: options.jsonl ?? false,
    http: options.http === false ? null : options.http,
    wallUs,
  });
  receiveInto(output.collector, new Inet(fleet.collector.stack), {
    port: NETCONSOLE_PORT,
    wallUs,
    nameOf: (address) => fleet.hosts.get(address) ?? address,
    onDatagram: output.onDatagram,
  });
  note(`fleet       ${[...fleet.hosts.values()].join(', ')} (simulated, seed ${seed}); one of them is about to die`);
  const ports = onBoot === null ? null : await openFleetPorts(fleet.members, options.sysrqKeyFile ?? '');

  const timer = setInterval(() => {
    const elapsedMs = performance.now() - startedMs;
    fleet.world.runUntil(elapsedMs * 1e6);
    if (elapsedMs >= seconds * 1000) stop();
  }, STEP_MS);
  const stop = (): void => {
    clearInterval(timer);
    ports?.close();
    output
      .close()
      .then(() => note(`${output.collector.counters.get('messages')} messages; ended`))
      .catch(die);
  };
  onStop(stop);
}

function number(option: string, text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) {
    throw new SetupError('ERR_NETPOLL_OPTIONS', `${option} ${text}: give a number`);
  }
  return value;
}
