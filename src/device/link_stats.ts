/**
 * The statistics of a device: the 25 of `struct rtnl_link_stats64`, in its order, with its definitions. Drivers count them,
 * and so does the stack where a frame ends there.
 *
 *     rx_packets, rx_bytes    good frames handed to the host, also if it drops them later; without the checksum at the end
 *     tx_packets, tx_bytes    frames that the device took
 *     rx_errors               all bad frames: length, crc, frame and others together
 *     rx_dropped              received, not processed: no memory, no protocol; not those that found no buffer (rx_missed_errors)
 *     rx_nohandler            came in on an inactive device (a bond's backup)
 */
export const STAT_NAMES = [
  'rx_packets',
  'tx_packets',
  'rx_bytes',
  'tx_bytes',
  'rx_errors',
  'tx_errors',
  'rx_dropped',
  'tx_dropped',
  'multicast',
  'collisions',
  'rx_length_errors',
  'rx_over_errors',
  'rx_crc_errors',
  'rx_frame_errors',
  'rx_fifo_errors',
  'rx_missed_errors',
  'tx_aborted_errors',
  'tx_carrier_errors',
  'tx_fifo_errors',
  'tx_heartbeat_errors',
  'tx_window_errors',
  'rx_compressed',
  'tx_compressed',
  'rx_nohandler',
  'rx_otherhost_dropped',
] as const;
export type StatName = (typeof STAT_NAMES)[number];
export const STAT_RX_PACKETS = 0;
export const STAT_TX_PACKETS = 1;
export const STAT_RX_BYTES = 2;
export const STAT_TX_BYTES = 3;
export const STAT_RX_ERRORS = 4;
export const STAT_TX_ERRORS = 5;
export const STAT_RX_DROPPED = 6;
export const STAT_TX_DROPPED = 7;
export const STAT_MULTICAST = 8;
export const STAT_COLLISIONS = 9;
export const STAT_RX_LENGTH_ERRORS = 10;
export const STAT_RX_OVER_ERRORS = 11;
export const STAT_RX_CRC_ERRORS = 12;
export const STAT_RX_FRAME_ERRORS = 13;
export const STAT_RX_FIFO_ERRORS = 14;
export const STAT_RX_MISSED_ERRORS = 15;
export const STAT_TX_ABORTED_ERRORS = 16;
export const STAT_TX_CARRIER_ERRORS = 17;
export const STAT_TX_FIFO_ERRORS = 18;
export const STAT_TX_HEARTBEAT_ERRORS = 19;
export const STAT_TX_WINDOW_ERRORS = 20;
export const STAT_RX_NOHANDLER = 23;
export const STAT_RX_OTHERHOST_DROPPED = 24;
