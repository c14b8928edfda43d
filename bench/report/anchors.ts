// What others have published, in a sentence each, beside the questions that it belongs to. Other machines, other cards: for orientation,
// never a limit.
export interface Anchor {
  /** Names of questions. */
  readonly questions: RegExp;
  readonly says: string;
  readonly source: string;
}

const IXY =
  'ixy-languages on GitHub, plot data of Emmerich et al., ANCS 2019; Xeon E3-1230 v2, one core, 64-byte frames, ixgbe';

export const ANCHORS: readonly Anchor[] = [
  {
    questions: /^forward/,
    says: 'ixy.js (JavaScript on a C add-on) forwards 4.95 Mpps at 3.3 GHz with batches of 32, ixy in C 27.4, Rust 27.6, Go 20.6, Swift 4.8, Python 0.14',
    source: IXY,
  },
  {
    questions: /^forward/,
    says: 'latency of ixy.js at 1 Mpps: p50 5.0, p99 116, p99.9 159, longest 359 us, which is its garbage collection; C 3.8, 3.9, 4.2 and 23.2; Go 3.9, 4.2, 4.5 and 29.9; C# 4.0, 10.4, 29.6 and 67.6',
    source: IXY,
  },
  {
    questions: /^forward/,
    says: 'XDP forwards with an average latency of 82 us at 100 packets/s and 7 us at 1 Mpps, DPDK with 2 and 3 us',
    source: 'Hoiland-Jorgensen et al., CoNEXT 2018; Xeon E5-1650 v4, ConnectX-5',
  },
  {
    questions: /^(packet|xdp)_rx|^sim_rate/,
    says: 'ixy.js needs 631 cycles a forwarded packet at 1.6 GHz and batches of 32, C 98, Rust 100, Go 131, Java 256, Swift 599: at 2.6 GHz its 631 would be 0.24 us',
    source: IXY,
  },
  {
    questions: /^(packet|xdp)_rx/,
    says: 'dropping on one core: DPDK 43.5 Mpps, XDP 24, iptables in its raw table 4.8; AF_XDP with zero copy hands more than 20 Mpps to a process',
    source: 'Hoiland-Jorgensen et al., CoNEXT 2018; Xeon E5-1650 v4 3.6 GHz, ConnectX-5, 64-byte frames',
  },
  {
    questions: /^xdp_rx/,
    says: 'AF_XDP on a small card: 371,000 packets/s in native mode, 202,000 in generic mode',
    source: 'commit message of Linux 6d6b39f180b8; i.MX8, fec',
  },
  {
    questions: /^(packet|xdp)_tx|^gen/,
    says: 'pktgen in the kernel: 3.94 to 5.50 Mpps on one processor with clone_skb=100000',
    source: "Linux's Documentation/networking/pktgen; E5-2630, ixgbe",
  },
  {
    questions: /^(packet|xdp)_tx|^gen/,
    says: 'Snabb (LuaJIT) sends 12 to 13 Mpps of 64-byte frames from one core and one queue',
    source: 'snabbco/snabb issues 548, 622, 628; 82599',
  },
  {
    questions: /^tap_(rx|tx)/,
    says: 'TAP takes 1.7 Mpps from pktgen and, with XDP in it, 2.3',
    source: "commit message of Linux's XDP for tap",
  },
  {
    questions: /^udp_rx/,
    says: 'a thread with recvmmsg on a quiet queue of its own: 0.36 to 0.37 Mpps; four with SO_REUSEPORT 1.1; "50k pps per core is probably the limit for any practical application"',
    source: 'Cloudflare, "How to receive a million packets", 2015; Xeon 2 GHz',
  },
  {
    questions: /^udp_rx/,
    says: 'recvmmsg gains 20 to 25 % over recvmsg elsewhere, with most of it at 8 datagrams a call; node:dgram makes one recvmsg a datagram, and at most 32 a turn of its loop',
    source: 'libuv #419 and #3704',
  },
  {
    questions: /^livelock/,
    says: 'e1000 under NAPI, a million packets offered: at 890,000 packets/s there were 17 interrupts, and 409,362 got out; at 119,061 there were 872,519, and all got out',
    source: 'Linux\'s NAPI_HOWTO, table of the authors of "Beyond Softnet"',
  },
];
