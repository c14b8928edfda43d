/**
 * A program of the soak: commands go in as lines of JSON, answers and news come out as such.
 *
 *     ask() --{"ask": 7}--> program --{"answer": 7, ...}--> resolved
 *                                   --{"log": ...}-------> onLog
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { Namespace } from '../rig.ts';

const ANSWER_MS = 20_000;

type Line = Record<string, unknown>;

const alive = new Set<Program>();
process.on('exit', () => {
  for (const program of alive) program.kill();
});

export class Program {
  onLog: (text: string) => void = () => {};
  readonly #name: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #waiting = new Map<string, (line: Line) => void>();
  #failed: ((error: Error) => void)[] = [];
  #asked = 0;
  #errors = '';
  #ended = false;

  private constructor(name: string, argv: readonly string[]) {
    this.#name = name;
    this.#child = spawn(argv[0]!, argv.slice(1), { stdio: ['pipe', 'pipe', 'pipe'] });
    alive.add(this);
    this.#child.stderr.on('data', (chunk: Buffer) => {
      this.#errors = (this.#errors + chunk.toString()).slice(-4000);
    });
    this.#child.stdin.on('error', () => {});
    createInterface({ input: this.#child.stdout }).on('line', (text) => this.#line(JSON.parse(text) as Line));
    this.#child.once('close', (code, signal) => {
      this.#ended = true;
      alive.delete(this);
      for (const fail of this.#failed) fail(new Error(`${name} ended (${code ?? signal})\n${this.#errors}`));
    });
  }

  /** Starts `argv` inside the namespace; resolves when it says {"up": true}. */
  static async start(name: string, space: Namespace, argv: readonly string[]): Promise<Program> {
    const program = new Program(name, space.inside(argv));
    await program.#answer('up');
    return program;
  }

  tell(command: Line): void {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
  }

  /** The counts of now. */
  async ask(): Promise<Line> {
    const number = ++this.#asked;
    const answer = this.#answer(`answer ${number}`);
    this.tell({ ask: number });
    return await answer;
  }

  /** Tells it to end; its last word. */
  async end(): Promise<Line> {
    const last = this.#answer('end');
    this.tell({ end: true });
    return await last;
  }

  kill(): void {
    if (!this.#ended) this.#child.kill('SIGKILL');
  }

  #line(line: Line): void {
    if (typeof line.log === 'string') this.onLog(line.log);
    const key =
      line.up === true && Object.keys(line).length === 1 ? 'up' : line.end === true ? 'end' : `answer ${line.answer}`;
    this.#waiting.get(key)?.(line);
  }

  async #answer(key: string): Promise<Line> {
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<Line>((resolve, reject) => {
        timer = setTimeout(
          () => reject(new Error(`${this.#name}: no "${key}" in ${ANSWER_MS} ms\n${this.#errors}`)),
          ANSWER_MS,
        );
        if (this.#ended) reject(new Error(`${this.#name} has ended\n${this.#errors}`));
        this.#waiting.set(key, resolve);
        this.#failed.push(reject);
      });
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(key);
      this.#failed = [];
    }
  }
}
