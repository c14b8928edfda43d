/**
 * The groups in which SysRq's operations are allowed: values of `kernel.sysrq` above 1 are sums of these. 0 allows nothing, 1 everything.
 */
export const SYSRQ_ENABLE_LOG = 0x2;
export const SYSRQ_ENABLE_KEYBOARD = 0x4;
export const SYSRQ_ENABLE_DUMP = 0x8;
export const SYSRQ_ENABLE_SYNC = 0x10;
export const SYSRQ_ENABLE_REMOUNT = 0x20;
export const SYSRQ_ENABLE_SIGNAL = 0x40;
export const SYSRQ_ENABLE_BOOT = 0x80;
export const SYSRQ_ENABLE_RTNICE = 0x100;

/** True if `mask` (the value of `kernel.sysrq`) allows an operation of the group `group`; group 0 needs a mask of 1. */
export function sysrqOnMask(mask: number, group: number): boolean {
  return mask === 1 || (mask & group) !== 0;
}

/**
 * The number in `text`, or null: one whole number of 32 bits, decimal, 0x or 0 octal, white space around it. (what proc_dointvec
 * takes)
 */
export function parseSysrqMask(text: string): number | null {
  const match = /^\s*(-?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)\s*$/.exec(text);
  if (match === null) return null;
  const digits = match[2]!;
  const size = /^0[0-7]/.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
  const value = match[1] === '-' && size !== 0 ? -size : size;
  return value >= -(2 ** 31) && value < 2 ** 31 ? value : null;
}
