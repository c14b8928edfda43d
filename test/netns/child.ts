/**
 * A program that a test runs beside itself: what it printed, when it is ready, how it ended.
 *
 *     spawn --> output collected --> ready? (a line on stdout or stderr, a socket in /proc) --> stop() or its own end
 *
 * Readiness is observed, never slept for. Every wait has a limit and fails with the output seen so far, because
 * "timed out" alone has never helped anybody. A child is ended by its own pid and by nothing else; a test process that
 * dies early takes its children along ('exit' handler).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 15;
const READY_MS = 10_000;
const STOP_MS = 3_000;

/** Thrown when a wait runs out or a child ends too early; carries what the child had printed. */
export class ChildError extends Error {
  override readonly name = 'ChildError';
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const alive = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

export class Child {
  readonly argv: readonly string[];
  readonly pid: number;
  /** Resolves when the process has ended and its pipes are drained. */
  readonly ended: Promise<Ended>;
  readonly #process: ChildProcess;
  readonly #out: Buffer[] = [];
  readonly #err: Buffer[] = [];
  #end: Ended | undefined;

  private constructor(argv: readonly string[], child: ChildProcess, pid: number) {
    this.argv = argv;
    this.pid = pid;
    this.#process = child;
    alive.add(child);
    child.stdout?.on('data', (chunk: Buffer) => this.#out.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => this.#err.push(chunk));
    this.ended = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        alive.delete(child);
        this.#end = { code, signal };
        resolve(this.#end);
      });
    });
  }

  /** Start `argv[0]` with the rest as arguments. Throws ChildError when it cannot be started. */
  static async start(argv: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Child> {
    const [program, ...rest] = argv;
    if (program === undefined) throw new ChildError('no program given');
    const child = spawn(program, rest, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (error) => reject(new ChildError(`${program}: ${error.message}`)));
    });
    return new Child(argv, child, child.pid as number);
  }

  get stdout(): Buffer {
    return Buffer.concat(this.#out);
  }

  get stderr(): Buffer {
    return Buffer.concat(this.#err);
  }

  /** The lines of stdout that are complete. */
  get lines(): string[] {
    return this.stdout.toString('utf8').split('\n').slice(0, -1);
  }

  /** undefined while it runs. */
  get end(): Ended | undefined {
    return this.#end;
  }

  /** Wait until `test` says yes; fails when the child ends first or `limitMs` runs out. */
  async until(what: string, test: () => boolean, limitMs = READY_MS): Promise<void> {
    const deadline = performance.now() + limitMs;
    while (!test()) {
      if (this.#end !== undefined) throw this.#failure(`ended before ${what}`);
      if (performance.now() > deadline) throw this.#failure(`waited ${limitMs} ms for ${what}`);
      await sleep(POLL_MS);
    }
  }

  /** Wait until it prints something that matches, on stdout or stderr. */
  async says(pattern: RegExp, limitMs = READY_MS): Promise<void> {
    const seen = () => pattern.test(this.stdout.toString('latin1')) || pattern.test(this.stderr.toString('latin1'));
    await this.until(`output matching ${pattern}`, seen, limitMs);
  }

  /** Wait until the process owns a UDP socket bound to `port`. */
  async bindsUdp(port: number, limitMs = READY_MS): Promise<void> {
    await this.until(`UDP port ${port}`, () => socketInodes(this.pid, 'udp', port).length > 0, limitMs);
  }

  /** Wait until the process owns `count` packet sockets that are bound and running. */
  async bindsPacket(count = 1, limitMs = READY_MS): Promise<void> {
    await this.until(`${count} packet socket(s)`, () => socketInodes(this.pid, 'packet').length >= count, limitMs);
  }

  /** Ask it to end, insist after three seconds; resolves once it is gone. Harmless when it has ended already. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    if (this.#end !== undefined) return this.#end;
    this.#process.kill(signal);
    const insist = setTimeout(() => this.#process.kill('SIGKILL'), STOP_MS);
    try {
      return await this.ended;
    } finally {
      clearTimeout(insist);
    }
  }

  #failure(what: string): ChildError {
    const seen = `${this.stdout.toString('utf8').slice(-2000)}\n${this.stderr.toString('utf8').slice(-2000)}`.trim();
    return new ChildError(`${this.argv.join(' ')}: ${what}\n${seen}`);
  }
}

/** Inodes of the sockets of `kind` that `pid` holds, as its own network namespace lists them. */
function socketInodes(pid: number, kind: 'udp' | 'packet', port?: number): string[] {
  const held = new Set<string>();
  let listed = '';
  try {
    for (const fd of readdirSync(`/proc/${pid}/fd`)) {
      try {
        const target = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`));
        if (target?.[1] !== undefined) held.add(target[1]);
      } catch {
        // The descriptor was closed between the listing and the look.
      }
    }
    // A machine without IPv6 has no udp6 file.
    const names = (kind === 'udp' ? ['udp', 'udp6'] : ['packet']).map((name) => `/proc/${pid}/net/${name}`);
    listed = names.map((path) => (existsSync(path) ? readFileSync(path, 'latin1') : '')).join('');
  } catch {
    return []; // The process is gone; until() will say so.
  }
  const rows = listed.split('\n').map((row) => row.trim().split(/\s+/));
  const inodes = rows.flatMap((row) => {
    // udp: sl local remote st queues tr retrnsmt uid timeout inode; packet: sk RefCnt Type Proto Iface R Rmem User Inode
    if (kind === 'udp') {
      const bound = Number.parseInt(row[1]?.split(':')[1] ?? '', 16);
      return bound === port && row[9] !== undefined ? [row[9]] : [];
    }
    return row[5] === '1' && row[3] !== '0000' && row[8] !== undefined ? [row[8]] : [];
  });
  return inodes.filter((inode) => held.has(inode));
}
