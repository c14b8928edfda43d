import { describe, expect, it } from 'vitest';
import { checksum, fold, sum32 } from './checksum.ts';
import {
  setTcpChecksum,
  TCP_FLAG_ACK,
  TCP_FLAG_PSH,
  TCP_HLEN,
  tcpAckSeq,
  tcpAddFlags,
  tcpDestPort,
  tcpFlags,
  tcpFlagWord,
  tcpHeaderLen,
  tcpPorts,
  tcpSeq,
  tcpSourcePort,
} from './tcp.ts';
import { VLAN_VID_MASK, vlanProtocol, vlanTci } from './vlan.ts';

/** The first segment with data of a recorded stream: 1500 to 8000, behind IPv4 with its pseudo-header fields in front. */
const segment = Buffer.from('05dc1f40000003e800001388501001f4137100006162', 'hex');
const view = new DataView(segment.buffer, segment.byteOffset, segment.length);

describe('a TCP header', () => {
  it('is read field by field', () => {
    expect([tcpSourcePort(view, 0), tcpDestPort(view, 0), tcpPorts(view, 0)]).toEqual([1500, 8000, 0x05dc1f40]);
    expect([tcpSeq(view, 0), tcpAckSeq(view, 0), tcpHeaderLen(view, 0)]).toEqual([1000, 5000, TCP_HLEN]);
    expect([tcpFlags(view, 0), tcpFlagWord(view, 0)]).toEqual([TCP_FLAG_ACK, 0x501001f4]);
  });

  it('gets flags beside those that are set, and a checksum that is right with its pseudo-header', () => {
    const bytes = new DataView(new ArrayBuffer(32));
    bytes.setUint32(0, 0x0a000101);
    bytes.setUint32(4, 0x0a000102);
    bytes.setUint16(8, 6);
    bytes.setUint16(10, TCP_HLEN);
    bytes.setUint16(12 + 12, 0x5010);
    tcpAddFlags(bytes, 12, TCP_FLAG_PSH);
    expect(tcpFlags(bytes, 12)).toBe(TCP_FLAG_ACK | TCP_FLAG_PSH);
    setTcpChecksum(bytes, 12, fold(sum32(bytes, 0, 32)));
    expect(checksum(bytes, 0, 32)).toBe(0);
  });
});

describe('a VLAN tag', () => {
  it('has priority, id and the type of what follows', () => {
    const tag = new DataView(Uint8Array.of(0xa0, 0x05, 0x08, 0x00).buffer);
    expect([vlanTci(tag, 0), vlanTci(tag, 0) & VLAN_VID_MASK, vlanProtocol(tag, 0)]).toEqual([0xa005, 5, 0x0800]);
  });
});
