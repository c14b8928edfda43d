/** Formats on the wire: bytes to fields and back, without any I/O. */
export * from './address.ts';
export * from './arp.ts';
export * from './checksum.ts';
export * from './eth.ts';
export * from './ipv4.ts';
export * from './ipv6.ts';
export * from './netconsole_emit.ts';
export * from './netconsole_parse.ts';
export * from './netconsole_record.ts';
export * from './netconsole_text.ts';
export * from './pcap.ts';
export * from './pcap_writer.ts';
export * from './tcp.ts';
export * from './udp.ts';
export * from './vlan.ts';
