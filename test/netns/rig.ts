/**
 * Network namespaces for tests: a place of its own for every test, gone afterwards.
 *
 *       namespace "a"                      namespace "b"
 *     +---------------------+            +---------------------+
 *     |  v0 10.0.0.1/24     |--- veth ---|  v0 10.0.0.2/24     |
 *     |  neighbour .2 fixed |            |  neighbour .1 fixed |
 *     +---------------------+            +---------------------+
 *
 * 1. `Namespace.make` creates one, with the loopback up and IPv6 off (no router or neighbour chatter on the wire).
 * 2. `vethPair` makes two and joins them; both neighbour entries are permanent, so that no ARP disturbs a count.
 * 3. `remove` deletes the namespace; devices inside die with it.
 *
 * Names carry the maker's pid. What a killed run left behind is swept by the next run, which sees that the pid is dead.
 * Interfaces are born inside their namespace, so that their names cannot meet anybody else's.
 */
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { threadId } from 'node:worker_threads';
import { Child } from './child.ts';

const PREFIX = 'netpoll-test';
const FOLDER = '/run/netns';
const OUTPUT_MAX = 64 * 1024 * 1024;

const made = new Set<string>();
let count = 0;
let swept = false;

process.on('exit', () => {
  for (const name of made) deleteNow(name);
});

export interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

export class Namespace {
  readonly name: string;
  readonly #children: Child[] = [];

  private constructor(name: string) {
    this.name = name;
  }

  /** Make one; `label` is for the eyes of whoever lists namespaces. Needs root. */
  static async make(label: string): Promise<Namespace> {
    sweep();
    const name = `${PREFIX}-${process.pid}-${threadId}-${count++}-${label}`;
    await ran(['ip', 'netns', 'add', name]);
    made.add(name);
    const space = new Namespace(name);
    await space.run(['sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1', 'net.ipv6.conf.default.disable_ipv6=1']);
    await space.ip('link', 'set', 'lo', 'up');
    return space;
  }

  /** Run `ip ...` on this namespace. */
  async ip(...words: string[]): Promise<string> {
    return (await ran(['ip', '-n', this.name, ...words])).stdout;
  }

  /** Run a program inside to its end; throws with its output when it fails, unless `mayFail`. */
  async run(argv: readonly string[], mayFail = false): Promise<Ran> {
    return await ran(this.inside(argv), mayFail);
  }

  /** Start a program inside; `remove` stops it if nobody did before. */
  async start(argv: readonly string[], environment?: NodeJS.ProcessEnv): Promise<Child> {
    // `ip netns exec` replaces itself with the program, so that the pid is the program's own.
    const child = await Child.start(this.inside(argv), environment);
    this.#children.push(child);
    return child;
  }

  /** The command line which runs `argv` inside. */
  inside(argv: readonly string[]): string[] {
    return ['ip', 'netns', 'exec', this.name, ...argv];
  }

  /** The hardware address of a device, as six colon-separated octets. */
  async macOf(device: string): Promise<string> {
    const [link] = JSON.parse(await this.ip('-j', 'link', 'show', 'dev', device)) as { address?: string }[];
    if (link?.address === undefined) throw new Error(`${this.name}: ${device} has no hardware address`);
    return link.address;
  }

  /** A counter of a device from /sys/class/net, for example `rx_packets`. */
  async statistic(device: string, counter: string): Promise<number> {
    const { stdout } = await this.run(['cat', `/sys/class/net/${device}/statistics/${counter}`]);
    return Number(stdout);
  }

  /** Fix an address to a hardware address for good. */
  async neighbour(device: string, address: string, mac: string): Promise<void> {
    await this.ip('neigh', 'replace', address, 'lladdr', mac, 'dev', device, 'nud', 'permanent');
  }

  /** Stop what runs inside and delete it; safe to call twice. */
  async remove(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.stop()));
    if (made.delete(this.name)) await ran(['ip', 'netns', 'del', this.name], true);
  }
}

export interface End {
  readonly space: Namespace;
  readonly device: string;
  readonly address: string;
  readonly mac: string;
}

export interface VethPair {
  readonly a: End;
  readonly b: End;
  remove(): Promise<void>;
}

/** Two namespaces with a cable between them, both ends up, addressed, and known to each other. Needs root. */
export async function vethPair(label: string, device = 'v0'): Promise<VethPair> {
  const a = await Namespace.make(`${label}-a`);
  const b = await Namespace.make(`${label}-b`);
  const remove = async () => {
    await Promise.all([a.remove(), b.remove()]);
  };
  try {
    await a.ip('link', 'add', device, 'type', 'veth', 'peer', 'name', device, 'netns', b.name);
    await a.ip('addr', 'add', '10.0.0.1/24', 'dev', device);
    await b.ip('addr', 'add', '10.0.0.2/24', 'dev', device);
    await a.ip('link', 'set', device, 'up');
    await b.ip('link', 'set', device, 'up');
    const [macA, macB] = await Promise.all([a.macOf(device), b.macOf(device)]);
    await a.neighbour(device, '10.0.0.2', macB);
    await b.neighbour(device, '10.0.0.1', macA);
    return {
      a: { space: a, device, address: '10.0.0.1', mac: macA },
      b: { space: b, device, address: '10.0.0.2', mac: macB },
      remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

function ran(argv: readonly string[], mayFail = false): Promise<Ran> {
  const [program, ...rest] = argv as [string, ...string[]];
  return new Promise((resolve, reject) => {
    execFile(program, rest, { maxBuffer: OUTPUT_MAX, encoding: 'utf8' }, (error, stdout, stderr) => {
      if (error === null) resolve({ stdout, stderr, code: 0 });
      else if (mayFail) resolve({ stdout, stderr, code: typeof error.code === 'number' ? error.code : -1 });
      else reject(new Error(`${argv.join(' ')}: ${error.message}\n${stdout}${stderr}`));
    });
  });
}

/** Delete the namespaces of test processes that no longer live. Once a process is enough. */
function sweep(): void {
  if (swept || !existsSync(FOLDER)) return;
  swept = true;
  for (const name of readdirSync(FOLDER)) {
    const pid = new RegExp(`^${PREFIX}-(\\d+)-`).exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) deleteNow(name);
  }
}

function deleteNow(name: string): void {
  try {
    execFileSync('ip', ['netns', 'del', name], { stdio: 'ignore' });
  } catch {
    // Somebody else swept it first.
  }
}
