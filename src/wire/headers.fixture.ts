/** Bytes as hexadecimal text and back, for tests that compare whole frames. */
export function hex(bytes: Uint8Array, offset = 0, len = bytes.length - offset): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + offset, len).toString('hex');
}

/** Spaces are for the reader. */
export function fromHex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replace(/\s/g, ''), 'hex'));
}
