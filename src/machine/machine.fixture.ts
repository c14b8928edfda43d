/** A machine for unit tests: its clock is a field, turns happen when the test says so. */
import { createArena } from '../skb/arena.ts';
import type { Executive } from './executive.ts';
import { Machine } from './machine.ts';

export class TestExecutive implements Executive {
  nowNs = 0;
  clockNs = 0;
  turns = 0;
  turnAtNs: number[] = [];
  onSpin: () => void = () => {};

  now(): number {
    return this.nowNs;
  }

  readClock(): void {
    this.clockNs = this.nowNs;
  }

  wallUs(): number {
    return this.nowNs / 1000;
  }

  requestTurn(): void {
    this.turns++;
  }

  requestTurnAt(atNs: number): void {
    this.turnAtNs.push(atNs);
  }

  spin(ns: number): void {
    this.nowNs += ns;
    this.onSpin();
  }
}

export function testMachine(options: { cpus?: number; hz?: number; skbs?: number } = {}): {
  machine: Machine;
  executive: TestExecutive;
} {
  const executive = new TestExecutive();
  return { executive, machine: new Machine({ executive, arena: createArena(128), ...options }) };
}
