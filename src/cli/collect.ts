/**
 * netpoll collect: receives netconsole, prints it, shows it on a page.
 */
import type { Command } from 'commander';
import { SetupError } from '../base/status.ts';
import { softnetRows } from '../clients/procfs.ts';
import { receiveInto } from '../collector/receive.ts';
import type { NetDevice } from '../device/net_device.ts';
import { nicPort } from '../drivers/nic/nic.ts';
import { createHostMachine, type HostMachine } from '../host/host_machine.ts';
import { PcapPort } from '../host/pcap/pcap_port.ts';
import { Inet } from '../inet/inet.ts';
import { collectOnCpus } from './collect_cpus.ts';
import { createCollectorConsole } from './collector_console.ts';
import { DEFAULT_LISTEN, type ListenSpec, listenSpecs } from './listen_spec.ts';
import { watchLoss } from './loss_watch.ts';
import { addModerationOptions, type ModerationFlags, parseCoalesce, startModeration } from './moderation_options.ts';
import { softnetLines } from './softnet_lines.ts';
import { die, endWithReader, note, onStop, showNetLog } from './terminal.ts';

interface CollectOptions extends ModerationFlags {
  readonly listen: string[];
  readonly jsonl?: boolean;
  readonly http: string | boolean;
  readonly cpus?: string;
  readonly stats?: boolean;
}

const EXAMPLES = `
Examples:
  $ netpoll collect                                   on UDP port 6666, page on a free port of 127.0.0.1
  $ netpoll collect --jsonl | jq -r .text             one JSON object a message, for other programs
  $ netpoll collect --listen packet:eth0:6666         straight from the interface's ring (root)
  $ netpoll collect --listen xdp:eth0:6666            before the kernel's stack sees it (root, AF_XDP)
  $ netpoll collect --listen xdp:eth0,busy-poll:6666  and this process polls the card itself: no interrupts under load
  $ netpoll collect --listen udp:[::]:6666 --listen udp:0.0.0.0:514
  $ netpoll collect --listen qemu:/tmp/vm.sock        from a guest of QEMU, no privileges (-netdev stream)
  $ netpoll collect --listen pcap:crash.pcap          the messages in a capture, then ends
  $ netpoll collect --cpus 4                          four threads receive and parse, this one stores and serves
  $ netpoll collect --cpus 4 --stats                  and at its end, how the frames were shared out among them
  $ netpoll collect --http 0.0.0.0:8080               page for others on the network

On the machine that is to be watched (see also the kernel's netconsole.rst):
  # modprobe netconsole netconsole=+@/eth0,6666@COLLECTOR-IP/GATEWAY-OR-COLLECTOR-MAC
  # dmesg -n 8
`;

export function addCollect(program: Command): void {
  const command = program
    .command('collect')
    .description("receive netconsole: every kernel's last words, in this terminal and on a web page")
    .option(
      '--listen <where>',
      'udp:ADDRESS:PORT, packet:DEVICE[:PORT], xdp:DEVICE[/QUEUE][,busy-poll][:PORT], tap:NAME[:PORT], qemu:SOCKET[,udp=PORT] or ' +
        'pcap:FILE; may be repeated ' +
        `(default: "${DEFAULT_LISTEN}")`,
      append,
      [],
    )
    .option('--jsonl', 'print one JSON object a message')
    .option('--http <address:port>', 'where the page listens; port 0 takes a free one', '127.0.0.1:0')
    .option('--no-http', 'no page')
    .option('--cpus <threads>', 'receive and parse on so many threads of their own, by flow (live sources only)')
    .option('--stats', 'say at the end what the network softirq of each CPU did (softnet_stat)')
    .addHelpText('after', EXAMPLES);
  addModerationOptions(command).action((options: CollectOptions, command: Command) => {
    collect(options, command.getOptionValueSource('http') === 'cli').catch(die);
  });
}

function append(value: string, before: string[]): string[] {
  return [...before, value];
}

