/**
 * The frames of the flood: an extended netconsole record, `6,0000000042,81522443,-;text`, in one UDP datagram, addressed to
 * our own station. The kernel's interface has another address: having fed the packet sockets, the kernel drops such a
 * frame as somebody else's, and the sender's processor does no more than it has to.
 */
/** Locally administered. */
export const STATION = Uint8Array.of(2, 0, 0, 0, 0, 1);
export const SENDER = Uint8Array.of(2, 0, 0, 0, 0, 2);
export const LINE_LEN = 120;
export const PORT = 6666;
/** Where the sequence number stands in it. At an even offset: the sender keeps the checksum up to date digit by digit. */
export const SEQ_AT = 2;
export const SEQ_DIGITS = 10;
