/** What balance-tlb and balance-alb keep for a bond, and for each of its slaves. */
export interface AlbBondInfo {
  readonly kind: 'alb';
}
export interface TlbSlaveInfo {
  readonly kind: 'tlb';
}
