/**
 * What the textbook card's data sheet says: registers and descriptors. Driver and hardware share nothing else, but memory.
 *
 *     registers (32 bits each)            a queue's block, Q_BLOCK registers, from Q_FIRST on
 *     0  CTRL      reset, enable          +0 CAUSE     why it interrupts; written ones are acknowledged
 *     1  STATUS    link                   +1 MASK      which causes may interrupt
 *     2  MAC_HIGH  first four bytes       +2 RX_BASE   +3 RX_SIZE   +4 RX_HEAD (card)   +5 RX_TAIL (driver)
 *     3  MAC_LOW   last two, << 16        +6 TX_BASE   +7 TX_SIZE   +8 TX_HEAD (card)   +9 TX_TAIL (driver)
 *     4  RX_MODE   promiscuous, all groups    +10 RX_USECS  +11 RX_FRAMES   +12 TX_USECS  +13 TX_FRAMES
 *     8  FILTER    16 addresses, two registers each (filter.ts); how long it may keep to itself what has completed
 *
 *     descriptor, 16 bytes     | address | length | flags | received: hash; sent with CSUM: start << 16, place of the sum |
 *     flags                    | VLAN tag, with VLAN | ... VLAN CSUM DONE EOP |
 *
 * Heads and tails are indexes, and wrap at the ring's size. The card owns [head, tail); head = tail: it owns nothing.
 */
export const REG_CTRL = 0;
export const REG_STATUS = 1;
export const REG_MAC_HIGH = 2;
export const REG_MAC_LOW = 3;
export const REG_RX_MODE = 4;
export const REG_FILTER = 8;
export const FILTER_ENTRIES = 16;
export const Q_FIRST: number = REG_FILTER + 2 * FILTER_ENTRIES;
export const Q_BLOCK = 16;
export const Q_CAUSE = 0;
export const Q_MASK = 1;
export const Q_RX_BASE = 2;
export const Q_RX_SIZE = 3;
export const Q_RX_HEAD = 4;
export const Q_RX_TAIL = 5;
export const Q_TX_BASE = 6;
export const Q_TX_SIZE = 7;
export const Q_TX_HEAD = 8;
export const Q_TX_TAIL = 9;
export const Q_RX_USECS = 10;
export const Q_RX_FRAMES = 11;
export const Q_TX_USECS = 12;
export const Q_TX_FRAMES = 13;

export const CTRL_RESET = 1 << 0;
export const CTRL_ENABLE = 1 << 1;
/** A VLAN tag of a received frame is taken out, and said in its descriptor. */
export const CTRL_VLAN_STRIP = 1 << 2;
export const STATUS_LINK = 1 << 0;
export const RX_MODE_PROMISC = 1 << 0;
export const RX_MODE_ALLMULTI = 1 << 1;

export const CAUSE_RX = 1 << 0;
export const CAUSE_TX = 1 << 1;
/** The link came or went; told on queue 0. */
export const CAUSE_LINK = 1 << 2;
/** A frame came and there was no descriptor. */
export const CAUSE_RX_MISSED = 1 << 3;
export const CAUSE_ALL: number = CAUSE_RX | CAUSE_TX | CAUSE_LINK | CAUSE_RX_MISSED;

export const DESC_LEN = 16;
export const DESC_ADDRESS = 0;
export const DESC_LENGTH = 4;
export const DESC_FLAGS = 8;
export const DESC_HASH = 12;
/** Sent: the frame ends here. */
export const DESC_EOP = 1 << 0;
/** Received: filled by the card. */
export const DESC_DONE = 1 << 1;
/** Sent, at the first piece: sum up the frame from `start` on, and put the sum `place` bytes behind that. */
export const DESC_CSUM = 1 << 2;
/** The upper half is a VLAN tag: taken out of the frame; sent, at the first piece: to be put in. */
export const DESC_VLAN = 1 << 3;

/** Number of a register of queue `q`. */
export function qreg(q: number, register: number): number {
  return Q_FIRST + q * Q_BLOCK + register;
}
