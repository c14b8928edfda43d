/**
 * For tests: the UDP datagrams of a capture file, and where the recordings lie.
 *
 * Golden copies (our own recordings, see README.md here) are always there; the larger set is found through
 * NETPOLL_CORPORA, default ../shared/corpora beside the repository, and may be absent.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { CaptureReader } from "../../../src/wire/pcap.js";
const here = dirname(fileURLToPath(import.meta.url));
export const goldenDir = here;
export const corporaDir = resolve(here, '../../..', process.env.NETPOLL_CORPORA ?? '../shared/corpora');
export const hasCorpora = existsSync(join(corporaDir, 'netconsole'));
/** A file's bytes, gunzipped where its name ends in .gz. */
export function readBytes(path) {
    const bytes = readFileSync(path);
    return path.endsWith('.gz') ? gunzipSync(bytes) : bytes;
}
/** All UDP datagrams over IPv4 and IPv6 in a capture. */
export function readCapture(path) {
    const reader = new CaptureReader();
    reader.push(readBytes(path));
    const out = [];
    for (let packet = reader.next(); packet !== null; packet = reader.next()) {
        const frame = packet.bytes.subarray(packet.start, packet.start + packet.length);
        const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
        if (frame.length < 42)
            continue;
        const v4 = view.getUint16(12) === 0x0800 && frame[23] === 17;
        const v6 = view.getUint16(12) === 0x86dd && frame[20] === 17;
        if (!v4 && !v6)
            continue;
        const udp = v4 ? 14 + (frame[14] & 15) * 4 : 54;
        const src = v4
            ? frame.subarray(26, 30).join('.')
            : [0, 2, 4, 6, 8, 10, 12, 14].map((i) => view.getUint16(22 + i).toString(16)).join(':');
        const payload = frame.slice(udp + 8, udp + view.getUint16(udp + 4));
        out.push({ src, srcPort: view.getUint16(udp), dstPort: view.getUint16(udp + 2), payload, tsUs: packet.tsUs });
    }
    return out;
}
//# sourceMappingURL=read_capture.js.map