async function collect(options: CollectOptions, httpAsked: boolean): Promise<void> {
  const specs = listenSpecs(options.listen);
  const captures = specs.filter((spec) => spec.scheme === 'pcap').length;
  const onlyCaptures = captures === specs.length;
  if (captures > 0 && !onlyCaptures) {
    throw new SetupError(
      'ERR_NETPOLL_LISTEN',
      '--listen: captures have a time of their own; read them without live sources',
    );
  }
  const http = typeof options.http === 'string' && (httpAsked || !onlyCaptures) ? options.http : null;
  endWithReader();
  if (options.cpus !== undefined) {
    if (captures > 0) {
      throw new SetupError('ERR_NETPOLL_OPTIONS', '--cpus: a capture is read by one thread; leave it out');
    }
    const { jsonl = false, stats = false } = options;
    return collectOnCpus(specs, { cpus: Number(options.cpus), jsonl, http, stats });
  }
  const host = createHostMachine({ coalesce: parseCoalesce(options.coalesce) });
  showNetLog(host.machine);
  const wallUs = () => host.executive.wallUs();
  const output = await createCollectorConsole({
    jsonl: options.jsonl ?? false,
    http,
    wallUs: onlyCaptures ? null : wallUs,
  });
  // Neither has an address: whatever is sent there is for us.
  const promiscuous = captures > 0 || specs.some((spec) => spec.scheme === 'tap' || spec.scheme === 'qemu');
  const inet = new Inet(host.stack, { promiscuous });
  const losses = watchLoss();
  const stop = (): void => {
    const lost = losses.stop();
    polling?.stop();
    host.close();
    output
      .close()
      .then(() => {
        summary(host, output.collector.counters.toJSON(), lost);
        if (options.stats === true) softnetLines(softnetRows(host.stack)).forEach(note);
      })
      .catch(die);
  };

  const ports = new Set<number>();
  let reading = captures;
  for (const spec of specs) {
    const dev = open(host, spec);
    losses.add(dev);
    const port = spec.scheme === 'udp' && spec.port === 0 ? Number(nicPort(dev).name.split(':').at(-1)) : spec.port;
    if (!ports.has(port)) receiveInto(output.collector, inet, { port, wallUs, onDatagram: output.onDatagram });
    ports.add(port);
    note(`listening   ${nicPort(dev).name}${takesUdpPort(spec) ? `, UDP port ${port}` : ''}`);
    const source = nicPort(dev);
    for (const notice of source.notices ?? []) note(`notice      ${notice}`);
    if (source instanceof PcapPort) {
      source.onEnd(() => {
        if (source.problem !== null) note(`notice      ${source.name}: ${source.problem}`);
        if (--reading === 0 && onlyCaptures && http === null) stop();
      });
    }
  }
  const polling = startModeration(host, host.net.devices, options, (text) => note(`notice      ${text}`));
  onStop(stop);
}

/** The others' devices carry nothing else. */
function takesUdpPort({ scheme }: ListenSpec): boolean {
  return scheme === 'packet' || scheme === 'xdp';
}

function open(host: HostMachine, spec: ListenSpec): NetDevice {
  const filter = takesUdpPort(spec) ? { udpPort: spec.port } : {};
  return host.openDevice(spec.device, { ...filter, timestamps: true, name: `${spec.scheme}%d` });
}

/** What was lost, and where, if anything was. */
function summary(host: HostMachine, counted: Record<string, number>, lost: readonly string[]): void {
  const drops = Object.entries(host.machine.skbs.drops.toJSON()).filter(([name, n]) => n > 0 && name !== 'QUEUE_PURGE');
  const parts = [`${counted.messages ?? 0} messages from ${counted.datagrams ?? 0} datagrams`];
  if (drops.length > 0) parts.push(`not for the collector: ${drops.map(([name, n]) => `${n} ${name}`).join(', ')}`);
  if (lost.length > 0) parts.push(`lost: ${lost.join(', ')}`);
  note(parts.join('; '));
}
