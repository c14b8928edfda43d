/**
 * DIM: interrupt moderation that finds its own level (`net_dim`). Every interrupt gives a sample; every 64 of them the traffic is
 * compared with before, and the next profile to the right (more moderation) or left (less) is tried.
 *
 *     PARKING_ON_TOP --traffic changed--> GOING_LEFT or GOING_RIGHT --worse--> turn round
 *           ^                                     |  turned after one step back: it was best there
 *           +-------------------------------------+  10 steps without: PARKING_TIRED for 10 rounds
 *
 * The driver's `apply` puts the chosen profile into the hardware and calls start() when that is done; samples before it count for
 * nothing. Rates are per millisecond, rounded up; a difference counts from more than 10 %.
 */
export const DIM_EVENTS = 64;
const TIRED = 10;
const SIGNIFICANT_PERCENT = 10;

/** Moderation: usecs and frames (coalesce.ts). */
export interface DimProfile {
  readonly usecs: number;
  readonly frames: number;
}
const profiles = (frames: readonly number[], usecs: readonly number[]): readonly DimProfile[] =>
  usecs.map((each, i) => ({ usecs: each, frames: frames[i] ?? frames[0]! }));
/** Profiles from low latency to few interrupts; by when the timer starts: at the first frame (EQE) or at each (CQE). */
export const DIM_RX_EQE = profiles([256], [1, 8, 64, 128, 256]);
export const DIM_RX_CQE = profiles([256, 128, 64, 64, 64], [2, 8, 16, 32, 64]);
export const DIM_TX_EQE = profiles([128], [1, 8, 32, 64, 128]);
export const DIM_TX_CQE = profiles([128, 64, 32, 32, 32], [5, 8, 16, 32, 64]);
export const DIM_DEFAULT_PROFILE = 1;

export const DIM_START_MEASURE = 0;
export const DIM_MEASURE_IN_PROGRESS = 1;
export const DIM_APPLY_NEW_PROFILE = 2;

export const DIM_PARKING_ON_TOP = 0;
export const DIM_PARKING_TIRED = 1;
export const DIM_GOING_RIGHT = 2;
export const DIM_GOING_LEFT = 3;

export type DimVerdict = 'better' | 'worse' | 'same';

/** What the driver has counted since it was opened, at `timeUs`. Events wrap at 16 bits. */
export interface DimSample {
  readonly timeUs: number;
  readonly packets: number;
  readonly bytes: number;
  readonly events: number;
}

/** Per millisecond. */
export interface DimRates {
  readonly ppms: number;
  readonly bpms: number;
  readonly epms: number;
}

const NO_SAMPLE: DimSample = { timeUs: 0, packets: 0, bytes: 0, events: 0 };

export class Dim {
  state: number = DIM_START_MEASURE;
  tuneState: number = DIM_PARKING_ON_TOP;
  profileIx = DIM_DEFAULT_PROFILE;
  readonly profiles: readonly DimProfile[];
  readonly #apply: (profile: DimProfile, index: number) => void;
  #start: DimSample = NO_SAMPLE;
  #previous: DimRates = { ppms: 0, bpms: 0, epms: 0 };
  #stepsRight = 0;
  #stepsLeft = 0;
  #tired = 0;

  constructor(profiles: readonly DimProfile[], apply: (profile: DimProfile, index: number) => void) {
    this.profiles = profiles;
    this.#apply = apply;
  }

  /** The profile is in the hardware: measure from the next sample on. */
  start(): void {
    this.state = DIM_START_MEASURE;
  }

