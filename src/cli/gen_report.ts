/**
 * The end of a netpoll gen: what it did, in pktgen's words or as JSON.
 */
import type { Pktgen } from '../clients/pktgen/pktgen.ts';
import { pktgenResult, showPktgen, showResult } from '../clients/pktgen/show.ts';
import { note } from './terminal.ts';

export interface ReportFlags {
  readonly json?: boolean;
  readonly show?: boolean;
}

/** Prints what came of the run. `losses`: what the port counted of frames that it was given and did not send. */
export function report(pktgen: Pktgen, spec: string, flags: ReportFlags, losses: Record<string, number>): void {
  const result = pktgenResult(pktgen);
  if (flags.json === true) {
    process.stdout.write(`${JSON.stringify({ device: spec, ...result, ...losses })}\n`);
    return;
  }
  const lost = Object.entries(losses).filter(([, n]) => n > 0);
  if (flags.show === true) process.stdout.write(`${showPktgen(pktgen)}\n`);
  else process.stdout.write(`Result: ${showResult(result)}\n`);
  if (result.slipped > 0) note(`slipped ${result.slipped}: their time was over`);
  for (const [name, n] of lost) note(`${name} ${n}`);
}
