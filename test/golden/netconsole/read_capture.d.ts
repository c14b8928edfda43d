/**
 * For tests: the UDP datagrams of a capture file, and where the recordings lie.
 *
 * Golden copies (our own recordings, see README.md here) are always there; the larger set is found through
 * NETPOLL_CORPORA, default ../shared/corpora beside the repository, and may be absent.
 */
export declare const goldenDir: string;
export declare const corporaDir: string;
export declare const hasCorpora: boolean;
export interface Datagram {
    readonly src: string;
    readonly srcPort: number;
    readonly dstPort: number;
    readonly payload: Uint8Array;
    readonly tsUs: number;
}
/** A file's bytes, gunzipped where its name ends in .gz. */
export declare function readBytes(path: string): Uint8Array;
/** All UDP datagrams over IPv4 and IPv6 in a capture. */
export declare function readCapture(path: string): Datagram[];