  /** Would a sample with so many events be looked at? Who asks before need not make one. */
  due(events: number): boolean {
    if (this.state === DIM_APPLY_NEW_PROFILE) return false;
    return this.state === DIM_START_MEASURE || ((events - this.#start.events) & 0xffff) >= DIM_EVENTS;
  }

  /** One interrupt, or the end of its poll. (`net_dim`) */
  sample(sample: DimSample): void {
    if (this.state === DIM_APPLY_NEW_PROFILE) return;
    if (this.state === DIM_MEASURE_IN_PROGRESS) {
      if (((sample.events - this.#start.events) & 0xffff) < DIM_EVENTS) return;
      const rates = dimRates(this.#start, sample);
      if (rates !== null && this.#decide(rates)) {
        this.state = DIM_APPLY_NEW_PROFILE;
        this.#apply(this.profiles[this.profileIx]!, this.profileIx);
        return;
      }
    }
    this.#start = sample;
    this.state = DIM_MEASURE_IN_PROGRESS;
  }

  /** True: another profile. (`net_dim_decision`) */
  #decide(now: DimRates): boolean {
    const before = this.tuneState;
    const index = this.profileIx;
    if (before === DIM_PARKING_ON_TOP) {
      if (dimCompare(now, this.#previous) !== 'same') this.#exitParking();
    } else if (before === DIM_PARKING_TIRED) {
      if (--this.#tired === 0) this.#exitParking();
    } else {
      this.#walk(dimCompare(now, this.#previous));
    }
    if (before !== DIM_PARKING_ON_TOP || this.tuneState !== DIM_PARKING_ON_TOP) this.#previous = now;
    return this.profileIx !== index;
  }

  #walk(verdict: DimVerdict): void {
    if (verdict !== 'better') this.#turn();
    if (this.#onTop) {
      this.#parkOnTop();
      return;
    }
    const step = this.#step();
    if (step === 'edge') this.#parkOnTop();
    else if (step === 'tired') {
      this.#stepsRight = 0;
      this.#stepsLeft = 0;
      this.tuneState = DIM_PARKING_TIRED;
    }
  }

  /** Back one step from where it got worse, after several in the other direction: that was the best. */
  get #onTop(): boolean {
    if (this.tuneState === DIM_GOING_RIGHT) return this.#stepsLeft > 1 && this.#stepsRight === 1;
    return this.tuneState === DIM_GOING_LEFT && this.#stepsRight > 1 && this.#stepsLeft === 1;
  }

  #turn(): void {
    if (this.tuneState === DIM_GOING_RIGHT) {
      this.tuneState = DIM_GOING_LEFT;
      this.#stepsLeft = 0;
    } else {
      this.tuneState = DIM_GOING_RIGHT;
      this.#stepsRight = 0;
    }
  }

  #parkOnTop(): void {
    this.#stepsRight = 0;
    this.#stepsLeft = 0;
    this.#tired = 0;
    this.tuneState = DIM_PARKING_ON_TOP;
  }

  #exitParking(): void {
    this.tuneState = this.profileIx !== 0 ? DIM_GOING_LEFT : DIM_GOING_RIGHT;
    this.#step();
  }

  #step(): 'stepped' | 'edge' | 'tired' {
    if (this.#tired === TIRED) return 'tired';
    if (this.tuneState === DIM_GOING_RIGHT) {
      if (this.profileIx === this.profiles.length - 1) return 'edge';
      this.profileIx++;
      this.#stepsRight++;
    } else {
      if (this.profileIx === 0) return 'edge';
      this.profileIx--;
      this.#stepsLeft++;
    }
    this.#tired++;
    return 'stepped';
  }
}

/** Rates between two samples; null where no time has passed. (`dim_calc_stats`) */
export function dimRates(start: DimSample, end: DimSample): DimRates | null {
  const us = end.timeUs - start.timeUs;
  if (us <= 0) return null;
  return {
    ppms: Math.ceil(((end.packets - start.packets) * 1000) / us),
    bpms: Math.ceil(((end.bytes - start.bytes) * 1000) / us),
    epms: Math.ceil((DIM_EVENTS * 1000) / us),
  };
}

/** Is it better now than before? Bytes count first, then packets (more is better), then interrupts (fewer). */
export function dimCompare(now: DimRates, before: DimRates): DimVerdict {
  if (before.bpms === 0) return now.bpms > 0 ? 'better' : 'same';
  if (differs(now.bpms, before.bpms)) return now.bpms > before.bpms ? 'better' : 'worse';
  if (before.ppms === 0) return now.ppms > 0 ? 'better' : 'same';
  if (differs(now.ppms, before.ppms)) return now.ppms > before.ppms ? 'better' : 'worse';
  if (before.epms === 0) return 'same';
  if (differs(now.epms, before.epms)) return now.epms < before.epms ? 'better' : 'worse';
  return 'same';
}

function differs(value: number, reference: number): boolean {
  return Math.floor((100 * Math.abs(value - reference)) / reference) > SIGNIFICANT_PERCENT;
}
