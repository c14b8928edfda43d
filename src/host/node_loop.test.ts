/** How long the executive stays after a round of interrupts, and for whom it goes. Real loop, real descriptors. */
import { isMainThread } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { HostExecutive } from './executive.ts';
import { check } from './sys/errno.ts';
import { libc } from './sys/libc.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const undo: (() => void)[] = [];
afterEach(() => {
  for (const act of undo.splice(0)) act();
});

/** An executive with an interrupt line that is readable from the start, once. */
function interrupted(onReadable: (executive: HostExecutive) => void): HostExecutive {
  const executive = new HostExecutive();
  const fd = check(libc().eventfd(1, 0), 'eventfd', 'test');
  const watch = executive.watch(fd, () => onReadable(executive));
  undo.push(
    () => watch.close(),
    () => libc().close(fd),
  );
  watch.arm(true);
  return executive;
}

/** Turns that run before Node's loop has had one of its own. */
async function turnsBeforeNode(wants: (executive: HostExecutive) => void, application = () => {}): Promise<number> {
  let turns = 0;
  let before = -1;
  const executive = interrupted((each) => {
    application();
    each.onTurn = () => {
      turns++;
      wants(each);
    };
    queueMicrotask(() => {
      before = turns;
    });
    wants(each);
  });
  await pause(50);
  executive.onTurn = () => {};
  return before;
}

describe.skipIf(!isMainThread)('after a round of interrupts', () => {
  it('turns that are wanted at once, and those of near timers, are taken without Node, for a few milliseconds', async () => {
    // The most of several: messages of the test runner are Node's affair, too.
    const most = async (wants: (executive: HostExecutive) => void) => {
      let turns = 0;
      for (let i = 0; i < 6; i++) turns = Math.max(turns, await turnsBeforeNode(wants));
      return turns;
    };
    expect(await most((executive) => executive.requestTurn())).toBeGreaterThan(10);
    const near = await most((executive) => executive.requestTurnAt(executive.now() + 200e3));
    expect(near).toBeGreaterThan(0);
    expect(near).toBeLessThanOrEqual(21);
  });

  it('a far timer is not waited for', async () => {
    expect(await turnsBeforeNode((executive) => executive.requestTurnAt(executive.now() + 2e6))).toBe(0);
  });

  it("an Immediate of the application's goes first, and its timers are not late", async () => {
    const wants = (executive: HostExecutive) => executive.requestTurn();
    expect(await turnsBeforeNode(wants, () => void setImmediate(() => {}))).toBe(0);
    expect(await turnsBeforeNode(wants, () => void process.nextTick(() => {}))).toBeGreaterThan(0);
    let lateMs = Number.POSITIVE_INFINITY;
    await turnsBeforeNode(
      (executive) => executive.requestTurnAt(executive.now() + 100e3),
      () => {
        const dueMs = performance.now() + 2;
        setTimeout(() => {
          lateMs = performance.now() - dueMs;
        }, 2);
      },
    );
    expect(lateMs).toBeLessThan(40);
  });

  it('a turn that is wanted while Node has work comes all the same, and again and again', async () => {
    let turns = 0;
    const executive = interrupted(() => {});
    executive.onTurn = () => {
      turns++;
      executive.requestTurn();
    };
    let immediates = 0;
    const again = () => {
      if (++immediates < 200) setImmediate(again);
    };
    again();
    executive.requestTurn();
    while (immediates < 200) await pause(1);
    executive.onTurn = () => {};
    expect(turns).toBeGreaterThan(20);
  });
});
