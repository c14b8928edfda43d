/** Several senders or receivers of TAP frames that take turns, and how ours do against their peers. */
import { compare, type Figure } from '../harness.ts';
import { openLab, type TapLab, whyNot } from './lab.ts';

const ROUNDS = 5;

/** One of them: how it works, and with frames of how many bytes. */
export interface Side {
  readonly name: string;
  readonly mode: string;
  readonly len: number;
}

/** A ratio that is asked for. */
export interface Pair {
  readonly what: string;
  readonly side: Side;
  readonly peer: Side;
  readonly atLeast?: number;
}

/** Every side once a round, each round beginning with another one. `measure` gives frames a second of processor time. */
export async function takeTurns(
  question: string,
  pairs: readonly Pair[],
  measure: (lab: TapLab, side: Side) => Promise<number>,
): Promise<Figure[]> {
  const reason = whyNot();
  if (reason !== null) return [{ kind: 'unanswered', what: question, reason }];
  const lab = openLab();
  try {
    const sides = [...new Set(pairs.flatMap(({ side, peer }) => [side, peer]))];
    const rounds: Map<Side, number>[] = [];
    for (let i = -1; i < ROUNDS; i++) {
      const round = new Map<Side, number>();
      for (let k = 0; k < sides.length; k++) {
        const side = sides[(i + sides.length + k) % sides.length]!;
        round.set(side, await measure(lab, side));
      }
      if (i >= 0) rounds.push(round);
    }
    const recorded = (side: Side) => {
      let next = 0;
      return { name: side.name, measure: () => rounds[next++]!.get(side)! };
    };
    const figures: Figure[] = [];
    for (const { side, what, peer, atLeast } of pairs) {
      const limit = atLeast === undefined ? {} : { atLeast };
      const options = { rounds: ROUNDS, warmUps: 0, ...limit };
      figures.push(await compare(what, 'frames a second of CPU', recorded(side), recorded(peer), options));
    }
    return figures;
  } finally {
    lab.close();
  }
}
