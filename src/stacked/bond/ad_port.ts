/** What 802.3ad keeps for a bond, and for each of its slaves. */
export interface AdBondInfo {
  readonly kind: 'ad';
}
export interface AdPort {
  readonly kind: 'port';
}
