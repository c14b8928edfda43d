/**
 * The line of the flood: an extended netconsole record, `6,0000000042,81522443,-;text`, in one UDP datagram.
 */
export const LINE_LEN = 120;
export const PORT = 6666;
/** Where the sequence number stands in it. At an even offset: the sender keeps the checksum up to date digit by digit. */
export const SEQ_AT = 2;
export const SEQ_DIGITS = 10;
